-- Ends a call exactly once, whoever tells it first: its switch, a journal that comes late, or another switch. Frees
-- its locks, charges no more than they held, writes the record. Asked again it answers from the record: what was
-- charged; no row: the call is unknown. `start`: what `start_call` takes of it, where the store may never have had
-- that; or null. `transferrer`: who gave the call away while it ran.
CREATE OR REPLACE FUNCTION finish_call(
    call text, ends timestamptz, answered timestamptz, seconds integer, charge numeric,
    q850 integer, status integer, who text, gateway bigint, start billing_activecall, transferrer text DEFAULT NULL)
RETURNS TABLE (amount numeric, billed_seconds integer, currency text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c billing_activecall;
BEGIN
    DELETE FROM billing_activecall WHERE call_id = call RETURNING * INTO c;
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM settle_again(call, ends, answered, seconds, charge, q850, status, who);
        IF NOT FOUND AND start.call_id IS NOT NULL THEN
            start.transferred_by := coalesce(transferrer, start.transferred_by);
            RETURN QUERY SELECT * FROM record_call(call, ends, answered, seconds, charge, q850, status, who, gateway,
                                                   start);
        END IF;
        RETURN;
    END IF;
    charge := greatest(0, least(charge, c.locked));
    c.answered_at := coalesce(answered, c.answered_at);
    c.gateway_id := coalesce(gateway, c.gateway_id);
    c.transferred_by := coalesce(transferrer, c.transferred_by);
    INSERT INTO billing_xdr (
        {call},
        ended_at, billed_seconds, amount, cause, sip_status, ended_by, held)
    VALUES (
        c.{call},
        ends, seconds, charge, q850, status, who, CASE who WHEN 'orphan' THEN c.locked END)
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
