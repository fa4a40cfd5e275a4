-- The end of a call that has a record already. Told by its switch after another one had settled it as an orphan, it
-- corrects that settlement, once, beside the record: by no more than the call had locked, and upwards by no more than
-- is available now. Anything else changes nothing. Answers what was charged in all; no row: no record.
CREATE OR REPLACE FUNCTION settle_again(call text, ends timestamptz, answered timestamptz, seconds integer,
                                        charge numeric, q850 integer, status integer, who text)
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
        INSERT INTO billing_correction (call_id, amount, answered_at, ended_at, billed_seconds, cause, sip_status,
                                        ended_by)
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
