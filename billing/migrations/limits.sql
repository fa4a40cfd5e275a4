-- Limits of calls and of spending, held inside the functions that start and extend calls.

-- Whether one more call would pass a limit of the account that makes or gets it, of the account that is called, or of
-- their customers; null: not counted there. The row of each is locked until the end of the transaction, so that
-- simultaneous calls are counted one after another; in the order of their ids, so that nobody waits in a circle.
CREATE FUNCTION is_one_call_too_many(call text, incoming boolean, account bigint, customer bigint,
                                     callee bigint, callee_customer bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF num_nonnulls(account, callee) > 0 THEN
        PERFORM FROM billing_account WHERE id IN (account, callee) ORDER BY id FOR NO KEY UPDATE;
    END IF;
    IF num_nonnulls(customer, callee_customer) > 0 THEN
        PERFORM FROM billing_customer WHERE id IN (customer, callee_customer) ORDER BY id FOR NO KEY UPDATE;
    END IF;
    IF num_nonnulls(account, callee) > 0 AND EXISTS (
        SELECT FROM billing_account a CROSS JOIN LATERAL (
            SELECT count(*) AS calls,
                   count(*) FILTER (WHERE l.account_id = a.id AND l.direction <> 'incoming') AS calls_out,
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

-- How much of `want` a customer's spending limits leave room for; null: all of it.
-- Spent is what was charged in this hour or day (UTC) and what live calls hold, all in the currency of the balance; so
-- a limit is never passed, as a balance is not. The call `but` does not count itself.
-- The first time that a limit stands in the way in its hour or day is written down and announced, and a limit that
-- locks blocks the customer then. Whoever lifts the block does so for the rest of that hour or day.
CREATE FUNCTION spending_room(customer bigint, balance bigint, want numeric, but text)
RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    c billing_customer;
    unit text;
    p record;
    room numeric;
BEGIN
    SELECT * INTO c FROM billing_customer WHERE id = customer FOR NO KEY UPDATE;
    IF c.hourly_limit IS NULL AND c.daily_limit IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT currency INTO unit FROM billing_balance WHERE id = balance;
    FOR p IN
        WITH now_ AS (SELECT date_trunc('hour', now(), 'UTC') AS hour, date_trunc('day', now(), 'UTC') AS day),
             held AS (SELECT coalesce(sum(locked), 0) AS locked FROM billing_activecall
                       WHERE customer_id = customer AND currency = unit AND call_id <> but),
             spent AS (SELECT coalesce(sum(s.amount), 0) AS in_day,
                              coalesce(sum(s.amount) FILTER (WHERE s.hour = now_.hour), 0) AS in_hour
                         FROM now_ LEFT JOIN billing_spending s
                           ON s.customer_id = customer AND s.currency = unit AND s.hour >= now_.day)
        SELECT 'hour' AS period, now_.hour AS since, c.hourly_limit AS most, c.hourly_action AS action,
               in_hour + held.locked AS spent FROM now_, held, spent WHERE c.hourly_limit IS NOT NULL
        UNION ALL
        SELECT 'day', now_.day, c.daily_limit, c.daily_action, in_day + held.locked
          FROM now_, held, spent WHERE c.daily_limit IS NOT NULL
    LOOP
        CONTINUE WHEN p.spent + want <= p.most;
        INSERT INTO billing_spendingalert (customer_id, currency, period, since, action, most, spent)
            VALUES (customer, unit, p.period, p.since, p.action, p.most, p.spent) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            PERFORM pg_notify('softswitch', concat_ws(':', 'spending', p.period, p.action, c.name));
            IF p.action = 'lock' AND c.state = 'active' THEN
                UPDATE billing_customer SET state = 'blocked' WHERE id = customer RETURNING state INTO c.state;
            END IF;
        END IF;
        IF p.action = 'block' OR p.action = 'lock' AND c.state <> 'active' THEN
            room := greatest(0, least(room, p.most - p.spent));
        END IF;
    END LOOP;
    RETURN room;
END $$;

DROP FUNCTION start_call(text, bigint, text, bigint, bigint, text, text, text, text, text, bigint, text, timestamptz,
                         numeric, numeric, bigint, text, numeric, integer, integer, numeric, numeric);

-- Registers a call and locks its first slice. Asked again with the same call it answers as before.
-- `called`: the account that is called, where it is one of ours. An `exempt` call passes every limit.
CREATE FUNCTION start_call(
    call text, life bigint, node_name text, account bigint, balance bigint, way text, cli text, cld text,
    destination_name text, country_name text, gateway bigint, sip_call text, starts timestamptz,
    want numeric, minimum numeric,
    rate bigint, rate_prefix text, fee numeric, first_seconds integer, next_seconds integer,
    first_minute numeric, next_minute numeric,
    called bigint, exempt boolean,
    OUT granted numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    l record;
    owes boolean := false;
    unit text := '';
BEGIN
    granted := 0;
    -- A call is counted only where a limit asks for it. A life that was declared dead begins no calls.
    SELECT num_nonnulls(a.max_calls, a.max_calls_in, a.max_calls_out) > 0 AS limited,
           CASE WHEN num_nonnulls(c.max_calls, c.max_calls_in, c.max_calls_out, c.hourly_limit, c.daily_limit) > 0
                THEN c.id END AS customer,
           CASE WHEN num_nonnulls(b.max_calls, b.max_calls_in) > 0 THEN b.id END AS callee,
           CASE WHEN num_nonnulls(d.max_calls, d.max_calls_in) > 0 THEN d.id END AS callee_customer,
           least(a.max_call_price, c.max_call_price) AS cap
        INTO l
        FROM billing_node n
        LEFT JOIN (billing_account a JOIN billing_customer c ON c.id = a.customer_id) ON a.id = account AND NOT exempt
        LEFT JOIN (billing_account b JOIN billing_customer d ON d.id = b.customer_id) ON b.id = called AND NOT exempt
        WHERE n.id = life AND n.ended_at IS NULL;
    IF NOT FOUND THEN
        refusal := 'dead';
        RETURN;
    END IF;
    IF (l.limited OR num_nonnulls(l.customer, l.callee, l.callee_customer) > 0) AND is_one_call_too_many(
        call, way = 'incoming', CASE WHEN l.limited THEN account END, l.customer, l.callee, l.callee_customer)
    THEN
        refusal := 'concurrency';
        RETURN;
    END IF;
    IF want > 0 THEN
        want := least(want, l.cap);
        IF want < minimum OR want <= 0 THEN
            refusal := 'cap';
            RETURN;
        END IF;
        IF l.customer IS NOT NULL THEN
            want := least(want, spending_room(l.customer, balance, want, call));
            IF want < minimum OR want <= 0 THEN
                refusal := 'spending';
                RETURN;
            END IF;
        END IF;
        SELECT * INTO granted, owes, unit FROM lock_funds(balance, want, minimum);
        IF granted = 0 THEN
            SELECT locked INTO granted FROM billing_activecall WHERE call_id = call;
            IF NOT FOUND THEN
                granted := 0;
                refusal := 'funds';
            END IF;
            RETURN;
        END IF;
    END IF;
    INSERT INTO billing_activecall (
        call_id, life_id, node, account_id, balance_id, direction, caller, dialled, destination, country, gateway_id,
        sip_call_id, started_at, locked, owes, currency, limited, customer_id, callee_id, callee_customer_id, cap,
        rate_id, prefix, connect_fee, first_increment, next_increment, first_price, next_price)
    VALUES (
        call, life, node_name, account, balance, way, cli, cld, destination_name, country_name, gateway,
        sip_call, starts, granted, owes, unit, coalesce(l.limited, false), l.customer, l.callee, l.callee_customer, l.cap,
        rate, rate_prefix, fee, first_seconds, next_seconds, first_minute, next_minute)
    ON CONFLICT (call_id) DO NOTHING;
    IF NOT FOUND THEN
        UPDATE billing_balance SET locked = locked - granted WHERE id = balance AND granted > 0;
        SELECT locked INTO granted FROM billing_activecall WHERE call_id = call;
    END IF;
END $$;

-- Locks slice number `number` (1, 2, ...) of a call; a slice granted before is not locked again.
CREATE OR REPLACE FUNCTION extend_call(call text, number integer, want numeric, minimum numeric,
                                       OUT held numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    c record;
    grant_ record;
BEGIN
    SELECT balance_id, locked, slice, cap, customer_id INTO c
        FROM billing_activecall WHERE call_id = call FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        held := 0;
        refusal := 'unknown call';
        RETURN;
    END IF;
    held := c.locked;
    IF c.slice >= number THEN
        RETURN;
    END IF;
    want := least(want, c.cap - c.locked);
    IF c.cap IS NOT NULL AND (want < minimum OR want <= 0) THEN
        refusal := 'cap';
        RETURN;
    END IF;
    IF c.customer_id IS NOT NULL THEN
        want := least(want, spending_room(c.customer_id, c.balance_id, want, ''));
        IF want < minimum OR want <= 0 THEN
            refusal := 'spending';
            RETURN;
        END IF;
    END IF;
    grant_ := lock_funds(c.balance_id, want, minimum);
    IF grant_.granted = 0 THEN
        refusal := 'funds';
        RETURN;
    END IF;
    UPDATE billing_activecall
        SET locked = locked + grant_.granted, slice = number, owes = grant_.owes, currency = grant_.currency
        WHERE call_id = call RETURNING locked INTO held;
END $$;
