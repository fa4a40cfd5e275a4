-- Trigger: says one word (the trigger's) to all switches. Channel `softswitch`; the words are those of
-- `billing_client.types.StoreEvent`.
CREATE OR REPLACE FUNCTION notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('softswitch', TG_ARGV[0]);
    RETURN NULL;
END $$;
