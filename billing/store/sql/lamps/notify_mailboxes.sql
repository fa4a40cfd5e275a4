-- Tells message lamps of mailboxes that changed: `mailbox:NUMBER` for each, or "resync" where that would be a flood.
CREATE OR REPLACE FUNCTION notify_mailboxes(accounts bigint[]) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('softswitch', payload)
        FROM (SELECT 'mailbox:' || a.number FROM billing_account a
               WHERE a.id = ANY (accounts) AND cardinality(accounts) <= 100
              UNION ALL SELECT 'resync' WHERE cardinality(accounts) > 100) AS payloads (payload)
$$;
