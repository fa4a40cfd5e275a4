-- billing_product

CREATE TRIGGER product_check_currency AFTER UPDATE OF tariff_id, inside_id, between_id ON billing_product
    FOR EACH ROW EXECUTE FUNCTION product_check_currency();

CREATE TRIGGER product_check_currencies AFTER INSERT ON billing_product
    FOR EACH ROW EXECUTE FUNCTION product_check_currency();

-- billing_tariff

CREATE TRIGGER tariff_keeps_currency BEFORE UPDATE OF currency ON billing_tariff FOR EACH ROW
    WHEN (OLD.currency <> NEW.currency) EXECUTE FUNCTION refuse('the currency of a tariff never changes');

CREATE TRIGGER tariffs_changed AFTER INSERT OR DELETE ON billing_tariff
    FOR EACH STATEMENT EXECUTE FUNCTION notify('rates');

CREATE TRIGGER tariff_policy_changed AFTER UPDATE OF routing, least_margin ON billing_tariff
    FOR EACH STATEMENT EXECUTE FUNCTION notify('rates');

-- billing_rate

CREATE TRIGGER rates_inserted AFTER INSERT ON billing_rate REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();

CREATE TRIGGER rates_updated AFTER UPDATE ON billing_rate REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();

CREATE TRIGGER rates_deleted AFTER DELETE ON billing_rate REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();

CREATE TRIGGER rates_truncated AFTER TRUNCATE ON billing_rate
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();
