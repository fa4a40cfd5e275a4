-- A call to the number has proved that it is the account's; false: it is no name of the account.
CREATE OR REPLACE FUNCTION number_proven(asked text, caller text) RETURNS boolean LANGUAGE sql AS $$
    WITH proven AS (
        UPDATE billing_alias n SET claimed_at = NULL
          FROM billing_alias o
         WHERE n.name = caller || '@pstn' AND o.name = asked AND o.account_id = n.account_id
        RETURNING 1)
    SELECT EXISTS (SELECT FROM proven)
$$;
