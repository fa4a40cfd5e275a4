-- Accounts with what their customers and their use add to them. `terms`: what the life of an account rests on as
-- JSON, in the order of `billing_client.rules.lifecycle.LifeTerms`, which decides; null: nothing forbids the use,
-- ever. Uses count only where days are counted from them. `plan`: what account and customer say of how is dialled, the
-- account first; one of another country takes nothing over. `place`: the same of where its phones are. Null: nothing.
CREATE VIEW account_with_terms AS
    SELECT a.*, c.name AS customer_name, c.alias_authentication,
           nullif(CASE WHEN a.numbering ? 'country' THEN a.numbering ELSE c.numbering || a.numbering END,
                  '{}')::text AS plan,
           nullif(c.emergency || a.emergency, '{}')::text AS place,
           coalesce(nullif(a.timezone, ''), c.timezone) AS zone,
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
