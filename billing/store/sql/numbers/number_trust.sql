-- How far a number identifies: the account's rule, "claimed" or "proven", and the gateways by which it came with the
-- right PIN. `billing_client.rules.vouching` decides. A number identifies only where the gateway that brings it
-- vouches for its numbers, and as far as the account lets it; one that its caller has claimed by telephone dials,
-- and does no more until a call to it has proved it.
CREATE OR REPLACE FUNCTION number_trust(number text, rule text, claimed timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT rule || CASE WHEN claimed IS NULL THEN ' proven' ELSE ' claimed' END
           || coalesce((SELECT string_agg(' ' || w.gateway_id, '')
                          FROM billing_numberway w WHERE w.alias_id = number), '')
$$;
