-- Trigger of a product that gets a tariff: all of them are in the same currency, and stay in it.
CREATE OR REPLACE FUNCTION product_check_currency() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_tariff WHERE id IN (NEW.tariff_id, NEW.inside_id, NEW.between_id)
                AND currency <> (SELECT currency FROM billing_tariff
                                  WHERE id = CASE WHEN TG_OP = 'UPDATE' THEN OLD.tariff_id ELSE NEW.tariff_id END)) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('product %s: the new tariff is in another currency', NEW.name);
    END IF;
    RETURN NULL;
END $$;
