-- Whether one more call would pass the limit `most` of the forward that it goes by, or `most_out`, that of the outgoing
-- calls of the account that forwards it and pays; null: no limit. All legs of one call that is forwarded are one call.
CREATE OR REPLACE FUNCTION is_one_forward_too_many(c billing_activecall, most integer, most_out integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_in_order(NULL, ARRAY[c.account_id, c.callee_id], NULL, NULL);
    RETURN coalesce(
        most <= (SELECT count(*) FROM billing_activecall l
                  WHERE l.account_id = c.account_id AND l.forward = c.forward AND l.call_id <> c.call_id), false)
        OR coalesce(
        most_out <= (SELECT count(*) FILTER (WHERE l.forwards IS NULL) + count(DISTINCT l.forwards)
                       FROM billing_activecall l
                      WHERE l.account_id = c.account_id AND l.limited AND l.direction <> 'incoming'
                        AND l.call_id <> c.call_id AND l.forwards IS DISTINCT FROM c.forwards), false);
END $$;
