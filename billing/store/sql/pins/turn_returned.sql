-- The PIN was right, or not looked at: it counts for the line no longer. Its time in the line stays taken.
CREATE OR REPLACE FUNCTION turn_returned(line text) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_voucherguess SET failures = greatest(0, failures - 1) WHERE subject = line
$$;
