-- What a switch keeps in memory and must hear of: channel `softswitch`, payloads as in billing_client.types.StoreEvent.
-- All triggers are by statement, so that a bulk load says one word.

CREATE FUNCTION tariffs_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE billing_tariff SET revision = revision + 1;
    ELSE
        UPDATE billing_tariff SET revision = revision + 1 WHERE id IN (SELECT DISTINCT tariff_id FROM changed);
    END IF;
    PERFORM pg_notify('softswitch', 'rates');
    RETURN NULL;
END $$;

CREATE TRIGGER rates_inserted AFTER INSERT ON billing_rate REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();
CREATE TRIGGER rates_updated AFTER UPDATE ON billing_rate REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();
CREATE TRIGGER rates_deleted AFTER DELETE ON billing_rate REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();
CREATE TRIGGER rates_truncated AFTER TRUNCATE ON billing_rate
    FOR EACH STATEMENT EXECUTE FUNCTION tariffs_changed();

CREATE FUNCTION notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('softswitch', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE TRIGGER tariffs_changed AFTER INSERT OR DELETE ON billing_tariff
    FOR EACH STATEMENT EXECUTE FUNCTION notify('rates');
CREATE TRIGGER gateways_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON billing_gateway
    FOR EACH STATEMENT EXECUTE FUNCTION notify('routes');
CREATE TRIGGER routes_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON billing_gatewayroute
    FOR EACH STATEMENT EXECUTE FUNCTION notify('routes');

-- Names each account, or says "resync" where that would be a flood.
CREATE FUNCTION notify_accounts(numbers text[]) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('softswitch', payload)
        FROM (SELECT 'account:' || number FROM unnest(numbers) AS number WHERE cardinality(numbers) <= 100
              UNION ALL SELECT 'resync' WHERE cardinality(numbers) > 100) AS payloads (payload)
$$;

CREATE FUNCTION accounts_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_accounts(array_agg(DISTINCT number)) FROM changed;
    RETURN NULL;
END $$;

CREATE FUNCTION accounts_of_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT notify_accounts(array_agg(DISTINCT a.number))
                      FROM changed JOIN billing_account a ON a.%I = changed.%I', TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$;

-- Inserted accounts and aliases are told of too: somebody may remember that they do not exist.
CREATE TRIGGER accounts_inserted AFTER INSERT ON billing_account REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_changed();
CREATE TRIGGER accounts_updated AFTER UPDATE ON billing_account REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_changed();
CREATE TRIGGER accounts_deleted AFTER DELETE ON billing_account REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_changed();
CREATE TRIGGER aliases_inserted AFTER INSERT ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('id', 'account_id');
CREATE TRIGGER aliases_updated AFTER UPDATE ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('id', 'account_id');
CREATE TRIGGER aliases_deleted AFTER DELETE ON billing_alias REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('id', 'account_id');
CREATE TRIGGER customers_updated AFTER UPDATE ON billing_customer REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('customer_id', 'id');
CREATE TRIGGER products_updated AFTER UPDATE ON billing_product REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_of_changed('product_id', 'id');

-- A balance moves with every call: only a new limit is news, and a trigger with a column list may not see
-- transition tables, so this one goes by row.
CREATE FUNCTION limit_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_accounts(array_agg(number)) FROM billing_account WHERE balance_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER limit_changed AFTER UPDATE OF credit_limit ON billing_balance FOR EACH ROW
    WHEN (OLD.credit_limit IS DISTINCT FROM NEW.credit_limit) EXECUTE FUNCTION limit_changed();
