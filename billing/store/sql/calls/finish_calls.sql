-- `finish_call` for several calls, its arguments as columns; how many of them the store knew. What they lock is locked
-- first.
CREATE OR REPLACE FUNCTION finish_calls(
    calls text[], ends timestamptz[], answers timestamptz[], seconds integer[], charges numeric[],
    causes integer[], statuses integer[], who text[], gateways bigint[],
    transferrers text[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    balances bigint[];
BEGIN
    PERFORM lock_in_order(calls, NULL, NULL, NULL);
    SELECT array_agg(c.balance_id) INTO balances FROM billing_activecall c WHERE c.call_id = ANY (calls);
    PERFORM lock_in_order(NULL, NULL, NULL, balances);
    RETURN (
        SELECT count(*)
          FROM unnest(calls, ends, answers, seconds, charges, causes, statuses, who, gateways,
                     transferrers)
                   AS f (call, ends, answered, seconds, charge, cause, status, who, gateway, transferrer),
               LATERAL finish_call(f.call, f.ends, f.answered, f.seconds, f.charge, f.cause, f.status, f.who, f.gateway,
                                   NULL, f.transferrer));
END $$;
