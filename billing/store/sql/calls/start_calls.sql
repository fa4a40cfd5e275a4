-- `start_call` for several calls, its arguments as lists: their answers in their order, and each counts those before
-- it. What they may lock is locked first.
CREATE OR REPLACE FUNCTION start_calls(starts billing_activecall[], wants numeric[], minimums numeric[],
                                       exempt boolean[])
RETURNS TABLE (granted numeric, refusal text) LANGUAGE plpgsql AS $$
DECLARE
    accounts bigint[];
    customers bigint[];
    balances bigint[];
BEGIN
    SELECT array_agg(starts[n].account_id) || array_agg(starts[n].callee_id),
           array_agg(starts[n].balance_id) FILTER (WHERE wants[n] > 0)
      INTO accounts, balances FROM generate_subscripts(starts, 1) AS n;
    SELECT array_agg(a.id) FILTER (WHERE num_nonnulls(a.max_calls, a.max_calls_in, a.max_calls_out) > 0),
           array_agg(c.id) FILTER (WHERE num_nonnulls(c.max_calls, c.max_calls_in, c.max_calls_out, c.hourly_limit,
                                                      c.daily_limit) > 0)
      INTO accounts, customers
      FROM billing_account a JOIN billing_customer c ON c.id = a.customer_id WHERE a.id = ANY (accounts);
    PERFORM lock_in_order(NULL, accounts, customers, balances);
    RETURN QUERY SELECT s.granted, s.refusal
        FROM generate_subscripts(starts, 1) AS n,
             LATERAL start_call(starts[n], wants[n], minimums[n], exempt[n], NULL) AS s
        ORDER BY n;
END $$;
