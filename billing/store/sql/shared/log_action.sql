-- Notes in the log of administrators what somebody did who is not the store itself.
CREATE OR REPLACE FUNCTION log_action(actor text, action text, subject text, details jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO billing_auditlog (actor, action, subject, details) VALUES (actor, action, subject, details)
$$;
