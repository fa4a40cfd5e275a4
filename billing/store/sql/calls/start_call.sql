-- Registers a call and locks its first slice. Asked again with the same call it answers as before.
-- `called`: the account that is called, where it is one of ours. An `exempt` call passes every limit, a
-- forwarded one those of its account.
CREATE OR REPLACE FUNCTION start_call(
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
    SELECT num_nonnulls(a.max_calls, a.max_calls_in, a.max_calls_out) > 0 AND way <> 'forwarded' AS limited,
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
