-- Money: the ledger moves balances, calls and withdrawals may only take what is available.

-- A ledger entry moves its balance and frees the locks that it settles, in one update of the row.
CREATE FUNCTION ledger_post() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing_balance SET amount = amount + NEW.amount, locked = locked - NEW.released WHERE id = NEW.balance_id;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('ledger entry %s: no balance %s', NEW.key, NEW.balance_id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_post AFTER INSERT ON billing_ledgerentry FOR EACH ROW EXECUTE FUNCTION ledger_post();

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = format('%s: %s', TG_TABLE_NAME, TG_ARGV[0]);
END $$;

CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('entries are only ever added');

CREATE TRIGGER xdr_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_xdr
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('records are only ever added');

-- Depth 0: the statement came from outside; the ledger's trigger updates at depth 1.
CREATE TRIGGER balance_moved_by_ledger_only BEFORE UPDATE OF amount ON billing_balance FOR EACH ROW
    WHEN (OLD.amount <> NEW.amount AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION refuse('the amount changes by ledger entries only');

CREATE TRIGGER balance_begins_empty BEFORE INSERT ON billing_balance FOR EACH ROW
    WHEN (NEW.amount <> 0 OR NEW.locked <> 0)
    EXECUTE FUNCTION refuse('a balance begins at zero; post an opening entry');

CREATE TRIGGER balance_keeps_nature BEFORE UPDATE OF id, kind, currency ON billing_balance FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.kind <> NEW.kind OR OLD.currency <> NEW.currency)
    EXECUTE FUNCTION refuse('kind and currency never change');

-- Tables written for every call check no foreign keys; this is what keeps what they point to.
CREATE FUNCTION balance_keep_used() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.locked <> 0 OR EXISTS (SELECT FROM billing_ledgerentry WHERE balance_id = OLD.id) THEN
        RAISE integrity_constraint_violation USING MESSAGE = format('balance %s has a history: close it instead', OLD.id);
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER balance_keep_used BEFORE DELETE ON billing_balance FOR EACH ROW EXECUTE FUNCTION balance_keep_used();

CREATE FUNCTION account_keep_used() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_xdr WHERE account_id = OLD.id)
        OR EXISTS (SELECT FROM billing_activecall WHERE account_id = OLD.id) THEN
        RAISE integrity_constraint_violation USING MESSAGE = format('account %s has a history: close it instead', OLD.number);
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER account_keep_used BEFORE DELETE ON billing_account FOR EACH ROW EXECUTE FUNCTION account_keep_used();

-- An account spends from the right balance, in the currency that it is rated in.
CREATE FUNCTION account_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    balance billing_balance;
    own boolean;
    fits boolean;
BEGIN
    SELECT * INTO balance FROM billing_balance WHERE id = NEW.balance_id;
    own := NOT EXISTS (SELECT FROM billing_customer WHERE balance_id = NEW.balance_id);
    fits := CASE NEW.kind
        WHEN 'subordinate' THEN balance.id = (SELECT balance_id FROM billing_customer WHERE id = NEW.customer_id)
        WHEN 'credit' THEN own AND balance.kind = 'credit'
        ELSE own AND balance.kind = 'debit'
    END;
    IF NOT fits THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('account %s: a %s account cannot use balance %s', NEW.number, NEW.kind, balance.id);
    END IF;
    IF balance.currency <> (SELECT t.currency FROM billing_product p JOIN billing_tariff t ON t.id = p.tariff_id
                             WHERE p.id = NEW.product_id) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('account %s: its product is priced in another currency than its balance', NEW.number);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER account_check_balance AFTER INSERT OR UPDATE OF kind, balance_id, customer_id, product_id
    ON billing_account FOR EACH ROW EXECUTE FUNCTION account_check_balance();

CREATE FUNCTION product_check_currency() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT currency FROM billing_tariff WHERE id = NEW.tariff_id)
        <> (SELECT currency FROM billing_tariff WHERE id = OLD.tariff_id) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('product %s: the new tariff is in another currency', NEW.name);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER product_check_currency AFTER UPDATE OF tariff_id ON billing_product FOR EACH ROW
    WHEN (OLD.tariff_id <> NEW.tariff_id) EXECUTE FUNCTION product_check_currency();

CREATE TRIGGER tariff_keeps_currency BEFORE UPDATE OF currency ON billing_tariff FOR EACH ROW
    WHEN (OLD.currency <> NEW.currency) EXECUTE FUNCTION refuse('the currency of a tariff never changes');

-- Takes `want` of a balance, or what there is if that is at least `minimum`, or else nothing (granted = 0).
-- The row stays locked until the transaction ends; the table's constraint holds whatever the callers do.
CREATE FUNCTION lock_funds(balance bigint, want numeric, minimum numeric,
                           OUT granted numeric, OUT owes boolean, OUT currency text)
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE billing_balance b SET locked = b.locked + want WHERE b.id = balance AND b.available >= want
        RETURNING want, b.kind = 'credit', b.currency INTO granted, owes, currency;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT least(want, b.available), b.kind = 'credit', b.currency INTO granted, owes, currency
        FROM billing_balance b WHERE b.id = balance FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('no balance %s', balance);
    END IF;
    IF granted <= 0 OR granted < minimum THEN
        granted := 0;
    ELSE
        UPDATE billing_balance b SET locked = b.locked + granted WHERE b.id = balance;
    END IF;
END $$;

-- Posts an entry once: the same key again changes nothing, the same key for something else is an error.
-- `gain` is what the owner of the balance gains: funds of a debit balance, less debt of a credit one.
CREATE FUNCTION post_entry(entry_key text, balance bigint, gain numeric, entry_kind text, entry_note text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    delta numeric;
    earlier billing_ledgerentry;
BEGIN
    SELECT CASE b.kind WHEN 'debit' THEN gain ELSE -gain END INTO delta
        FROM billing_balance b WHERE b.id = balance FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('no balance %s', balance);
    END IF;
    SELECT * INTO earlier FROM billing_ledgerentry WHERE key = entry_key;
    IF FOUND THEN
        IF (earlier.balance_id, earlier.amount, earlier.kind) IS DISTINCT FROM (balance, delta, entry_kind) THEN
            RAISE unique_violation USING MESSAGE = format('key %s was used for another entry', entry_key);
        END IF;
        RETURN false;
    END IF;
    INSERT INTO billing_ledgerentry (key, balance_id, amount, kind, note)
        VALUES (entry_key, balance, delta, entry_kind, entry_note);
    RETURN true;
END $$;
