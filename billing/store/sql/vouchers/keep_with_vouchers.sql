-- Trigger of a batch or product to be deleted: one that has vouchers stays. Vouchers check no foreign keys: a million
-- are one COPY.
CREATE OR REPLACE FUNCTION keep_with_vouchers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'billing_batch' AND EXISTS (SELECT FROM billing_voucher WHERE batch_id = OLD.id)
        OR TG_TABLE_NAME = 'billing_product' AND EXISTS (SELECT FROM billing_voucher WHERE product_id = OLD.id) THEN
        RAISE integrity_constraint_violation USING MESSAGE = format('%s %s has vouchers', TG_TABLE_NAME, OLD.id);
    END IF;
    RETURN OLD;
END $$;
