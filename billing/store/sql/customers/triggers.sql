-- billing_account

CREATE TRIGGER account_keep_used BEFORE DELETE ON billing_account FOR EACH ROW EXECUTE FUNCTION account_keep_used();

-- Inserted accounts and aliases are told of too: somebody may remember that they do not exist.
CREATE TRIGGER accounts_inserted AFTER INSERT ON billing_account REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_changed();

CREATE TRIGGER accounts_updated AFTER UPDATE ON billing_account REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_changed();

CREATE TRIGGER accounts_deleted AFTER DELETE ON billing_account REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_changed();

CREATE TRIGGER account_keep_redeemed BEFORE DELETE ON billing_account
    FOR EACH ROW EXECUTE FUNCTION account_keep_redeemed();

CREATE TRIGGER account_check_batch AFTER UPDATE OF batch_id, customer_id ON billing_account FOR EACH ROW
    WHEN (NEW.batch_id IS NOT NULL) EXECUTE FUNCTION account_check_batch();

CREATE TRIGGER account_check_balance AFTER UPDATE OF kind, balance_id, customer_id, product_id ON billing_account
    FOR EACH ROW EXECUTE FUNCTION account_check_balance();

CREATE TRIGGER accounts_begin AFTER INSERT ON billing_account REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_begin();

-- billing_alias

CREATE TRIGGER aliases_inserted AFTER INSERT ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('id', 'account_id');

CREATE TRIGGER aliases_updated AFTER UPDATE ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('id', 'account_id');

CREATE TRIGGER aliases_deleted AFTER DELETE ON billing_alias REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('id', 'account_id');

-- billing_customer

CREATE TRIGGER customers_updated AFTER UPDATE ON billing_customer REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('customer_id', 'id');

CREATE TRIGGER alias_authentication_changed AFTER UPDATE OF alias_authentication ON billing_customer FOR EACH ROW
    WHEN (OLD.alias_authentication <> NEW.alias_authentication) EXECUTE FUNCTION notify('routes');

-- billing_product

CREATE TRIGGER products_updated AFTER UPDATE ON billing_product REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('product_id', 'id');

-- billing_xdr

CREATE CONSTRAINT TRIGGER xdr_is_use AFTER INSERT ON billing_xdr DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.answered_at IS NOT NULL) EXECUTE FUNCTION record_is_use();

-- billing_correction

CREATE CONSTRAINT TRIGGER correction_is_use AFTER INSERT ON billing_correction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.answered_at IS NOT NULL) EXECUTE FUNCTION record_is_use();

-- billing_batch

CREATE TRIGGER batch_keeps_owner BEFORE UPDATE OF id, customer_id, kind ON billing_batch FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.customer_id <> NEW.customer_id OR OLD.kind <> NEW.kind)
    EXECUTE FUNCTION refuse('a batch keeps its customer and its kind');
