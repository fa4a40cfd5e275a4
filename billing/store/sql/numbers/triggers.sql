-- billing_alias

CREATE TRIGGER addresses_inserted AFTER INSERT ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();

CREATE TRIGGER addresses_updated_from AFTER UPDATE ON billing_alias REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();

CREATE TRIGGER addresses_updated_to AFTER UPDATE ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();

CREATE TRIGGER addresses_deleted AFTER DELETE ON billing_alias REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();

-- billing_account

CREATE TRIGGER account_keep_name AFTER UPDATE OF number ON billing_account
    FOR EACH ROW EXECUTE FUNCTION account_keep_name();

-- billing_trunknetwork

CREATE TRIGGER networks_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON billing_trunknetwork
    FOR EACH STATEMENT EXECUTE FUNCTION notify('routes');
