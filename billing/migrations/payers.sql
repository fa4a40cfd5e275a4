-- A call that an account forwards counts for that account, which pays it.

-- As before, but for forwarded calls. They are outgoing calls of who forwards: all legs of one call that is forwarded
-- are one, because only one of them is ever talked on. Together with the call that is forwarded, which `max_calls`
-- counts already, they are one call more for nobody.
CREATE OR REPLACE FUNCTION is_one_call_too_many(call text, incoming boolean, account bigint, customer bigint,
                                                callee bigint, callee_customer bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF num_nonnulls(account, callee) > 0 THEN
        PERFORM count_accounts_alone(ARRAY[account, callee]);
    END IF;
    IF num_nonnulls(customer, callee_customer) > 0 THEN
        PERFORM FROM billing_customer WHERE id IN (customer, callee_customer) ORDER BY id FOR NO KEY UPDATE;
    END IF;
    IF num_nonnulls(account, callee) > 0 AND EXISTS (
        SELECT FROM billing_account a CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE l.forwards IS NULL OR l.callee_id = a.id) AS calls,
                   count(*) FILTER (WHERE l.account_id = a.id AND l.direction <> 'incoming' AND l.forwards IS NULL)
                   + count(DISTINCT l.forwards) FILTER (WHERE l.account_id = a.id) AS calls_out,
                   count(*) FILTER (WHERE l.callee_id = a.id OR l.direction = 'incoming') AS calls_in
                FROM billing_activecall l
                WHERE (l.account_id = a.id AND l.limited OR l.callee_id = a.id) AND l.call_id <> call) AS live
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
                WHERE (l.customer_id = c.id OR l.callee_customer_id = c.id) AND l.call_id <> call) AS live
            WHERE c.id IN (customer, callee_customer)
            AND (c.max_calls <= live.calls
                OR c.id = customer AND NOT incoming AND c.max_calls_out <= live.calls_out
                OR (c.id = callee_customer OR incoming) AND c.max_calls_in <= live.calls_in));
END $$;

DROP FUNCTION start_forward(text, bigint, text, bigint, bigint, text, text, text, text, text, bigint, text, timestamptz,
                            numeric, numeric, bigint, text, numeric, integer, integer, numeric, numeric, bigint,
                            boolean, text, integer);

-- Registers a call that an account forwards, as `start_call` does. It counts against `most`, the limit of its forward,
-- against the outgoing calls of the account and against its customer's limits. `of_call` is the call that is forwarded;
-- null: unknown, the leg counts by itself.
CREATE FUNCTION start_forward(
    call text, life bigint, node_name text, account bigint, balance bigint, way text, cli text, cld text,
    destination_name text, country_name text, gateway bigint, sip_call text, starts timestamptz,
    want numeric, minimum numeric,
    rate bigint, rate_prefix text, fee numeric, first_seconds integer, next_seconds integer,
    first_minute numeric, next_minute numeric,
    called bigint, exempt boolean, forward_name text, most integer, of_call text,
    OUT granted numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    max_out integer;
BEGIN
    of_call := coalesce(of_call, call);
    -- Two that begin at once are counted one after the other; locked in the order of `is_one_call_too_many`.
    PERFORM count_accounts_alone(ARRAY[account, called]);
    SELECT max_calls_out INTO max_out FROM billing_account WHERE id = account AND NOT exempt;
    IF most <= (SELECT count(*) FROM billing_activecall l
                 WHERE l.account_id = account AND l.forward = forward_name AND l.call_id <> call)
        OR max_out <= (SELECT count(*) FILTER (WHERE l.forwards IS NULL) + count(DISTINCT l.forwards)
                         FROM billing_activecall l
                        WHERE l.account_id = account AND l.limited AND l.direction <> 'incoming' AND l.call_id <> call
                          AND l.forwards IS DISTINCT FROM of_call)
    THEN
        granted := 0;
        refusal := 'concurrency';
        RETURN;
    END IF;
    SELECT s.granted, s.refusal INTO granted, refusal FROM start_call(
        call, life, node_name, account, balance, way, cli, cld, destination_name, country_name, gateway, sip_call,
        starts, want, minimum, rate, rate_prefix, fee, first_seconds, next_seconds, first_minute, next_minute, called,
        exempt) AS s;
    IF refusal IS NULL THEN
        UPDATE billing_activecall SET forward = forward_name, forwards = of_call, limited = max_out IS NOT NULL
            WHERE call_id = call;
    END IF;
END $$;

-- Who may owe had no limit of simultaneous calls unless one was set: one phone in the wrong hands could lock, or spend,
-- all that a company has. Now those have the limit that new ones get.
UPDATE billing_account SET max_calls_out = 10 WHERE kind <> 'debit' AND max_calls_out IS NULL;
