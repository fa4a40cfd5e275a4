-- Why a voucher cannot be redeemed for an account of this currency and sub-realm. 'used' if nothing speaks against it
-- any more: the one who held it meanwhile has used it or gave it back this instant; asking again tells.
CREATE OR REPLACE FUNCTION voucher_refusal(voucher_id text, account_currency text, account_realm text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT CASE WHEN v.used_at IS NOT NULL THEN 'used'
                    WHEN v.state <> 'active' THEN v.state
                    WHEN voucher_expired(v.expires, c.timezone) THEN 'expired'
                    WHEN v.currency <> account_currency THEN 'currency'
                    WHEN v.sub_realm <> account_realm THEN 'realm'
                    ELSE 'used' END
          FROM billing_voucher v
          JOIN billing_batch k ON k.id = v.batch_id
          JOIN billing_customer c ON c.id = k.customer_id
         WHERE v.id = voucher_id), 'unknown')
$$;
