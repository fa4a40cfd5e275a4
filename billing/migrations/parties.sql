-- Who is who. These two are plain queries in functions that the planner inlines; they are asked for every
-- registration and every call.

-- Why an account may not be used now; null: it may. Dates count in UTC.
CREATE FUNCTION account_refusal(kind text, state text, customer_state text, activation date, expiry date)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN kind = 'voucher' THEN 'account voucher'
        WHEN state <> 'active' THEN 'account ' || state
        WHEN customer_state <> 'active' THEN 'customer ' || customer_state
        WHEN activation > (now() AT TIME ZONE 'UTC')::date THEN 'account not yet active'
        WHEN expiry <= (now() AT TIME ZONE 'UTC')::date THEN 'account expired'
    END
$$;

-- The account that authenticates under a name, once for each of its live bindings (or once without).
CREATE FUNCTION subscriber(asked text) RETURNS TABLE (
    account_id bigint, number text, password text, usable text,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.password,
           account_refusal(a.kind, a.state, c.state, a.activation_date, a.expiry_date),
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        LEFT JOIN billing_binding b ON b.aor = n.name AND b.expires_at > now()
        WHERE n.name = asked AND n.allow_authentication
$$;

-- The accounts that two names lead to; that of the second once for each live binding of what it rings.
CREATE FUNCTION parties(calling text, called text) RETURNS TABLE (
    asked text, account_id bigint, number text, name text, display text, customer_id bigint, customer_name text,
    kind text, refusal text, tariff_id bigint, balance_id bigint, currency text, available numeric, password text,
    via text, may_call boolean,
    aor text, key text, contact text, received text, path text[], expires_at timestamptz, q double precision,
    call_id text, cseq bigint, instance text, reg_id integer, user_agent text, node text, socket text)
LANGUAGE sql STABLE AS $$
    SELECT n.name, a.id, a.number, CASE WHEN n.allow_authentication THEN n.name ELSE a.number END, a.display,
           c.id, c.name, a.kind,
           account_refusal(a.kind, a.state, c.state, a.activation_date, a.expiry_date),
           p.tariff_id, f.id, f.currency, f.available, a.password,
           CASE WHEN n.is_number THEN 'account' WHEN n.name LIKE '%@pstn' THEN 'ani' ELSE 'alias' END,
           n.allow_authentication,
           b.aor, b.key, b.contact, b.received, b.path::text[], b.expires_at, b.q,
           b.call_id, b.cseq, b.instance, b.reg_id, b.user_agent, b.node, b.socket
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer c ON c.id = a.customer_id
        JOIN billing_balance f ON f.id = a.balance_id
        LEFT JOIN billing_product p ON p.id = a.product_id
        LEFT JOIN billing_binding b
            ON n.name = called AND b.expires_at > now()
            AND b.aor = CASE WHEN n.allow_authentication THEN n.name ELSE a.number END
        WHERE n.name IN (calling, called)
$$;

-- The account's own number is among its aliases.
CREATE FUNCTION account_keep_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM billing_alias WHERE account_id = NEW.id AND is_number;
    END IF;
    INSERT INTO billing_alias (name, account_id, allow_authentication, is_number)
        VALUES (NEW.number, NEW.id, true, true);
    RETURN NULL;
END $$;

CREATE TRIGGER account_keep_name AFTER INSERT OR UPDATE OF number ON billing_account FOR EACH ROW
    EXECUTE FUNCTION account_keep_name();
