-- Ends a call whose start may never have come: it is recorded from what its switch wrote down. Having locked nothing
-- it is charged at most what is available.
CREATE OR REPLACE FUNCTION record_call(
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
