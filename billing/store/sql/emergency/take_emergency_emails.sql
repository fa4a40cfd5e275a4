-- Takes up to `most` e-mails of calls for help that are due, for `lease_seconds` in which nobody else takes them.
-- `attempts` counts this one.
CREATE OR REPLACE FUNCTION take_emergency_emails(now_at timestamptz, lease_seconds double precision, most integer)
RETURNS SETOF billing_emergencycall LANGUAGE sql AS $$
    UPDATE billing_emergencycall e
       SET attempts = e.attempts + 1, due_at = now_at + make_interval(secs => lease_seconds)
     WHERE e.call_id IN (SELECT d.call_id FROM billing_emergencycall d WHERE d.due_at <= now_at
                          ORDER BY d.due_at LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING e.*
$$;
