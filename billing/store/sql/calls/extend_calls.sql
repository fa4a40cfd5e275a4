-- `extend_call` for several calls, its arguments as columns: their answers in their order. What they lock is locked
-- first.
CREATE OR REPLACE FUNCTION extend_calls(calls text[], numbers integer[], wants numeric[], minimums numeric[])
RETURNS TABLE (held numeric, refusal text) LANGUAGE plpgsql AS $$
DECLARE
    customers bigint[];
    balances bigint[];
BEGIN
    PERFORM lock_in_order(calls, NULL, NULL, NULL);
    SELECT array_agg(c.customer_id), array_agg(c.balance_id) INTO customers, balances
      FROM billing_activecall c WHERE c.call_id = ANY (calls);
    PERFORM lock_in_order(NULL, NULL, customers, balances);
    RETURN QUERY SELECT x.held, x.refusal
        FROM unnest(calls, numbers, wants, minimums) WITH ORDINALITY AS e (call, number, want, minimum, position),
             LATERAL extend_call(e.call, e.number, e.want, e.minimum) AS x
        ORDER BY e.position;
END $$;
