-- The life cycle of accounts and the names that they go by. What decides whether an account may be used is told as it
-- is; `billing_client.rules.lifecycle` decides.

-- Terms as JSON, in the order of `billing_client.rules.lifecycle.LifeTerms`; null: nothing forbids the use, ever.
CREATE FUNCTION account_terms(
    kind text, state text, customer_state text, activation date, expiry date, first_days integer, last_days integer,
    first_used timestamptz, last_used timestamptz, renewed timestamptz, zone text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN kind = 'voucher' OR state <> 'active' OR customer_state <> 'active'
                  OR num_nonnulls(activation, expiry, first_days, last_days) > 0
        THEN json_build_array(kind, state, customer_state, activation, expiry, first_days, last_days,
                              extract(epoch FROM first_used), extract(epoch FROM last_used),
                              extract(epoch FROM renewed), zone)::text END
$$;

-- Whether a name of an account registers and calls by itself.
CREATE FUNCTION alias_allows(allow_authentication boolean, is_number boolean, of_customer boolean)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT allow_authentication AND (is_number OR of_customer)
$$;

-- Notes a use of an account, or that it was recharged. Uses are kept to the minute, so that what calls without end
-- writes little. Nothing is moved backwards: the first use only to an earlier one that is told of later.
-- Locks the row of the account in billing_accountuse: call it last in a transaction, after balances were locked.
CREATE FUNCTION touch_account(account bigint, at timestamptz, renewed boolean DEFAULT false, until timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF renewed THEN
        INSERT INTO billing_accountuse AS u (account_id, renewed_at) VALUES (account, at)
            ON CONFLICT (account_id) DO UPDATE SET renewed_at = greatest(u.renewed_at, EXCLUDED.renewed_at);
        -- Only terms in days are news; announcements make commits wait for each other.
        PERFORM notify_accounts(array_agg(a.number)) FROM billing_account a
            WHERE a.id = account AND num_nonnulls(a.expire_after_first_use_days, a.expire_after_last_use_days) > 0;
        RETURN;
    END IF;
    until := greatest(at, until);
    IF EXISTS (SELECT FROM billing_accountuse u WHERE u.account_id = account
               AND u.first_used_at <= at AND u.last_used_at >= date_trunc('minute', until)) THEN
        RETURN;
    END IF;
    INSERT INTO billing_accountuse AS u (account_id, first_used_at, last_used_at) VALUES (account, at, until)
        ON CONFLICT (account_id) DO UPDATE SET
            first_used_at = least(u.first_used_at, EXCLUDED.first_used_at),
            last_used_at = greatest(u.last_used_at, EXCLUDED.last_used_at);
END $$;

ALTER TABLE billing_accountuse SET (fillfactor = 50);

DROP FUNCTION subscriber(text);

-- The account that a name leads to, once for each of the name's live bindings (or once without). `may_register`: the
-- name authenticates by itself.
CREATE FUNCTION subscriber(asked text) RETURNS TABLE (
    account_id bigint, number text, password text, terms text, may_register boolean,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.password,
           account_terms(a.kind, a.state, c.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, u.first_used_at, u.last_used_at, u.renewed_at, c.timezone),
           alias_allows(n.allow_authentication, n.is_number, c.alias_authentication),
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        LEFT JOIN billing_accountuse u ON u.account_id = a.id
            AND num_nonnulls(a.expire_after_first_use_days, a.expire_after_last_use_days) > 0
        LEFT JOIN billing_binding b ON b.aor = n.name AND b.expires_at > now()
            AND alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
        WHERE n.name = asked AND n.name NOT LIKE '%@pstn'
$$;

DROP FUNCTION parties(text, text);

-- The accounts that two names lead to; that of the second once for each live binding of what it rings. `answering`
-- says how an account takes its calls; null: it only rings.
CREATE FUNCTION parties(calling text, called text) RETURNS TABLE (
    asked text, account_id bigint, number text, name text, display text, customer_id bigint, customer_name text,
    kind text, terms text, tariff_id bigint, balance_id bigint, currency text, available numeric, password text,
    via text, may_call boolean, answering text,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT n.name, a.id, a.number,
           CASE WHEN alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
                THEN n.name ELSE a.number END,
           a.display, c.id, c.name, a.kind,
           account_terms(a.kind, a.state, c.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, u.first_used_at, u.last_used_at, u.renewed_at, c.timezone),
           p.tariff_id, f.id, f.currency, f.available, a.password,
           CASE WHEN n.is_number THEN 'account' WHEN n.name LIKE '%@pstn' THEN 'ani' WHEN n.name LIKE '%@pin' THEN 'pin'
                ELSE 'alias' END,
           alias_allows(n.allow_authentication, n.is_number, c.alias_authentication),
           CASE WHEN a.answering <> '{}' OR m.account_id > 0
                THEN (a.answering || jsonb_build_object('timezone', coalesce(nullif(a.timezone, ''), c.timezone),
                                                        'mailbox', m.enabled))::text END,
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        JOIN billing_balance f ON f.id = a.balance_id
        LEFT JOIN billing_accountuse u ON u.account_id = a.id
            AND num_nonnulls(a.expire_after_first_use_days, a.expire_after_last_use_days) > 0
        LEFT JOIN billing_product p ON p.id = a.product_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_binding b
            ON n.name = called AND b.expires_at > now()
            AND b.aor = CASE WHEN alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
                             THEN n.name ELSE a.number END
        WHERE n.name IN (calling, called)
$$;

DROP FUNCTION mailbox(text);

CREATE FUNCTION mailbox(asked text) RETURNS TABLE (
    account_id bigint, number text, display text, language text, timezone text, has_pin boolean, ask_pin boolean,
    greetings text[], max_messages integer, operator text, new bigint, old bigint, new_urgent bigint, old_urgent bigint,
    attach text, delete_after_email boolean, terms text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.display, a.language, coalesce(nullif(a.timezone, ''), u.timezone), coalesce(m.pin, '') <> '',
           coalesce(m.ask_pin, false),
           ARRAY(SELECT g.kind::text FROM billing_greeting g WHERE g.account_id = a.id), m.max_messages,
           coalesce(m.operator, ''), c.new, c.old, c.new_urgent, c.old_urgent,
           CASE WHEN cardinality(m.email) > 0 THEN m.attach ELSE '' END, coalesce(m.delete_after_email, false),
           account_terms(a.kind, a.state, u.state, a.activation_date, a.expiry_date, a.expire_after_first_use_days,
                         a.expire_after_last_use_days, s.first_used_at, s.last_used_at, s.renewed_at, u.timezone)
        FROM message_counts(ARRAY[asked]) c
        JOIN billing_alias n ON n.name = asked
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer u ON u.id = a.customer_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_accountuse s ON s.account_id = a.id
$$;

DROP FUNCTION account_refusal(text, text, text, date, date);

-- Aliases that are addresses tell who calls from there. They are few, and a switch keeps them in memory.
CREATE INDEX alias_address ON billing_alias (name) WHERE name ~ '^(\d{1,3}\.){3}\d{1,3}$|:.*:';

CREATE FUNCTION addresses() RETURNS TABLE (name text) LANGUAGE sql STABLE AS $$
    SELECT n.name
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        WHERE n.name ~ '^(\d{1,3}\.){3}\d{1,3}$|:.*:'
          AND alias_allows(n.allow_authentication, n.is_number, c.alias_authentication)
$$;

CREATE FUNCTION addresses_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM changed WHERE name ~ '^(\d{1,3}\.){3}\d{1,3}$|:.*:') THEN
        PERFORM pg_notify('softswitch', 'routes');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER addresses_inserted AFTER INSERT ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();
CREATE TRIGGER addresses_updated_from AFTER UPDATE ON billing_alias REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();
CREATE TRIGGER addresses_updated_to AFTER UPDATE ON billing_alias REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();
CREATE TRIGGER addresses_deleted AFTER DELETE ON billing_alias REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION addresses_changed();
CREATE TRIGGER alias_authentication_changed AFTER UPDATE OF alias_authentication ON billing_customer FOR EACH ROW
    WHEN (OLD.alias_authentication <> NEW.alias_authentication) EXECUTE FUNCTION notify('routes');

-- An answered call is a use of the account that its record names: of who paid, or was called by a carrier. Deferred to
-- the end of the transaction, when every call and balance that it needs is locked.
CREATE FUNCTION record_is_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'billing_xdr' THEN
        PERFORM touch_account(NEW.account_id, NEW.answered_at, false, NEW.ended_at);
    ELSE
        PERFORM touch_account(x.account_id, NEW.answered_at, false, NEW.ended_at)
            FROM billing_xdr x WHERE x.call_id = NEW.call_id;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER xdr_is_use AFTER INSERT ON billing_xdr DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.answered_at IS NOT NULL) EXECUTE FUNCTION record_is_use();
CREATE CONSTRAINT TRIGGER correction_is_use AFTER INSERT ON billing_correction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.answered_at IS NOT NULL) EXECUTE FUNCTION record_is_use();

-- Takes up to `most` e-mails that are due, for `lease_seconds` in which nobody else takes them, with all that is needed
-- to write them. `attempts` counts this one.
CREATE OR REPLACE FUNCTION take_emails(at timestamptz, lease_seconds double precision, most integer) RETURNS TABLE (
    message_id uuid, attempts integer, queued_at timestamptz, recipients text[], number text, display text,
    language text, timezone text, attach text, caller text, caller_name text, received_at timestamptz,
    seconds double precision, urgent boolean, format text, data bytea, introduced_format text, introduced_data bytea)
LANGUAGE sql AS $$
    WITH due AS (
        SELECT e.message_id FROM billing_voiceemail e WHERE e.due_at <= at ORDER BY e.due_at LIMIT most
        FOR UPDATE SKIP LOCKED),
    taken AS (
        UPDATE billing_voiceemail e SET attempts = e.attempts + 1, due_at = at + make_interval(secs => lease_seconds)
            FROM due WHERE e.message_id = due.message_id
        RETURNING e.message_id, e.attempts, e.queued_at, e.recipients)
    SELECT t.message_id, t.attempts, t.queued_at, t.recipients::text[], a.number, a.display, a.language,
           coalesce(nullif(a.timezone, ''), c.timezone),
           coalesce(m.attach, 'wav'), v.caller, v.caller_name, v.received_at, v.seconds, v.urgent,
           s.format, CASE WHEN m.attach <> 'none' THEN s.data END,
           i.format, CASE WHEN m.attach <> 'none' THEN i.data END
        FROM taken t
        JOIN billing_voicemessage v ON v.id = t.message_id
        JOIN billing_account a ON a.id = v.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        LEFT JOIN billing_voicesound s ON s.id = v.id
        LEFT JOIN billing_voicesound i ON i.id = v.comment_of
        ORDER BY t.queued_at
$$;
