-- Accounts in batches. What is checked or kept of every new account is done once for each statement, so that accounts
-- can be copied in by the thousand.

CREATE FUNCTION account_check_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM billing_batch
                    WHERE id = NEW.batch_id AND customer_id = NEW.customer_id AND kind = 'account') THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('account %s: its batch is another customer''s, or holds vouchers', NEW.number);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER account_check_batch AFTER UPDATE OF batch_id, customer_id ON billing_account FOR EACH ROW
    WHEN (NEW.batch_id IS NOT NULL) EXECUTE FUNCTION account_check_batch();

DROP TRIGGER account_check_balance ON billing_account;
CREATE TRIGGER account_check_balance AFTER UPDATE OF kind, balance_id, customer_id, product_id ON billing_account
    FOR EACH ROW EXECUTE FUNCTION account_check_balance();

DROP TRIGGER account_keep_name ON billing_account;
CREATE TRIGGER account_keep_name AFTER UPDATE OF number ON billing_account
    FOR EACH ROW EXECUTE FUNCTION account_keep_name();

-- The same rules for accounts that are new, and their names.
CREATE FUNCTION accounts_begin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.number, a.kind, a.balance_id, own.fits, k.fits AS batch_fits INTO wrong
      FROM added a
      JOIN billing_customer c ON c.id = a.customer_id
      JOIN billing_balance b ON b.id = a.balance_id
      LEFT JOIN billing_product p ON p.id = a.product_id
      LEFT JOIN billing_tariff t ON t.id = p.tariff_id
      LEFT JOIN billing_batch g ON g.id = a.batch_id
     CROSS JOIN LATERAL (SELECT CASE WHEN a.kind = 'subordinate' THEN b.id = c.balance_id
                                     ELSE b.kind = CASE a.kind WHEN 'credit' THEN 'credit' ELSE 'debit' END
                                          AND NOT EXISTS (SELECT FROM billing_customer WHERE balance_id = b.id)
                                END AS fits) AS own
     CROSS JOIN LATERAL (SELECT a.batch_id IS NULL OR g.customer_id = a.customer_id AND g.kind = 'account' AS fits) AS k
     WHERE NOT own.fits OR b.currency <> t.currency OR NOT k.fits
     LIMIT 1;
    IF FOUND THEN
        RAISE integrity_constraint_violation USING MESSAGE = CASE
            WHEN NOT wrong.fits THEN
                format('account %s: a %s account cannot use balance %s', wrong.number, wrong.kind, wrong.balance_id)
            WHEN NOT wrong.batch_fits THEN
                format('account %s: its batch is another customer''s, or holds vouchers', wrong.number)
            ELSE format('account %s: its product is priced in another currency than its balance', wrong.number) END;
    END IF;
    INSERT INTO billing_alias (name, account_id, allow_authentication, is_number)
        SELECT number, id, true, true FROM added;
    RETURN NULL;
END $$;

CREATE TRIGGER accounts_begin AFTER INSERT ON billing_account REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_begin();

-- Until the transaction ends nobody else counts the calls of these accounts; null: none. An advisory lock, not that of
-- the rows: who changes a hundred thousand accounts in one transaction holds all of their rows, and no call shall wait
-- for that. In the order of their ids, and before customers and balances, so that nobody waits in a circle.
CREATE FUNCTION count_accounts_alone(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
BEGIN
    FOR account IN SELECT DISTINCT id FROM unnest(ids) AS id WHERE id IS NOT NULL ORDER BY id LOOP
        PERFORM pg_advisory_xact_lock((x'61'::bigint << 48) + account);
    END LOOP;
END $$;

-- As before, but for the lock of the accounts.
CREATE OR REPLACE FUNCTION is_one_call_too_many(call text, incoming boolean, account bigint, customer bigint,
                                                callee bigint, callee_customer bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF num_nonnulls(account, callee) > 0 THEN
        PERFORM count_accounts_alone(ARRAY[account, callee]);
    END IF;
    IF num_nonnulls(customer, callee_customer) > 0 THEN
        PERFORM FROM billing_customer WHERE id IN (customer, callee_customer) ORDER BY id FOR NO KEY UPDATE;
    END IF;
    IF num_nonnulls(account, callee) > 0 AND EXISTS (
        SELECT FROM billing_account a CROSS JOIN LATERAL (
            SELECT count(*) AS calls,
                   count(*) FILTER (WHERE l.account_id = a.id AND l.direction <> 'incoming') AS calls_out,
                   count(*) FILTER (WHERE l.callee_id = a.id OR l.direction = 'incoming') AS calls_in
                FROM billing_activecall l
                WHERE (l.account_id = a.id AND l.limited OR l.callee_id = a.id) AND l.call_id <> call) AS live
            WHERE a.id IN (account, callee)
            AND (a.max_calls <= live.calls
                OR a.id = account AND NOT incoming AND a.max_calls_out <= live.calls_out
                OR (a.id = callee OR incoming) AND a.max_calls_in <= live.calls_in))
    THEN
        RETURN true;
    END IF;
    RETURN num_nonnulls(customer, callee_customer) > 0 AND EXISTS (
        SELECT FROM billing_customer c CROSS JOIN LATERAL (
            SELECT count(*) AS calls,
                   count(*) FILTER (WHERE l.customer_id = c.id AND l.direction <> 'incoming') AS calls_out,
                   count(*) FILTER (WHERE l.callee_customer_id = c.id OR l.direction = 'incoming') AS calls_in
                FROM billing_activecall l
                WHERE (l.customer_id = c.id OR l.callee_customer_id = c.id) AND l.call_id <> call) AS live
            WHERE c.id IN (customer, callee_customer)
            AND (c.max_calls <= live.calls
                OR c.id = customer AND NOT incoming AND c.max_calls_out <= live.calls_out
                OR (c.id = callee_customer OR incoming) AND c.max_calls_in <= live.calls_in));
END $$;

-- As before, but for the lock of the accounts.
CREATE OR REPLACE FUNCTION start_forward(
    call text, life bigint, node_name text, account bigint, balance bigint, way text, cli text, cld text,
    destination_name text, country_name text, gateway bigint, sip_call text, starts timestamptz,
    want numeric, minimum numeric,
    rate bigint, rate_prefix text, fee numeric, first_seconds integer, next_seconds integer,
    first_minute numeric, next_minute numeric,
    called bigint, exempt boolean, forward_name text, most integer,
    OUT granted numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
BEGIN
    -- Two that begin at once are counted one after the other; locked in the order of `is_one_call_too_many`.
    PERFORM count_accounts_alone(ARRAY[account, called]);
    IF most <= (SELECT count(*) FROM billing_activecall l
                 WHERE l.account_id = account AND l.forward = forward_name AND l.call_id <> call) THEN
        granted := 0;
        refusal := 'concurrency';
        RETURN;
    END IF;
    SELECT s.granted, s.refusal INTO granted, refusal FROM start_call(
        call, life, node_name, account, balance, way, cli, cld, destination_name, country_name, gateway, sip_call,
        starts, want, minimum, rate, rate_prefix, fee, first_seconds, next_seconds, first_minute, next_minute, called,
        exempt) AS s;
    IF refusal IS NULL THEN
        UPDATE billing_activecall SET forward = forward_name WHERE call_id = call;
    END IF;
END $$;

-- The balances of many accounts are adjusted at once: what each owner gains is inserted here, with ids of accounts and
-- the number that makes the entries' keys. The entries come first, which locks nothing; then one statement moves the
-- balances, because from there to the end of the transaction calls of these accounts wait. It takes them in the order
-- of their ids, as all do who lock several: the settings leave it no way but one after the other.
CREATE VIEW billing_adjustment AS
    SELECT NULL::bigint AS number, NULL::numeric AS gain, NULL::bigint[] AS accounts WHERE false;

CREATE FUNCTION adjust_balances() RETURNS trigger LANGUAGE plpgsql
    SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    ids bigint[];
    amounts numeric[];
BEGIN
    WITH made AS (
        INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
            SELECT concat('adjustment:', NEW.number, ':', a.id), b.id,
                   CASE b.kind WHEN 'debit' THEN NEW.gain ELSE -NEW.gain END, 'adjustment'
                FROM billing_account a JOIN billing_balance b ON b.id = a.balance_id WHERE a.id = ANY (NEW.accounts)
            RETURNING balance_id, amount)
    SELECT array_agg(balance_id ORDER BY balance_id), array_agg(amount ORDER BY balance_id) INTO ids, amounts FROM made;
    UPDATE billing_balance b SET amount = b.amount + e.amount
        FROM unnest(ids, amounts) AS e (id, amount) WHERE b.id = e.id;
    RETURN NEW;
END $$;

CREATE TRIGGER adjust_balances INSTEAD OF INSERT ON billing_adjustment FOR EACH ROW EXECUTE FUNCTION adjust_balances();

DROP TRIGGER ledger_post ON billing_ledgerentry;
CREATE TRIGGER ledger_post AFTER INSERT ON billing_ledgerentry FOR EACH ROW WHEN (NEW.kind <> 'adjustment')
    EXECUTE FUNCTION ledger_post();
CREATE TRIGGER ledger_adjusts_by_view_only BEFORE INSERT ON billing_ledgerentry FOR EACH ROW
    WHEN (NEW.kind = 'adjustment' AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION refuse('adjustments are inserted into billing_adjustment');
