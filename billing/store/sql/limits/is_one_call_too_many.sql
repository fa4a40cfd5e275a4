-- Whether one more call would pass a limit of the account that makes or gets it, of the account that is called, or of
-- their customers; null: not counted there. Each is locked until the end of the transaction, so that simultaneous calls
-- are counted one after another.
-- Forwarded calls are outgoing calls of who forwards: all legs of one call that is forwarded are one, because only one
-- of them is ever talked on. Together with the call that is forwarded, which `max_calls` counts already, they are one
-- call more for nobody. The call `held` is held by the same account, or given away by this one: it does not count.
CREATE OR REPLACE FUNCTION is_one_call_too_many(call text, held text, incoming boolean, account bigint,
                                                customer bigint, callee bigint, callee_customer bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_in_order(NULL, ARRAY[account, callee], ARRAY[customer, callee_customer], NULL);
    IF num_nonnulls(account, callee) > 0 AND EXISTS (
        SELECT FROM billing_account a CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE l.forwards IS NULL OR l.callee_id = a.id) AS calls,
                   count(*) FILTER (WHERE l.account_id = a.id AND l.direction <> 'incoming' AND l.forwards IS NULL)
                   + count(DISTINCT l.forwards) FILTER (WHERE l.account_id = a.id) AS calls_out,
                   count(*) FILTER (WHERE l.callee_id = a.id OR l.direction = 'incoming') AS calls_in
                FROM billing_activecall l
                WHERE (l.account_id = a.id AND l.limited OR l.callee_id = a.id)
                  AND l.call_id <> call AND l.call_id IS DISTINCT FROM held) AS live
            WHERE a.id IN (account, callee)
            AND (a.max_calls <= live.calls
                OR a.id = account AND NOT incoming AND a.max_calls_out <= live.calls_out
                OR (a.id = callee OR incoming) AND a.max_calls_in <= live.calls_in))
    THEN
        RETURN true;
    END IF;
    RETURN num_nonnulls(customer, callee_customer) > 0 AND EXISTS (
        SELECT FROM billing_customer c CROSS JOIN LATERAL (
            SELECT count(*) AS calls,
                   count(*) FILTER (WHERE l.customer_id = c.id AND l.direction <> 'incoming') AS calls_out,
                   count(*) FILTER (WHERE l.callee_customer_id = c.id OR l.direction = 'incoming') AS calls_in
                FROM billing_activecall l
                WHERE (l.customer_id = c.id OR l.callee_customer_id = c.id)
                  AND l.call_id <> call AND l.call_id IS DISTINCT FROM held) AS live
            WHERE c.id IN (customer, callee_customer)
            AND (c.max_calls <= live.calls
                OR c.id = customer AND NOT incoming AND c.max_calls_out <= live.calls_out
                OR (c.id = callee_customer OR incoming) AND c.max_calls_in <= live.calls_in));
END $$;
