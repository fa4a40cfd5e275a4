-- Vouchers of external stores. A row is committed before the store is asked and again before it is told to deplete the
-- voucher; the credit and the end of the row are one transaction. Whatever dies in between, the row says what is owed.

ALTER TABLE billing_redemption SET (fillfactor = 80);

CREATE TRIGGER redemption_keep_done BEFORE DELETE ON billing_redemption FOR EACH ROW WHEN (OLD.state <> 'pending')
    EXECUTE FUNCTION refuse('what was redeemed stays');

CREATE FUNCTION account_keep_redeemed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_redemption WHERE account_id = OLD.id) THEN
        RAISE integrity_constraint_violation USING MESSAGE = format('account %s has a history: close it instead', OLD.number);
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER account_keep_redeemed BEFORE DELETE ON billing_account
    FOR EACH ROW EXECUTE FUNCTION account_keep_redeemed();

CREATE TRIGGER redemption_stays_done BEFORE UPDATE OF state, key, account_id, amount, digest ON billing_redemption FOR EACH ROW
    WHEN (OLD.state <> 'pending' AND (OLD.state, OLD.key, OLD.account_id, OLD.amount, OLD.digest)
          IS DISTINCT FROM (NEW.state, NEW.key, NEW.account_id, NEW.amount, NEW.digest))
    EXECUTE FUNCTION refuse('what was redeemed stays');

-- Opens the redemption of an external code, or finds the one that is open or done: under this key, or of this code for
-- the same account (who asks again takes it over). 'used': the code went to another account, or is done under another key.
CREATE FUNCTION open_redemption(redemption_key text, account bigint, code_digest bytea, sealing_key integer,
                                sealed_code bytea, lease_seconds double precision,
                                OUT outcome text, OUT key text, OUT store text, OUT amount numeric)
LANGUAGE plpgsql AS $$
DECLARE
    found_row billing_redemption;
BEGIN
    SELECT * INTO found_row FROM billing_redemption r WHERE r.key = redemption_key;
    IF FOUND AND (found_row.digest, found_row.account_id) IS DISTINCT FROM (code_digest, account) THEN
        RAISE unique_violation USING MESSAGE = format('key %s was used for another voucher or account', redemption_key);
    END IF;
    IF found_row.key IS NULL THEN
        INSERT INTO billing_redemption AS r
               (key, account_id, state, digest, key_id, sealed, currency, due_at)
            SELECT redemption_key, account, 'pending', code_digest, sealing_key, sealed_code, b.currency,
                   now() + make_interval(secs => lease_seconds)
              FROM billing_account a JOIN billing_balance b ON b.id = a.balance_id WHERE a.id = account
            ON CONFLICT DO NOTHING RETURNING r.* INTO found_row;
    END IF;
    IF found_row.key IS NULL THEN
        SELECT * INTO found_row FROM billing_redemption r WHERE r.digest = code_digest AND r.state <> 'refused';
    END IF;
    key := found_row.key;
    store := found_row.store;
    amount := found_row.amount;
    outcome := CASE
        WHEN found_row.key IS NULL THEN 'unavailable'  -- the other one was given up this instant
        WHEN found_row.state = 'refused' THEN 'used'
        WHEN found_row.key = redemption_key THEN found_row.state
        WHEN found_row.account_id = account AND found_row.state = 'pending' THEN 'pending'
        ELSE 'used' END;
END $$;

-- The store has said what the voucher is worth; written before it is told to deplete it. False: the row is no more.
CREATE FUNCTION value_redemption(redemption_key text, store_name text, face numeric) RETURNS boolean LANGUAGE sql AS $$
    WITH valued AS (
        UPDATE billing_redemption SET store = store_name, amount = face
         WHERE key = redemption_key AND state = 'pending' AND amount IS NULL RETURNING 1)
    SELECT EXISTS (SELECT FROM valued) OR EXISTS (
        SELECT FROM billing_redemption WHERE key = redemption_key AND store = store_name AND amount = face)
$$;

-- The store has depleted the voucher: credits its value, once. Again it gives the same answer.
CREATE FUNCTION credit_redemption(redemption_key text, OUT outcome text, OUT amount numeric, OUT currency text,
                                  OUT funds numeric, OUT available numeric, OUT life text)
LANGUAGE plpgsql AS $$
DECLARE
    row_ billing_redemption;
    balance bigint;
BEGIN
    SELECT * INTO row_ FROM billing_redemption r WHERE r.key = redemption_key FOR UPDATE;
    outcome := CASE WHEN row_.state IS NULL THEN 'unknown' WHEN row_.state = 'refused' THEN 'used' ELSE 'ok' END;
    IF outcome <> 'ok' THEN
        RETURN;
    END IF;
    IF row_.state = 'pending' THEN
        SELECT a.balance_id INTO balance FROM billing_account a WHERE a.id = row_.account_id;
        PERFORM post_entry('external:' || encode(row_.digest, 'hex'), balance, row_.amount, 'voucher', row_.store);
        UPDATE billing_redemption r
           SET state = 'done', done_at = now(), due_at = NULL, sealed = NULL, key_id = NULL, funds = b.amount,
               available = b.available
          FROM billing_balance b WHERE r.key = redemption_key AND b.id = balance RETURNING r.* INTO row_;
        PERFORM touch_account(row_.account_id, now(), true);
    END IF;
    amount := row_.amount;
    currency := row_.currency;
    funds := row_.funds;
    available := row_.available;
    life := account_life(row_.account_id);
END $$;

-- The store does not know the code, or has given the voucher to somebody else. A code that no store knows leaves no row.
CREATE FUNCTION refuse_redemption(redemption_key text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM billing_redemption WHERE key = redemption_key AND state = 'pending' AND amount IS NULL;
    UPDATE billing_redemption
       SET state = 'refused', done_at = now(), due_at = NULL, sealed = NULL, key_id = NULL, note = left(reason, 255)
     WHERE key = redemption_key AND state = 'pending';
END $$;

-- Takes redemptions that are due, for a lease; each further attempt waits twice as long, up to an hour.
CREATE FUNCTION take_redemptions(most integer)
RETURNS TABLE (key text, account_id bigint, store text, amount numeric, key_id integer, sealed bytea)
LANGUAGE sql AS $$
    UPDATE billing_redemption r
       SET attempts = r.attempts + 1, due_at = now() + make_interval(secs => least(3600, 30 * 2.0 ^ least(r.attempts, 10)))
     WHERE r.key IN (SELECT d.key FROM billing_redemption d WHERE d.state = 'pending' AND d.due_at <= now()
                      ORDER BY d.due_at LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING r.key, r.account_id, r.store, r.amount, r.key_id, r.sealed
$$;

-- Where vouchers, redemptions and the ledger disagree, and what an external store still owes an answer to.
CREATE FUNCTION audit_vouchers() RETURNS TABLE (finding text, subject text, expected numeric, found numeric)
LANGUAGE sql STABLE AS $$
    SELECT 'voucher and ledger disagree', coalesce('voucher ' || left(v.id, -4) || 'xxxx', left(e.key, -4) || 'xxxx'),
           v.amount, e.gain
        FROM (SELECT v.id, v.amount, a.balance_id FROM billing_voucher v
                LEFT JOIN billing_account a ON a.id = v.used_by WHERE v.used_at IS NOT NULL) v
        FULL JOIN (SELECT e.key, e.balance_id, CASE b.kind WHEN 'credit' THEN -e.amount ELSE e.amount END AS gain
                     FROM billing_ledgerentry e JOIN billing_balance b ON b.id = e.balance_id
                    WHERE e.kind = 'voucher' AND e.key LIKE 'voucher:%') e
            ON e.key = 'voucher:' || v.id AND e.balance_id = v.balance_id
        WHERE v.amount IS DISTINCT FROM e.gain
    UNION ALL
    SELECT 'external voucher and ledger disagree', coalesce('redemption ' || r.key, left(e.key, 20)), r.amount, e.gain
        FROM (SELECT r.key, r.digest, r.amount, a.balance_id FROM billing_redemption r
                LEFT JOIN billing_account a ON a.id = r.account_id
               WHERE r.state = 'done' AND r.digest IS NOT NULL) r
        FULL JOIN (SELECT e.key, e.balance_id, CASE b.kind WHEN 'credit' THEN -e.amount ELSE e.amount END AS gain
                     FROM billing_ledgerentry e JOIN billing_balance b ON b.id = e.balance_id
                    WHERE e.kind = 'voucher' AND e.key LIKE 'external:%') e
            ON e.key = 'external:' || encode(r.digest, 'hex') AND e.balance_id = r.balance_id
        WHERE r.amount IS DISTINCT FROM e.gain
    UNION ALL
    SELECT 'external voucher is pending', 'redemption ' || r.key, r.amount, NULL
        FROM billing_redemption r WHERE r.state = 'pending' AND r.created_at < now() - interval '15 minutes'
$$;

ALTER FUNCTION audit() RENAME TO audit_calls;

CREATE FUNCTION audit() RETURNS TABLE (finding text, subject text, expected numeric, found numeric)
LANGUAGE sql STABLE AS $$
    SELECT * FROM audit_calls() UNION ALL SELECT * FROM audit_vouchers()
$$;
