-- The account that a calling number is of, how far the number identifies, and the gateway that brings it, if that one
-- vouches for numbers.
CREATE OR REPLACE FUNCTION known_caller(caller text, by_gateway text, OUT number text, OUT trust text,
                                        OUT gateway_id bigint)
LANGUAGE sql STABLE AS $$
    SELECT a.number, number_trust(n.name, a.ani, n.claimed_at),
           (SELECT g.id FROM billing_gateway g WHERE g.name = by_gateway AND g.identifies <> 'no')
      FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
     WHERE n.name = caller || '@pstn'
$$;
