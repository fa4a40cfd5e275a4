-- Trigger of rates, once for each statement: their tariffs have a new revision, and switches read them again.
CREATE OR REPLACE FUNCTION tariffs_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE billing_tariff SET revision = revision + 1;
    ELSE
        UPDATE billing_tariff SET revision = revision + 1 WHERE id IN (SELECT DISTINCT tariff_id FROM changed);
    END IF;
    PERFORM pg_notify('softswitch', 'rates');
    RETURN NULL;
END $$;
