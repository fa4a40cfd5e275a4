-- Trigger of a product that gets another tariff: it is in the same currency.
CREATE OR REPLACE FUNCTION product_check_currency() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT currency FROM billing_tariff WHERE id = NEW.tariff_id)
        <> (SELECT currency FROM billing_tariff WHERE id = OLD.tariff_id) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('product %s: the new tariff is in another currency', NEW.name);
    END IF;
    RETURN NULL;
END $$;
