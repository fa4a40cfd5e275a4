-- Batches, and the log of administrators.

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_auditlog
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('entries are only ever added');

CREATE TRIGGER batch_keeps_owner BEFORE UPDATE OF id, customer_id, kind ON billing_batch FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.customer_id <> NEW.customer_id OR OLD.kind <> NEW.kind)
    EXECUTE FUNCTION refuse('a batch keeps its customer and its kind');

-- Rows of the log by one who is not the store itself.
CREATE FUNCTION log_action(actor text, action text, subject text, details jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing_auditlog (actor, action, subject, details) VALUES (actor, action, subject, details)
$$;
