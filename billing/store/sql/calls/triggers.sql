-- billing_xdr

CREATE TRIGGER xdr_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_xdr
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('records are only ever added');

-- billing_correction

CREATE TRIGGER correction_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_correction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('corrections are only ever added');
