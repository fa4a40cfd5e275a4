-- Accounts with what their customers and their use add to them. `terms`: what the life of an account rests on as
-- JSON, in the order of `billing_client.rules.lifecycle.LifeTerms`, which decides; null: nothing forbids the use,
-- ever. Uses count only where days are counted from them.
CREATE VIEW account_with_terms AS
    SELECT a.*, c.name AS customer_name, c.alias_authentication, coalesce(nullif(a.timezone, ''), c.timezone) AS zone,
           CASE WHEN a.kind = 'voucher' OR a.state <> 'active' OR c.state <> 'active'
                  OR num_nonnulls(a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                                  a.expire_after_last_use_days) > 0
                THEN json_build_array(a.kind, a.state, c.state, a.activation_date, a.expiry_date,
                                      a.expire_after_first_use_days, a.expire_after_last_use_days,
                                      extract(epoch FROM u.first_used_at), extract(epoch FROM u.last_used_at),
                                      extract(epoch FROM u.renewed_at), c.timezone)::text END AS terms
      FROM billing_account a
      JOIN billing_customer c ON c.id = a.customer_id
      LEFT JOIN billing_accountuse u ON u.account_id = a.id
           AND num_nonnulls(a.expire_after_first_use_days, a.expire_after_last_use_days) > 0;
