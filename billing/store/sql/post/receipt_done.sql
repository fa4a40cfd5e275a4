-- A receipt was sent, or is given up.
CREATE OR REPLACE FUNCTION receipt_done(redemption_key text, wanted text) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_receipt SET sent_at = now() WHERE key = redemption_key AND channel = wanted
$$;
