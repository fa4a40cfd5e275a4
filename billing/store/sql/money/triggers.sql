-- billing_ledgerentry

CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse('entries are only ever added');

CREATE TRIGGER ledger_post AFTER INSERT ON billing_ledgerentry FOR EACH ROW WHEN (NEW.kind <> 'adjustment')
    EXECUTE FUNCTION ledger_post();

CREATE TRIGGER ledger_adjusts_by_view_only BEFORE INSERT ON billing_ledgerentry FOR EACH ROW
    WHEN (NEW.kind = 'adjustment' AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION refuse('adjustments are inserted into billing_adjustment');

-- billing_balance

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

CREATE TRIGGER balance_keep_used BEFORE DELETE ON billing_balance FOR EACH ROW EXECUTE FUNCTION balance_keep_used();

CREATE TRIGGER limit_changed AFTER UPDATE OF credit_limit ON billing_balance FOR EACH ROW
    WHEN (OLD.credit_limit IS DISTINCT FROM NEW.credit_limit) EXECUTE FUNCTION limit_changed();
