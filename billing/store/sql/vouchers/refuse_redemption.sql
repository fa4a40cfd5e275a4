-- The external store does not know the code, or has given the voucher to somebody else. A code that no store knows
-- leaves no row.
CREATE OR REPLACE FUNCTION refuse_redemption(redemption_key text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM billing_redemption WHERE key = redemption_key AND state = 'pending' AND amount IS NULL;
    UPDATE billing_redemption
       SET state = 'refused', done_at = now(), due_at = NULL, sealed = NULL, key_id = NULL, note = left(reason, 255)
     WHERE key = redemption_key AND state = 'pending';
END $$;
