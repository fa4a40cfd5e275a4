-- The name that somebody calls who dials a few digits: of the account of his own customer that has them as its
-- extension, or whose name they are; else the number that his number plan makes of them.
CREATE OR REPLACE FUNCTION called_name(calling text, called text, inside text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT e.number
           FROM billing_alias n
           JOIN billing_account a ON a.id = n.account_id
           JOIN billing_account e ON e.customer_id = a.customer_id AND e.extension = inside AND e.extension <> ''
          WHERE n.name = calling),
        (SELECT o.name
           FROM billing_alias n
           JOIN billing_account a ON a.id = n.account_id
           JOIN billing_alias o ON o.name = inside
           JOIN billing_account e ON e.id = o.account_id AND e.customer_id = a.customer_id
          WHERE n.name = calling),
        called)
$$;
