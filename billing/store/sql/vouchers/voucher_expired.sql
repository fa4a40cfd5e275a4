-- On its day of expiry a voucher is worth nothing any more, in the time zone of the batch's customer.
CREATE OR REPLACE FUNCTION voucher_expired(expires date, zone text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(expires <= (now() AT TIME ZONE zone)::date, false)
$$;
