-- Whether who was locked at that time, until then, is locked now. What was locked at a time to come was so before the
-- clock was set back, and nobody knows how long ago: that counts no longer, or it would last as much too long.
CREATE OR REPLACE FUNCTION is_locked(at timestamptz, until timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(until > now() AND at < now() + interval '20 s', false)
$$;
