-- Ends a call exactly once, whoever tells it first: frees its locks, charges no more than they held, writes the record.
-- Asked again it answers from the record; no row: there was no such call.
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
