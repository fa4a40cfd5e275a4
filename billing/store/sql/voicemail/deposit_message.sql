-- Stores a message with its sound, once; says "stored", "full" or "unknown". `introduced_...`: the sound of another
-- message that this one introduces, or null. `share` and `hourly`: see `room_for_message`; `emails_hourly`: see
-- `pace_email`.
CREATE OR REPLACE FUNCTION deposit_message(
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
