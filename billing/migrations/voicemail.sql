-- Mailboxes and messages. A mailbox is asked for by the account's number or by any alias that leads to it.

-- Recorded sound does not compress.
ALTER TABLE billing_voicesound ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE billing_greeting ALTER COLUMN data SET STORAGE EXTERNAL;


-- The account whose mailbox a name leads to; null: there is none.
CREATE FUNCTION mailbox_account(asked text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT a.id
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        WHERE n.name = asked AND a.kind <> 'voucher' AND coalesce(m.enabled, true)
$$;

-- Present messages of each of these names that has a mailbox; `old` are those in all folders but "new", and urgent ones
-- count in `new` and `old` too (RFC 3842 section 5.2).
CREATE FUNCTION message_counts(names text[])
RETURNS TABLE (name text, new bigint, old bigint, new_urgent bigint, old_urgent bigint) LANGUAGE sql STABLE AS $$
    SELECT n.name, c.new, c.old, c.new_urgent, c.old_urgent
        FROM unnest(names) AS asked
        JOIN billing_alias n ON n.name = asked
        JOIN billing_account a ON a.id = n.account_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE v.folder = 'new') AS new,
                   count(*) FILTER (WHERE v.folder <> 'new') AS old,
                   count(*) FILTER (WHERE v.folder = 'new' AND v.urgent) AS new_urgent,
                   count(*) FILTER (WHERE v.folder <> 'new' AND v.urgent) AS old_urgent
                FROM billing_voicemessage v WHERE v.account_id = a.id AND v.deleted_at IS NULL) AS c
        WHERE a.kind <> 'voucher' AND coalesce(m.enabled, true)
$$;

CREATE FUNCTION mailbox(asked text) RETURNS TABLE (
    account_id bigint, number text, display text, language text, timezone text, has_pin boolean, ask_pin boolean,
    greetings text[], max_messages integer, operator text, new bigint, old bigint, new_urgent bigint, old_urgent bigint,
    attach text, delete_after_email boolean, usable text)
LANGUAGE sql STABLE AS $$
    SELECT a.id, a.number, a.display, a.language, a.timezone, coalesce(m.pin, '') <> '', coalesce(m.ask_pin, false),
           ARRAY(SELECT g.kind::text FROM billing_greeting g WHERE g.account_id = a.id), m.max_messages,
           coalesce(m.operator, ''), c.new, c.old, c.new_urgent, c.old_urgent,
           CASE WHEN cardinality(m.email) > 0 THEN m.attach ELSE '' END, coalesce(m.delete_after_email, false),
           account_refusal(a.kind, a.state, u.state, a.activation_date, a.expiry_date)
        FROM message_counts(ARRAY[asked]) c
        JOIN billing_alias n ON n.name = asked
        JOIN billing_account a ON a.id = n.account_id
        JOIN billing_customer u ON u.id = a.customer_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
$$;

CREATE FUNCTION messages(asked text, of_folder text) RETURNS TABLE (
    id uuid, folder text, caller text, caller_name text, received_at timestamptz, seconds double precision,
    urgent boolean, comment_of uuid)
LANGUAGE sql STABLE AS $$
    SELECT v.id, v.folder, v.caller, v.caller_name, v.received_at, v.seconds, v.urgent, v.comment_of
        FROM billing_voicemessage v
        WHERE v.account_id = mailbox_account(asked) AND v.folder = of_folder AND v.deleted_at IS NULL
        ORDER BY v.urgent DESC, v.received_at, v.id
$$;

-- Whether one more message may go into a mailbox: "room", "full", "unknown" or "stored" (this very one is there). Its row
-- is made and locked until the end of the transaction, so that simultaneous messages are counted one after another.
-- `most` holds where the mailbox itself sets no limit.
CREATE FUNCTION room_for_message(message uuid, asked text, most integer, OUT account bigint, OUT verdict text)
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
    ELSIF most <= (SELECT count(*) FROM billing_voicemessage WHERE account_id = account AND deleted_at IS NULL) THEN
        verdict := 'full';
    ELSE
        verdict := 'room';
    END IF;
END $$;

-- Writes a message whose sounds are there, and the e-mail that tells of it where the mailbox wants one.
CREATE FUNCTION add_message(message uuid, account bigint, cli text, cli_name text, received timestamptz,
                            length double precision, is_urgent boolean, introduced uuid)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing_voicemessage (id, account_id, folder, caller, caller_name, received_at, seconds, urgent,
                                      comment_of)
        VALUES (message, account, 'new', cli, cli_name, received, length, is_urgent, introduced);
    INSERT INTO billing_voiceemail (message_id, recipients, due_at)
        SELECT message, m.email, now() FROM billing_mailbox m WHERE m.account_id = account AND cardinality(m.email) > 0;
$$;

-- Stores a message with its sound, once; says "stored", "full" or "unknown". `introduced_...`: the sound of another
-- message that this one introduces, or null.
CREATE FUNCTION deposit_message(
    message uuid, asked text, cli text, cli_name text, received timestamptz, is_urgent boolean,
    sound_format text, sound bytea, length double precision,
    introduced_format text, introduced_sound bytea, introduced_length double precision, most integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    room record;
    introduced uuid;
BEGIN
    room := room_for_message(message, asked, most);
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
    RETURN 'stored';
END $$;

-- Copies a message into another mailbox. With a comment the copy is from `sender`, and the comment's sound comes before
-- that of the message (a comment that the message had itself is left out); without, it is from who called at first.
CREATE FUNCTION forward_message(message uuid, asked text, sender text, comment_format text, comment_sound bytea,
                                comment_length double precision, copy uuid, most integer)
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
    room := room_for_message(copy, asked, most);
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

CREATE FUNCTION set_greeting(asked text, which text, sound_format text, sound bytea, length double precision)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    account bigint := mailbox_account(asked);
BEGIN
    IF account IS NULL THEN
        RETURN false;
    END IF;
    IF sound IS NULL THEN
        DELETE FROM billing_greeting WHERE account_id = account AND kind = which;
    ELSE
        INSERT INTO billing_greeting (account_id, kind, format, data, seconds)
            VALUES (account, which, sound_format, sound, length)
            ON CONFLICT (account_id, kind)
            DO UPDATE SET format = EXCLUDED.format, data = EXCLUDED.data, seconds = EXCLUDED.seconds;
    END IF;
    RETURN true;
END $$;

-- Removes up to `most` messages that were deleted before then, and returns how many; one that is still to be e-mailed
-- waits.
CREATE FUNCTION purge_messages(before timestamptz, most integer) RETURNS integer LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM billing_voicemessage WHERE id IN (
            SELECT id FROM billing_voicemessage v
                WHERE deleted_at < before AND NOT EXISTS (SELECT FROM billing_voiceemail e WHERE e.message_id = v.id)
                ORDER BY deleted_at LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;

CREATE FUNCTION sounds_of_messages_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM billing_voicesound WHERE id IN (SELECT id FROM gone UNION ALL SELECT comment_of FROM gone);
    RETURN NULL;
END $$;

CREATE TRIGGER sounds_of_messages_gone AFTER DELETE ON billing_voicemessage REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION sounds_of_messages_gone();

-- Message lamps hear of every change: `mailbox:NUMBER`, or "resync" where that would be a flood.
CREATE FUNCTION notify_mailboxes(accounts bigint[]) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('softswitch', payload)
        FROM (SELECT 'mailbox:' || a.number FROM billing_account a
               WHERE a.id = ANY (accounts) AND cardinality(accounts) <= 100
              UNION ALL SELECT 'resync' WHERE cardinality(accounts) > 100) AS payloads (payload)
$$;

CREATE FUNCTION mailboxes_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_mailboxes(array_agg(DISTINCT account_id)) FROM changed WHERE deleted_at IS NULL OR TG_OP = 'UPDATE';
    RETURN NULL;
END $$;

CREATE TRIGGER messages_inserted AFTER INSERT ON billing_voicemessage REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION mailboxes_changed();
CREATE TRIGGER messages_updated AFTER UPDATE ON billing_voicemessage REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION mailboxes_changed();
CREATE TRIGGER messages_deleted AFTER DELETE ON billing_voicemessage REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION mailboxes_changed();

CREATE FUNCTION mailbox_switched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_mailboxes(ARRAY[NEW.account_id]);
    RETURN NULL;
END $$;

CREATE TRIGGER mailbox_switched AFTER UPDATE OF enabled ON billing_mailbox FOR EACH ROW
    WHEN (OLD.enabled <> NEW.enabled) EXECUTE FUNCTION mailbox_switched();
CREATE TRIGGER mailbox_made_off AFTER INSERT ON billing_mailbox FOR EACH ROW
    WHEN (NOT NEW.enabled) EXECUTE FUNCTION mailbox_switched();
