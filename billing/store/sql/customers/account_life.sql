-- The terms of an account's life, for whoever tells when it ends; null: nothing ends it.
CREATE OR REPLACE FUNCTION account_life(account bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT account_terms(a.kind, a.state, c.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, u.first_used_at, u.last_used_at, u.renewed_at, c.timezone)
      FROM billing_account a JOIN billing_customer c ON c.id = a.customer_id
      LEFT JOIN billing_accountuse u ON u.account_id = a.id
     WHERE a.id = account
$$;
