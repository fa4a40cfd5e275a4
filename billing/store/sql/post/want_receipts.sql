-- Notes that receipts of a recharge are wanted, by each channel once: in the transaction that redeems, or opens the
-- redemption at a store outside. What they say comes from the redemption, once that is done. A row that was sent stays
-- for a while, so that a redemption that is asked for again with its key is not told of twice.
CREATE OR REPLACE FUNCTION want_receipts(redemption_key text, channels text[], spoken text, calling text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO billing_receipt (key, channel, language, caller, due_at)
        SELECT redemption_key, c, spoken, calling, now() FROM unnest(channels) AS c
        ON CONFLICT (key, channel) DO NOTHING
$$;
