-- The external store has said what the voucher is worth; written before it is told to deplete it. False: the row is no
-- more.
CREATE OR REPLACE FUNCTION value_redemption(redemption_key text, store_name text, face numeric) RETURNS boolean
LANGUAGE sql AS $$
    WITH valued AS (
        UPDATE billing_redemption SET store = store_name, amount = face
         WHERE key = redemption_key AND state = 'pending' AND amount IS NULL RETURNING 1)
    SELECT EXISTS (SELECT FROM valued) OR EXISTS (
        SELECT FROM billing_redemption WHERE key = redemption_key AND store = store_name AND amount = face)
$$;
