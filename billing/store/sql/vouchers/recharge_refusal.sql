-- Why an account of this kind and state, of a customer in that one, is not recharged by vouchers; null: it is.
CREATE OR REPLACE FUNCTION recharge_refusal(kind text, state text, customer_state text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN kind NOT IN ('debit', 'credit') THEN 'kind'
                WHEN state = 'closed' OR customer_state = 'closed' THEN 'account' END
$$;
