-- Vouchers: a million are one COPY, so nothing is checked row by row that a trigger on the other side can keep.

ALTER TABLE billing_voucher SET (fillfactor = 85);

CREATE FUNCTION keep_with_vouchers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'billing_batch' AND EXISTS (SELECT FROM billing_voucher WHERE batch_id = OLD.id)
        OR TG_TABLE_NAME = 'billing_product' AND EXISTS (SELECT FROM billing_voucher WHERE product_id = OLD.id) THEN
        RAISE integrity_constraint_violation USING MESSAGE = format('%s %s has vouchers', TG_TABLE_NAME, OLD.id);
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER batch_keep_with_vouchers BEFORE DELETE ON billing_batch
    FOR EACH ROW EXECUTE FUNCTION keep_with_vouchers();
CREATE TRIGGER product_keep_with_vouchers BEFORE DELETE ON billing_product
    FOR EACH ROW EXECUTE FUNCTION keep_with_vouchers();

-- On its day of expiry a voucher is worth nothing any more, in the time zone of the batch's customer.
CREATE FUNCTION voucher_expired(expires date, zone text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(expires <= (now() AT TIME ZONE zone)::date, false)
$$;

-- The terms of an account's life, for whoever tells when it ends; null: nothing ends it.
CREATE FUNCTION account_life(account bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT account_terms(a.kind, a.state, c.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, u.first_used_at, u.last_used_at, u.renewed_at, c.timezone)
      FROM billing_account a JOIN billing_customer c ON c.id = a.customer_id
      LEFT JOIN billing_accountuse u ON u.account_id = a.id
     WHERE a.id = account
$$;

-- What was paid out stays as it was paid out.
CREATE TRIGGER voucher_keeps_nature BEFORE UPDATE OF id, batch_id, control_number, amount, currency, used_at, used_by
    ON billing_voucher FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.batch_id <> NEW.batch_id OR OLD.control_number <> NEW.control_number
          OR OLD.used_at IS NOT NULL
             AND (OLD.amount, OLD.currency, OLD.used_at, OLD.used_by)
                 IS DISTINCT FROM (NEW.amount, NEW.currency, NEW.used_at, NEW.used_by))
    EXECUTE FUNCTION refuse('a voucher keeps its id, and a used one its amount and its account');

CREATE TRIGGER voucher_keep_used BEFORE DELETE ON billing_voucher FOR EACH ROW WHEN (OLD.used_at IS NOT NULL)
    EXECUTE FUNCTION refuse('a used voucher stays');

-- All that a redemption asks before it knows whether the code is right, in one round trip: the account, the vouchers
-- whose id begins the code (`ids`; one row each, or one without), an earlier answer under the same key, and how many
-- wrong codes came of late from where this one comes. `weights` go with `subjects`.
CREATE FUNCTION voucher_lookup(asked text, ids text[], redemption_key text, subjects text[], weights integer[])
RETURNS TABLE (account_id bigint, number text, account_refusal text, currency text, same_currency boolean,
               is_locked boolean, delay integer,
               earlier_state text, earlier_voucher text, earlier_digest bytea, earlier_account bigint,
               id text, key_id integer, sealed bytea)
LANGUAGE sql STABLE AS $$
    WITH account AS (
        SELECT a.id, a.number, b.currency, b.currency = own.currency AS same_currency,
               CASE WHEN a.kind NOT IN ('debit', 'credit') THEN 'kind'
                    WHEN a.state = 'closed' OR c.state = 'closed' THEN 'account' END AS refusal
          FROM billing_alias n
          JOIN billing_account a ON a.id = n.account_id
          JOIN billing_balance b ON b.id = a.balance_id
          JOIN billing_customer c ON c.id = a.customer_id
          JOIN billing_balance own ON own.id = c.balance_id
         WHERE n.name = asked),
    guesses AS (
        SELECT coalesce(bool_or(g.locked_until > now()), false) AS is_locked,
               coalesce(max(guess_delay(g.failures, g.weight)), 0) AS delay
          FROM billing_voucherguess g
         WHERE g.subject = ANY (subjects || ('account ' || coalesce((SELECT number FROM account), asked)))
           AND NOT guess_forgotten(g))
    SELECT a.id, a.number, coalesce(a.refusal, CASE WHEN a.id IS NULL THEN 'account' END), a.currency, a.same_currency,
           g.is_locked, g.delay, r.state, r.voucher, r.digest, r.account_id, v.id, v.key_id, v.sealed
      FROM guesses g
      LEFT JOIN account a ON true
      LEFT JOIN billing_redemption r ON r.key = redemption_key
      LEFT JOIN billing_voucher v ON v.id = ANY (ids)
$$;

-- Transfers a voucher to an account, once; the caller has compared the password. Everything that may change meanwhile
-- is in the condition of the one statement that marks the voucher as used; with it in one transaction go the ledger's
-- entry, the extension of the account's life and the answer under this key. Asked again with the same key the answer is
-- the same; the same key for another voucher or account is an error.
CREATE FUNCTION redeem_voucher(voucher_id text, redemption_key text, account bigint,
                               OUT outcome text, OUT amount numeric, OUT currency text, OUT funds numeric,
                               OUT available numeric, OUT life text)
LANGUAGE plpgsql AS $$
DECLARE
    done billing_redemption;
    payee record;
    face record;
BEGIN
    SELECT * INTO done FROM billing_redemption r WHERE r.key = redemption_key;
    IF NOT FOUND THEN
        SELECT a.balance_id, a.sub_realm, b.currency,
               CASE WHEN a.kind NOT IN ('debit', 'credit') THEN 'kind'
                    WHEN a.state = 'closed' OR c.state = 'closed' THEN 'account' END AS refusal
          INTO payee
          FROM billing_account a JOIN billing_balance b ON b.id = a.balance_id JOIN billing_customer c ON c.id = a.customer_id
         WHERE a.id = account;
        outcome := CASE WHEN FOUND THEN payee.refusal ELSE 'account' END;
        IF outcome IS NOT NULL THEN
            RETURN;
        END IF;
        UPDATE billing_voucher v SET used_at = now(), used_by = account
          FROM billing_batch k JOIN billing_customer c ON c.id = k.customer_id
         WHERE v.id = voucher_id AND k.id = v.batch_id AND v.used_at IS NULL AND v.state = 'active'
           AND NOT voucher_expired(v.expires, c.timezone)
           AND v.currency = payee.currency AND v.sub_realm = payee.sub_realm
        RETURNING v.amount, v.currency INTO face;
        IF FOUND THEN
            PERFORM post_entry('voucher:' || voucher_id, payee.balance_id, face.amount, 'voucher', '');
            INSERT INTO billing_redemption (key, account_id, state, voucher, amount, currency, funds, available, done_at)
                SELECT redemption_key, account, 'done', voucher_id, face.amount, face.currency, b.amount, b.available, now()
                  FROM billing_balance b WHERE b.id = payee.balance_id
                RETURNING * INTO done;
            PERFORM touch_account(account, now(), true);  -- last: its lock comes after that of the balance
        ELSE
            SELECT * INTO done FROM billing_redemption r WHERE r.key = redemption_key;  -- by another, while we waited
            IF NOT FOUND THEN
                outcome := voucher_refusal(voucher_id, payee.currency, payee.sub_realm);
                RETURN;
            END IF;
        END IF;
    END IF;
    IF (done.voucher, done.account_id) IS DISTINCT FROM (voucher_id, account) THEN
        RAISE unique_violation USING MESSAGE = format('key %s was used for another voucher or account', redemption_key);
    END IF;
    outcome := 'ok';
    amount := done.amount;
    currency := done.currency;
    funds := done.funds;
    available := done.available;
    life := account_life(account);
END $$;

-- Why a voucher cannot be redeemed for an account of this currency and sub-realm. 'used' if nothing speaks against it
-- any more: the one who held it meanwhile has used it or gave it back this instant; asking again tells.
CREATE FUNCTION voucher_refusal(voucher_id text, account_currency text, account_realm text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT CASE WHEN v.used_at IS NOT NULL THEN 'used'
                    WHEN v.state <> 'active' THEN v.state
                    WHEN voucher_expired(v.expires, c.timezone) THEN 'expired'
                    WHEN v.currency <> account_currency THEN 'currency'
                    WHEN v.sub_realm <> account_realm THEN 'realm'
                    ELSE 'used' END
          FROM billing_voucher v JOIN billing_batch k ON k.id = v.batch_id JOIN billing_customer c ON c.id = k.customer_id
         WHERE v.id = voucher_id), 'unknown')
$$;
