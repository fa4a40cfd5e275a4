-- Whether one more message may go into a mailbox: "room", "full", "unknown" or "stored" (this very one is there). Its
-- row is made and locked until the end of the transaction, so that simultaneous messages are counted one after another.
-- `most` holds where the mailbox itself sets no limit. `cli`, if any, has a share of `share` messages in it (those who
-- withhold their number have one together), and in an hour come `hourly` from all.
CREATE OR REPLACE FUNCTION room_for_message(message uuid, asked text, most integer, cli text, share integer,
                                            hourly integer, OUT account bigint, OUT verdict text)
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
