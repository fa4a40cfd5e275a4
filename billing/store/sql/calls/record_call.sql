-- Records a call whose start never came, from its end (see `finish_call`) and the `start` that its switch wrote down
-- (see `start_call`). Having locked nothing it is charged at most what is available.
CREATE OR REPLACE FUNCTION record_call(
    call text, ends timestamptz, answered timestamptz, seconds integer, charge numeric,
    q850 integer, status integer, who text, gateway bigint, start billing_activecall)
RETURNS TABLE (amount numeric, billed_seconds integer, currency text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c billing_activecall := start;
    owes boolean := false;
BEGIN
    IF charge > 0 THEN
        SELECT b.kind = 'credit', b.currency, least(charge, b.available) INTO owes, c.currency, charge
            FROM billing_balance b WHERE b.id = c.balance_id FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE foreign_key_violation USING MESSAGE = format('no balance %s', c.balance_id);
        END IF;
    END IF;
    c.answered_at := answered;
    c.gateway_id := gateway;
    INSERT INTO billing_xdr (
        {call},
        ended_at, billed_seconds, amount, cause, sip_status, ended_by)
    VALUES (
        c.{call},
        ends, seconds, charge, q850, status, who)
    ON CONFLICT (call_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM settle_again(call, ends, answered, seconds, charge, q850, status, who);
        RETURN;
    END IF;
    IF charge > 0 THEN
        INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
            VALUES ('call:' || call, c.balance_id, CASE WHEN owes THEN charge ELSE -charge END, 'call');
    END IF;
    RETURN QUERY VALUES (charge, seconds, c.currency::text);
END $$;
