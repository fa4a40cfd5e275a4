-- Whether two accounts, by number or a name that is dialled, are of one customer.
CREATE OR REPLACE FUNCTION are_colleagues(one text, other text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM billing_alias m JOIN billing_account a ON a.id = m.account_id
          JOIN billing_account b ON b.customer_id = a.customer_id
          JOIN billing_alias n ON n.account_id = b.id
         WHERE m.name = one AND n.name = other AND strpos(other, '@') = 0)
$$;
