-- How long the lock lasts that so many guesses in a row lead to: each is twice as long as the one before, up to a day.
CREATE OR REPLACE FUNCTION guess_lock(failures integer, lock_after integer, lock_seconds integer) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT make_interval(secs => least(86400, lock_seconds * 2.0 ^ least(20, failures / lock_after - 1)))
$$;
