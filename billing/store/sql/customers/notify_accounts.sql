-- Tells switches of accounts that changed: names each, or says "resync" where that would be a flood.
CREATE OR REPLACE FUNCTION notify_accounts(numbers text[]) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('softswitch', payload)
        FROM (SELECT 'account:' || number FROM unnest(numbers) AS number WHERE cardinality(numbers) <= 100
              UNION ALL SELECT 'resync' WHERE cardinality(numbers) > 100) AS payloads (payload)
$$;
