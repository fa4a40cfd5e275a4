-- Whose number a number is. A number identifies only where the gateway that brings it vouches for its numbers, and as far
-- as the account lets it: `enough`, `once` (the first call by each gateway asks the PIN), `pin` (every call does), `off`.
-- One that its caller has claimed by telephone dials, and does no more until a call to it has proved it.

-- How far a number identifies: the account's rule, "claimed" or "proven", and the gateways by which it came with the right
-- PIN. `billing_client.rules.vouching` decides.
CREATE FUNCTION number_trust(number text, rule text, claimed timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT rule || CASE WHEN claimed IS NULL THEN ' proven' ELSE ' claimed' END
           || coalesce((SELECT string_agg(' ' || w.gateway_id, '') FROM billing_numberway w WHERE w.alias_id = number), '')
$$;

DROP FUNCTION parties(text, text);

-- The accounts that two names lead to; that of the second once for each live binding of what it rings. `answering`
-- says how an account takes its calls; null: it only rings. `trust`, of a calling number: see above.
CREATE FUNCTION parties(calling text, called text) RETURNS TABLE (
    asked text, account_id bigint, number text, name text, display text, customer_id bigint, customer_name text,
    kind text, terms text, tariff_id bigint, balance_id bigint, currency text, available numeric, password text,
    via text, may_call boolean, answering text, trust text,
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
           CASE WHEN n.name LIKE '%@pstn' THEN number_trust(n.name, a.ani, n.claimed_at) END,
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

-- The account that a calling number is of, how far it identifies, and the gateway that brings it.
CREATE FUNCTION known_caller(caller text, by_gateway text, OUT number text, OUT trust text, OUT gateway_id bigint)
LANGUAGE sql STABLE AS $$
    SELECT a.number, number_trust(n.name, a.ani, n.claimed_at),
           (SELECT g.id FROM billing_gateway g WHERE g.name = by_gateway AND g.identifies <> 'no')
      FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
     WHERE n.name = caller || '@pstn'
$$;

-- The caller has shown by a PIN to be the account: his number, if it is one of hers, needs none by this gateway any more.
CREATE FUNCTION number_came(asked text, caller text, by_gateway text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing_numberway (alias_id, gateway_id)
        SELECT n.name, g.id FROM billing_alias n
          JOIN billing_alias o ON o.account_id = n.account_id AND o.name = asked
          JOIN billing_gateway g ON g.name = by_gateway AND g.identifies <> 'no'
         WHERE n.name = caller || '@pstn'
        ON CONFLICT DO NOTHING
$$;

-- Claims a number for an account: "known" (it is one of its numbers), "claimed" (until it is proven it dials only),
-- "taken" (it is somebody else's), "full" (the account has `most` that are not proven), or "unknown".
CREATE FUNCTION claim_number(asked text, caller text, by_gateway text, most integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    owner record;
BEGIN
    SELECT a.id INTO account FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
        WHERE n.name = asked FOR NO KEY UPDATE OF a;
    IF account IS NULL THEN
        RETURN 'unknown';
    END IF;
    SELECT n.account_id, n.claimed_at INTO owner FROM billing_alias n WHERE n.name = caller || '@pstn';
    IF NOT FOUND THEN
        IF most <= (SELECT count(*) FROM billing_alias n WHERE n.account_id = account AND n.claimed_at IS NOT NULL) THEN
            RETURN 'full';
        END IF;
        INSERT INTO billing_alias (name, account_id, claimed_at) VALUES (caller || '@pstn', account, now())
            ON CONFLICT (name) DO NOTHING;
        SELECT n.account_id, n.claimed_at INTO owner FROM billing_alias n WHERE n.name = caller || '@pstn';
    END IF;
    IF owner.account_id <> account THEN
        RETURN 'taken';
    END IF;
    PERFORM number_came(asked, caller, by_gateway);
    RETURN CASE WHEN owner.claimed_at IS NULL THEN 'known' ELSE 'claimed' END;
END $$;

-- A call to the number has proved that it is the account's.
CREATE FUNCTION number_proven(asked text, caller text) RETURNS boolean LANGUAGE sql AS $$
    WITH proven AS (
        UPDATE billing_alias n SET claimed_at = NULL
          FROM billing_alias o
         WHERE n.name = caller || '@pstn' AND o.name = asked AND o.account_id = n.account_id
        RETURNING 1)
    SELECT EXISTS (SELECT FROM proven)
$$;

-- Whether two accounts, by number or a name that is dialled, are of one customer.
CREATE FUNCTION are_colleagues(one text, other text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM billing_alias m JOIN billing_account a ON a.id = m.account_id
          JOIN billing_account b ON b.customer_id = a.customer_id
          JOIN billing_alias n ON n.account_id = b.id
         WHERE m.name = one AND n.name = other AND strpos(other, '@') = 0)
$$;

-- Calls back ----------------------------------------------------------------------------------------------------------

-- Lets a number be rung, at the expense of an account: its id, or null where that was done `most` times in this hour
-- (`most_of_account` times for all of the account's numbers), or where the last call was of no use to whoever answered:
-- then the number rests for ten minutes, and twice as long each further time, up to a day.
CREATE FUNCTION ring_back_taken(asked text, called text, most integer, most_of_account integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    unused integer;
    last_at timestamptz;
    made bigint;
BEGIN
    SELECT a.id INTO account FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
        WHERE n.name = asked FOR NO KEY UPDATE OF a;
    IF account IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT count(*) FILTER (WHERE NOT EXISTS (
               SELECT FROM billing_ringback l WHERE l.number = r.number AND l.used AND l.at > r.at)), max(r.at)
      INTO unused, last_at
      FROM billing_ringback r WHERE r.number = called AND NOT r.used AND r.at > now() - interval '1 day';
    IF unused > 0 AND last_at + make_interval(secs => least(86400, 600 * 2.0 ^ least(10, unused - 1))) > now()
       OR most <= (SELECT count(*) FROM billing_ringback r WHERE r.number = called AND r.at > now() - interval '1 hour')
       OR most_of_account <= (SELECT count(*) FROM billing_ringback r
                               WHERE r.account_id = account AND r.at > now() - interval '1 hour') THEN
        RETURN NULL;
    END IF;
    DELETE FROM billing_ringback WHERE number = called AND at < now() - interval '1 day';
    INSERT INTO billing_ringback (number, account_id) VALUES (called, account) RETURNING id INTO made;
    RETURN made;
END $$;

-- Mailboxes -----------------------------------------------------------------------------------------------------------

DROP FUNCTION room_for_message(uuid, text, integer);
DROP FUNCTION deposit_message(uuid, text, text, text, timestamptz, boolean, text, bytea, double precision, text, bytea,
                              double precision, integer);

-- Whether one more message may go into a mailbox: "room", "full", "unknown" or "stored" (this very one is there). Its row
-- is made and locked until the end of the transaction, so that simultaneous messages are counted one after another.
-- `most` holds where the mailbox itself sets no limit. `cli`, if any, has a share of `share` messages in it (those who
-- withhold their number have one together), and in an hour come `hourly` from all.
CREATE FUNCTION room_for_message(message uuid, asked text, most integer, cli text, share integer, hourly integer,
                                 OUT account bigint, OUT verdict text)
LANGUAGE plpgsql AS $$
BEGIN
    account := mailbox_account(asked);
    IF account IS NULL THEN
        verdict := 'unknown';
        RETURN;
    END IF;
    INSERT INTO billing_mailbox (account_id) VALUES (account) ON CONFLICT (account_id) DO NOTHING;
    SELECT coalesce(max_messages, most) INTO most FROM billing_mailbox WHERE account_id = account FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM billing_voicemessage WHERE id = message) THEN
        verdict := 'stored';
        RETURN;
    END IF;
    SELECT CASE WHEN count(*) < most
                 AND (cli IS NULL
                      OR count(*) FILTER (WHERE caller_key(v.caller) = caller_key(cli)) < share
                     AND count(*) FILTER (WHERE v.received_at > now() - interval '1 hour') < hourly)
                THEN 'room' ELSE 'full' END
      INTO verdict FROM billing_voicemessage v WHERE v.account_id = account AND v.deleted_at IS NULL;
END $$;

-- What callers of a mailbox are told apart by: digits where there are any, whichever way they were written.
CREATE FUNCTION caller_key(cli text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN cli ~ '^[+0-9 ().-]*[0-9][+0-9 ().-]*$' THEN right(regexp_replace(cli, '\D', '', 'g'), 9)
                ELSE coalesce(nullif(lower(cli), ''), 'anonymous') END
$$;

CREATE FUNCTION deposit_message(
    message uuid, asked text, cli text, cli_name text, received timestamptz, is_urgent boolean,
    sound_format text, sound bytea, length double precision,
    introduced_format text, introduced_sound bytea, introduced_length double precision, most integer,
    share integer, hourly integer, emails_hourly integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    room record;
    introduced uuid;
BEGIN
    room := room_for_message(message, asked, most, cli, share, hourly);
    IF room.verdict <> 'room' THEN
        RETURN room.verdict;
    END IF;
    INSERT INTO billing_voicesound (id, format, data, seconds) VALUES (message, sound_format, sound, length);
    IF introduced_sound IS NOT NULL THEN
        introduced := gen_random_uuid();
        INSERT INTO billing_voicesound (id, format, data, seconds)
            VALUES (introduced, introduced_format, introduced_sound, introduced_length);
    END IF;
    PERFORM add_message(message, room.account, cli, cli_name, received, length, is_urgent, introduced);
    PERFORM pace_email(message, room.account, emails_hourly);
    RETURN 'stored';
END $$;

-- E-mails of a mailbox go out at once up to `hourly`, then one every 3600 / `hourly` seconds: messages are told of late
-- rather than not at all. The mailbox's row is locked by whoever adds the message.
CREATE FUNCTION pace_email(message uuid, account bigint, hourly integer) RETURNS void LANGUAGE sql AS $$
    WITH paced AS (
        UPDATE billing_mailbox m
           SET emails_until = greatest(m.emails_until, now()) + make_interval(secs => 3600.0 / hourly)
         WHERE m.account_id = account AND cardinality(m.email) > 0
        RETURNING greatest(now(), m.emails_until - interval '1 hour') AS due)
    UPDATE billing_voiceemail e SET due_at = paced.due FROM paced WHERE e.message_id = message
$$;

-- Copies a message into another mailbox. With a comment the copy is from `sender`, and the comment's sound comes before
-- that of the message (a comment that the message had itself is left out); without, it is from who called at first.
CREATE OR REPLACE FUNCTION forward_message(message uuid, asked text, sender text, comment_format text,
                                           comment_sound bytea, comment_length double precision, copy uuid, most integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    room record;
    original billing_voicemessage;
    introduced uuid;
    sender_name text := '';
BEGIN
    SELECT * INTO original FROM billing_voicemessage WHERE id = message;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    room := room_for_message(copy, asked, most, NULL, 0, 0);
    IF room.verdict <> 'room' THEN
        RETURN room.verdict;
    END IF;
    IF comment_sound IS NULL THEN
        INSERT INTO billing_voicesound (id, format, data, seconds)
            SELECT copy, format, data, seconds FROM billing_voicesound WHERE id = message;
        IF original.comment_of IS NOT NULL THEN
            introduced := gen_random_uuid();
            INSERT INTO billing_voicesound (id, format, data, seconds)
                SELECT introduced, format, data, seconds FROM billing_voicesound WHERE id = original.comment_of;
        END IF;
        PERFORM add_message(copy, room.account, original.caller, original.caller_name, now(), original.seconds,
                            original.urgent, introduced);
        RETURN 'stored';
    END IF;
    introduced := gen_random_uuid();
    INSERT INTO billing_voicesound (id, format, data, seconds)
        VALUES (copy, comment_format, comment_sound, comment_length);
    INSERT INTO billing_voicesound (id, format, data, seconds)
        SELECT introduced, format, data, seconds FROM billing_voicesound
            WHERE id = coalesce(original.comment_of, message);
    SELECT a.display INTO sender_name FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
        WHERE n.name = sender;
    PERFORM add_message(copy, room.account, sender, coalesce(sender_name, ''), now(), comment_length, original.urgent,
                        introduced);
    RETURN 'stored';
END $$;
