-- E-mails of a mailbox go out at once up to `hourly`, then one every 3600 / `hourly` seconds: messages are told of late
-- rather than not at all. The mailbox's row is locked by whoever adds the message.
CREATE OR REPLACE FUNCTION pace_email(message uuid, account bigint, hourly integer) RETURNS void LANGUAGE sql AS $$
    WITH paced AS (
        UPDATE billing_mailbox m
           SET emails_until = greatest(m.emails_until, now()) + make_interval(secs => 3600.0 / hourly)
         WHERE m.account_id = account AND cardinality(m.email) > 0
        RETURNING greatest(now(), m.emails_until - interval '1 hour') AS due)
    UPDATE billing_voiceemail e SET due_at = paced.due FROM paced WHERE e.message_id = message
$$;
