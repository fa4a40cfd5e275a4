-- All subjects have as many attempts.
CREATE OR REPLACE FUNCTION pin_attempts_of(subject text, lock_after integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT lock_after
$$;
