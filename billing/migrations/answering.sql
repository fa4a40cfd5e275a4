-- How accounts take their calls, and calls that they forward.

DROP FUNCTION parties(text, text);

-- The accounts that two names lead to; that of the second once for each live binding of what it rings. `answering`
-- says how an account takes its calls; null: it only rings.
CREATE FUNCTION parties(calling text, called text) RETURNS TABLE (
    asked text, account_id bigint, number text, name text, display text, customer_id bigint, customer_name text,
    kind text, refusal text, tariff_id bigint, balance_id bigint, currency text, available numeric, password text,
    via text, may_call boolean, answering text,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT n.name, a.id, a.number, CASE WHEN n.allow_authentication THEN n.name ELSE a.number END, a.display,
           c.id, c.name, a.kind,
           account_refusal(a.kind, a.state, c.state, a.activation_date, a.expiry_date),
           p.tariff_id, f.id, f.currency, f.available, a.password,
           CASE WHEN n.is_number THEN 'account' WHEN n.name LIKE '%@pstn' THEN 'ani' ELSE 'alias' END,
           n.allow_authentication,
           CASE WHEN a.answering <> '{}' OR m.account_id > 0
                THEN (a.answering || jsonb_build_object('timezone', a.timezone, 'mailbox', m.enabled))::text END,
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        JOIN billing_balance f ON f.id = a.balance_id
        LEFT JOIN billing_product p ON p.id = a.product_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_binding b
            ON n.name = called AND b.expires_at > now()
            AND b.aor = CASE WHEN n.allow_authentication THEN n.name ELSE a.number END
        WHERE n.name IN (calling, called)
$$;

-- Changes single things of how an account answers: a null takes one away. Names that lead to no account change nothing.
CREATE FUNCTION set_answering(asked text, change jsonb) RETURNS boolean LANGUAGE sql AS $$
    WITH changed AS (
        UPDATE billing_account a
            SET answering = jsonb_strip_nulls(
                (answering || (change - 'forward'))
                || CASE WHEN change ? 'forward'
                        THEN jsonb_build_object('forward', coalesce(answering -> 'forward', '{}') || (change -> 'forward'))
                        ELSE '{}' END)
            FROM billing_alias n WHERE n.name = asked AND a.id = n.account_id
            RETURNING a.id)
    SELECT EXISTS (SELECT FROM changed)
$$;

-- Registers a call that an account forwards, as `start_call` does. It counts against `most`, the limit of its forward,
-- and its customer's limits, not against the account's own: that counts the call that is forwarded.
CREATE FUNCTION start_forward(
    call text, life bigint, node_name text, account bigint, balance bigint, way text, cli text, cld text,
    destination_name text, country_name text, gateway bigint, sip_call text, starts timestamptz,
    want numeric, minimum numeric,
    rate bigint, rate_prefix text, fee numeric, first_seconds integer, next_seconds integer,
    first_minute numeric, next_minute numeric,
    called bigint, exempt boolean, forward_name text, most integer,
    OUT granted numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
BEGIN
    -- Two that begin at once are counted one after the other; locked in the order of `is_one_call_too_many`.
    PERFORM FROM billing_account WHERE id IN (account, called) ORDER BY id FOR NO KEY UPDATE;
    IF most <= (SELECT count(*) FROM billing_activecall l
                 WHERE l.account_id = account AND l.forward = forward_name AND l.call_id <> call) THEN
        granted := 0;
        refusal := 'concurrency';
        RETURN;
    END IF;
    SELECT s.granted, s.refusal INTO granted, refusal FROM start_call(
        call, life, node_name, account, balance, way, cli, cld, destination_name, country_name, gateway, sip_call,
        starts, want, minimum, rate, rate_prefix, fee, first_seconds, next_seconds, first_minute, next_minute, called,
        exempt) AS s;
    IF refusal IS NULL THEN
        UPDATE billing_activecall SET forward = forward_name WHERE call_id = call;
    END IF;
END $$;

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
