-- billing_auditlog

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_auditlog
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('entries are only ever added');
