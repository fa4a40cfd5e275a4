-- The end of a call, exactly once, whoever tells it first: its switch, a journal that comes late, or another switch.

-- The end of a call that has a record already. Told by its switch after another one had settled it as an orphan, it
-- corrects that settlement, once, beside the record: by no more than the call had locked, and upwards by no more than
-- is available now. Anything else changes nothing. Answers what was charged in all; no row: no record.
CREATE FUNCTION settle_again(call text, ends timestamptz, answered timestamptz, seconds integer, charge numeric,
                             q850 integer, status integer, who text)
RETURNS TABLE (amount numeric, billed_seconds integer, currency text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    x billing_xdr;
    owes boolean;
    spare numeric;
    delta numeric;
BEGIN
    SELECT * INTO x FROM billing_xdr WHERE call_id = call;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF x.ended_by = 'orphan' AND who <> 'orphan' THEN
        SELECT b.kind = 'credit', b.available INTO owes, spare
            FROM billing_balance b WHERE b.id = x.balance_id FOR NO KEY UPDATE;
        delta := least(greatest(0, least(charge, x.held)) - x.amount, spare);
        INSERT INTO billing_correction (call_id, amount, answered_at, ended_at, billed_seconds, cause, sip_status, ended_by)
            VALUES (call, delta, coalesce(answered, x.answered_at), ends, seconds, q850, status, who)
            ON CONFLICT (call_id) DO NOTHING;
        IF FOUND AND delta <> 0 THEN
            INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
                VALUES ('correction:' || call, x.balance_id, CASE WHEN owes THEN delta ELSE -delta END, 'correction');
        END IF;
    END IF;
    RETURN QUERY SELECT x.amount + coalesce(k.amount, 0), coalesce(k.billed_seconds, x.billed_seconds), x.currency::text
        FROM (VALUES (1)) AS once LEFT JOIN billing_correction k ON k.call_id = call;
END $$;

-- Ends a call exactly once: frees its locks, charges no more than they held, writes the record. Asked again it
-- answers from the record; no row: there was no such call.
CREATE OR REPLACE FUNCTION finish_call(
    call text, ends timestamptz, answered timestamptz, seconds integer, charge numeric,
    q850 integer, status integer, who text, gateway bigint)
RETURNS TABLE (amount numeric, billed_seconds integer, currency text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c billing_activecall;
BEGIN
    DELETE FROM billing_activecall WHERE call_id = call RETURNING * INTO c;
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM settle_again(call, ends, answered, seconds, charge, q850, status, who);
        RETURN;
    END IF;
    charge := greatest(0, least(charge, c.locked));
    INSERT INTO billing_xdr (
        call_id, node, account_id, balance_id, direction, caller, dialled, destination, country, gateway_id,
        sip_call_id, started_at, answered_at, ended_at, billed_seconds, amount, currency, cause, sip_status, ended_by,
        rate_id, prefix, connect_fee, first_increment, next_increment, first_price, next_price, held)
    VALUES (
        call, c.node, c.account_id, c.balance_id, c.direction, c.caller, c.dialled, c.destination, c.country,
        coalesce(gateway, c.gateway_id), c.sip_call_id, c.started_at, coalesce(answered, c.answered_at), ends,
        seconds, charge, c.currency, q850, status, who,
        c.rate_id, c.prefix, c.connect_fee, c.first_increment, c.next_increment, c.first_price, c.next_price,
        CASE who WHEN 'orphan' THEN c.locked END)
    ON CONFLICT (call_id) DO NOTHING;
    IF NOT FOUND THEN
        -- The start was so late that the end had been recorded without it: nothing is charged twice.
        UPDATE billing_balance SET locked = locked - c.locked WHERE id = c.balance_id AND c.locked > 0;
        RETURN QUERY SELECT * FROM settle_again(call, ends, answered, seconds, charge, q850, status, who);
        RETURN;
    END IF;
    IF charge > 0 THEN
        INSERT INTO billing_ledgerentry (key, balance_id, amount, released, kind)
            VALUES ('call:' || call, c.balance_id, CASE WHEN c.owes THEN charge ELSE -charge END, c.locked, 'call');
        IF c.customer_id IS NOT NULL THEN
            INSERT INTO billing_spending AS s (customer_id, currency, hour, amount)
                VALUES (c.customer_id, c.currency, date_trunc('hour', now(), 'UTC'), charge)
                ON CONFLICT (customer_id, currency, hour) DO UPDATE SET amount = s.amount + EXCLUDED.amount;
        END IF;
    ELSIF c.locked > 0 THEN
        UPDATE billing_balance SET locked = locked - c.locked WHERE id = c.balance_id;
    END IF;
    amount := charge;
    billed_seconds := seconds;
    currency := c.currency;
    RETURN NEXT;
END $$;

-- Ends a call whose start may never have come: it is recorded from what its switch wrote down. Having locked nothing
-- it is charged at most what is available.
CREATE FUNCTION record_call(
    call text, ends timestamptz, answered timestamptz, seconds integer, charge numeric,
    q850 integer, status integer, who text, gateway bigint,
    node_name text, account bigint, balance bigint, way text, cli text, cld text,
    destination_name text, country_name text, sip_call text, starts timestamptz,
    rate bigint, rate_prefix text, fee numeric, first_seconds integer, next_seconds integer,
    first_minute numeric, next_minute numeric)
RETURNS TABLE (amount numeric, billed_seconds integer, currency text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    owes boolean := false;
    unit text := '';
BEGIN
    RETURN QUERY SELECT * FROM finish_call(call, ends, answered, seconds, charge, q850, status, who, gateway);
    IF FOUND THEN
        RETURN;
    END IF;
    IF charge > 0 THEN
        SELECT b.kind = 'credit', b.currency, least(charge, b.available) INTO owes, unit, charge
            FROM billing_balance b WHERE b.id = balance FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE foreign_key_violation USING MESSAGE = format('no balance %s', balance);
        END IF;
    END IF;
    INSERT INTO billing_xdr (
        call_id, node, account_id, balance_id, direction, caller, dialled, destination, country, gateway_id,
        sip_call_id, started_at, answered_at, ended_at, billed_seconds, amount, currency, cause, sip_status, ended_by,
        rate_id, prefix, connect_fee, first_increment, next_increment, first_price, next_price)
    VALUES (
        call, node_name, account, balance, way, cli, cld, destination_name, country_name, gateway,
        sip_call, starts, answered, ends, seconds, charge, unit, q850, status, who,
        rate, rate_prefix, fee, first_seconds, next_seconds, first_minute, next_minute)
    ON CONFLICT (call_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM settle_again(call, ends, answered, seconds, charge, q850, status, who);
        RETURN;
    END IF;
    IF charge > 0 THEN
        INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
            VALUES ('call:' || call, balance, CASE WHEN owes THEN charge ELSE -charge END, 'call');
    END IF;
    RETURN QUERY VALUES (charge, seconds, unit);
END $$;

DROP FUNCTION adopt_orphans(text, bigint);

-- Says that a life goes on; no row: it was declared dead. `steady_at` is since when it has done so without a gap.
CREATE FUNCTION heartbeat(life bigint) RETURNS SETOF bigint LANGUAGE sql AS $$
    UPDATE billing_node SET
        heartbeat_at = now(),
        steady_at = CASE WHEN heartbeat_at < now() - interval '20 s' THEN now() ELSE steady_at END
        WHERE id = life AND ended_at IS NULL RETURNING id
$$;

-- Declares dead the earlier lives of this life's node and, if `silence` is given, every life that has said nothing for
-- so long. Of others only who has been heard all that time itself may judge: after the store was away nobody is.
CREATE FUNCTION declare_dead(life bigint, silence interval) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_node SET ended_at = now() WHERE id IN (
        SELECT n.id FROM billing_node n JOIN billing_node own ON own.id = life
            WHERE n.id <> life AND n.ended_at IS NULL
            AND (n.name = own.name AND n.id < life
                OR n.heartbeat_at < now() - silence AND own.steady_at < now() - silence AND own.ended_at IS NULL)
            FOR NO KEY UPDATE OF n SKIP LOCKED);
    DELETE FROM billing_node n WHERE n.ended_at < now() - interval '1 day'
        AND NOT EXISTS (SELECT FROM billing_activecall c WHERE c.life_id = n.id)
$$;

-- Calls that no living switch holds.
CREATE FUNCTION orphans(most integer) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT c.call_id FROM billing_activecall c
        WHERE NOT EXISTS (SELECT FROM billing_node n WHERE n.id = c.life_id AND n.ended_at IS NULL) LIMIT most
$$;

-- Settles an orphan up to the last heartbeat of its life. False: somebody else does, or it is none.
CREATE FUNCTION settle_orphan(call text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    c record;
    seconds integer;
BEGIN
    SELECT l.*, greatest(n.heartbeat_at, l.started_at, l.answered_at) AS ended_at INTO c
        FROM billing_activecall l LEFT JOIN billing_node n ON n.id = l.life_id
        WHERE l.call_id = call AND (n.id IS NULL OR n.ended_at IS NOT NULL)
        FOR UPDATE OF l SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    seconds := coalesce(call_billed_seconds(coalesce(c.first_increment, 1), coalesce(c.next_increment, 1),
        extract(epoch FROM c.ended_at - c.answered_at)), 0);
    PERFORM finish_call(call, c.ended_at, c.answered_at, seconds,
        coalesce(call_charge(c.connect_fee, c.first_increment, c.first_price, c.next_price, seconds), 0),
        41, NULL, 'orphan', c.gateway_id);
    RETURN true;
END $$;
