-- A receipt is to be tried again for those recipients that are left, unless somebody else has taken it meanwhile.
CREATE OR REPLACE FUNCTION receipt_again(redemption_key text, wanted text, attempt integer, remaining text[],
                                         at timestamptz)
RETURNS void LANGUAGE sql AS $$
    UPDATE billing_receipt SET recipients = remaining, due_at = at
     WHERE key = redemption_key AND channel = wanted AND attempts = attempt
$$;
