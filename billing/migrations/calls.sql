-- One function, one round trip and one transaction for each event of a call.

-- Charged time; the same formula as billing_client.rules.rating.billed_seconds.
CREATE FUNCTION call_billed_seconds(first_increment integer, next_increment integer, seconds numeric)
RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN seconds > 0 THEN
        first_increment
        + greatest(0, ceil((ceil(seconds) - first_increment) / next_increment))::integer * next_increment
    ELSE 0 END
$$;

-- Exact until the one rounding, half up to five decimals; the same formula as billing_client.rules.rating.cost.
-- Twenty decimals before the division keep its result exact far behind the fifth.
CREATE FUNCTION call_charge(connect_fee numeric, first_increment integer, first_price numeric, next_price numeric,
                            billed_seconds integer)
RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN billed_seconds > 0 THEN
        round((connect_fee * 60 + first_increment * first_price
               + (billed_seconds - first_increment) * next_price)::numeric(60, 20) / 60, 5)
    ELSE 0 END
$$;

-- Registers a call and locks its first slice. Asked again with the same call it answers as before.
CREATE FUNCTION start_call(
    call text, life bigint, node_name text, account bigint, balance bigint, way text, cli text, cld text,
    destination_name text, country_name text, gateway bigint, sip_call text, starts timestamptz,
    want numeric, minimum numeric,
    rate bigint, rate_prefix text, fee numeric, first_seconds integer, next_seconds integer,
    first_minute numeric, next_minute numeric,
    OUT granted numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    most integer;
    owes boolean := false;
    unit text := '';
BEGIN
    granted := 0;
    IF way <> 'incoming' THEN
        -- The lock makes simultaneous calls of a limited account count one after another.
        SELECT max_calls INTO most FROM billing_account WHERE id = account AND max_calls IS NOT NULL
            FOR NO KEY UPDATE;
        IF FOUND AND most <= (SELECT count(*) FROM billing_activecall
                               WHERE account_id = account AND limited AND call_id <> call) THEN
            refusal := 'concurrency';
            RETURN;
        END IF;
    END IF;
    IF want > 0 THEN
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
        sip_call_id, started_at, locked, owes, currency, limited, rate_id, prefix, connect_fee, first_increment,
        next_increment, first_price, next_price)
    VALUES (
        call, life, node_name, account, balance, way, cli, cld, destination_name, country_name, gateway,
        sip_call, starts, granted, owes, unit, most IS NOT NULL, rate, rate_prefix, fee, first_seconds,
        next_seconds, first_minute, next_minute)
    ON CONFLICT (call_id) DO NOTHING;
    IF NOT FOUND THEN
        UPDATE billing_balance SET locked = locked - granted WHERE id = balance AND granted > 0;
        SELECT locked INTO granted FROM billing_activecall WHERE call_id = call;
    END IF;
END $$;

-- Locks slice number `number` (1, 2, ...) of a call; a slice granted before is not locked again.
CREATE FUNCTION extend_call(call text, number integer, want numeric, minimum numeric,
                            OUT held numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    c record;
    grant_ record;
BEGIN
    SELECT balance_id, locked, slice INTO c FROM billing_activecall WHERE call_id = call FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        held := 0;
        refusal := 'unknown call';
        RETURN;
    END IF;
    held := c.locked;
    IF c.slice >= number THEN
        RETURN;
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

-- Ends a call exactly once: frees its locks, charges no more than they held, writes the record. Asked again it
-- answers from the record; no row: there was no such call.
CREATE FUNCTION finish_call(call text, ends timestamptz, answered timestamptz, seconds integer, charge numeric,
                            q850 integer, status integer, who text, gateway bigint)
RETURNS TABLE (amount numeric, billed_seconds integer, currency text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c billing_activecall;
BEGIN
    DELETE FROM billing_activecall WHERE call_id = call RETURNING * INTO c;
    IF NOT FOUND THEN
        RETURN QUERY SELECT x.amount, x.billed_seconds, x.currency::text FROM billing_xdr x WHERE x.call_id = call;
        RETURN;
    END IF;
    charge := greatest(0, least(charge, c.locked));
    IF charge > 0 THEN
        INSERT INTO billing_ledgerentry (key, balance_id, amount, released, kind)
            VALUES ('call:' || call, c.balance_id, CASE WHEN c.owes THEN charge ELSE -charge END, c.locked, 'call');
    ELSIF c.locked > 0 THEN
        UPDATE billing_balance SET locked = locked - c.locked WHERE id = c.balance_id;
    END IF;
    INSERT INTO billing_xdr (
        call_id, node, account_id, balance_id, direction, caller, dialled, destination, country, gateway_id,
        sip_call_id, started_at, answered_at, ended_at, billed_seconds, amount, currency, cause, sip_status, ended_by,
        rate_id, prefix, connect_fee, first_increment, next_increment, first_price, next_price)
    VALUES (
        call, c.node, c.account_id, c.balance_id, c.direction, c.caller, c.dialled, c.destination, c.country,
        coalesce(gateway, c.gateway_id), c.sip_call_id, c.started_at, coalesce(answered, c.answered_at), ends,
        seconds, charge, c.currency, q850, status, who,
        c.rate_id, c.prefix, c.connect_fee, c.first_increment, c.next_increment, c.first_price, c.next_price);
    amount := charge;
    billed_seconds := seconds;
    currency := c.currency;
    RETURN NEXT;
END $$;

CREATE FUNCTION calls_answered(calls text[], answers timestamptz[]) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_activecall c SET answered_at = a.answered_at
        FROM unnest(calls, answers) AS a (call_id, answered_at) WHERE c.call_id = a.call_id
$$;

-- Settles what earlier lives of this node left behind, up to the last heartbeat of each; returns how many calls.
CREATE FUNCTION adopt_orphans(node_name text, life bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    orphan record;
    adopted integer := 0;
    seconds integer;
BEGIN
    FOR orphan IN
        SELECT c.*, greatest(n.heartbeat_at, c.started_at, c.answered_at) AS ended_at
            FROM billing_activecall c JOIN billing_node n ON n.id = c.life_id
            WHERE n.name = node_name AND n.id < life
            ORDER BY c.balance_id, c.call_id
    LOOP
        seconds := coalesce(call_billed_seconds(orphan.first_increment, orphan.next_increment,
            extract(epoch FROM orphan.ended_at - orphan.answered_at)), 0);
        PERFORM finish_call(orphan.call_id, orphan.ended_at, orphan.answered_at, seconds,
            coalesce(call_charge(orphan.connect_fee, orphan.first_increment, orphan.first_price, orphan.next_price,
                                 seconds), 0),
            41, NULL, 'orphan', orphan.gateway_id);
        adopted := adopted + 1;
    END LOOP;
    DELETE FROM billing_node n WHERE n.name = node_name AND n.id < life
        AND NOT EXISTS (SELECT FROM billing_activecall c WHERE c.life_id = n.id);
    RETURN adopted;
END $$;

-- Everything in which ledger, balances, locks and records disagree; no row: the books are right.
CREATE FUNCTION audit() RETURNS TABLE (finding text, subject text, expected numeric, found numeric)
LANGUAGE sql STABLE AS $$
    SELECT 'balance differs from its ledger', b.id::text, coalesce(l.total, 0), b.amount
        FROM billing_balance b
        LEFT JOIN (SELECT balance_id, sum(amount) AS total FROM billing_ledgerentry GROUP BY balance_id) l
            ON l.balance_id = b.id
        WHERE b.amount <> coalesce(l.total, 0)
    UNION ALL
    SELECT 'locks differ from live calls', b.id::text, coalesce(c.total, 0), b.locked
        FROM billing_balance b
        LEFT JOIN (SELECT balance_id, sum(locked) AS total FROM billing_activecall GROUP BY balance_id) c
            ON c.balance_id = b.id
        WHERE b.locked <> coalesce(c.total, 0)
    UNION ALL
    SELECT 'record and ledger disagree', coalesce('call:' || x.call_id, e.key), x.amount, abs(e.amount)
        FROM (SELECT * FROM billing_xdr WHERE amount > 0) x
        FULL JOIN (SELECT * FROM billing_ledgerentry WHERE kind = 'call') e
            ON e.key = 'call:' || x.call_id AND e.balance_id = x.balance_id
        WHERE x.amount IS DISTINCT FROM abs(e.amount)
    UNION ALL
    SELECT 'call both live and recorded', c.call_id, NULL, NULL
        FROM billing_activecall c JOIN billing_xdr x ON x.call_id = c.call_id
$$;
