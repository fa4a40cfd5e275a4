-- The caller has shown by a PIN to be the account: his number, if it is one of hers, needs none by this gateway any
-- more.
CREATE OR REPLACE FUNCTION number_came(asked text, caller text, by_gateway text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing_numberway (alias_id, gateway_id)
        SELECT n.name, g.id FROM billing_alias n
          JOIN billing_alias o ON o.account_id = n.account_id AND o.name = asked
          JOIN billing_gateway g ON g.name = by_gateway AND g.identifies <> 'no'
         WHERE n.name = caller || '@pstn'
        ON CONFLICT DO NOTHING
$$;
