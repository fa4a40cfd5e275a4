-- Copies a message into another mailbox. With a comment the copy is from `sender`, and the comment's sound comes before
-- that of the message (a comment that the message had itself is left out); without, it is from who called at first.
CREATE OR REPLACE FUNCTION forward_message(message uuid, asked text, sender text, comment_format text,
                                           comment_sound bytea, comment_length double precision, copy uuid,
                                           most integer)
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
