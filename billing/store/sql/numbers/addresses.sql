-- The names of accounts that are addresses and tell who calls from there. They are few, and a switch keeps them in
-- memory.
CREATE OR REPLACE FUNCTION addresses() RETURNS TABLE (name text) LANGUAGE sql STABLE AS $$
    SELECT n.name
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        WHERE n.name ~ '^(\d{1,3}\.){3}\d{1,3}$|:.*:'
          AND alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
$$;
