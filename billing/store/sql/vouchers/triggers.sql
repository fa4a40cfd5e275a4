-- billing_batch

CREATE TRIGGER batch_keep_with_vouchers BEFORE DELETE ON billing_batch
    FOR EACH ROW EXECUTE FUNCTION keep_with_vouchers();

-- billing_product

CREATE TRIGGER product_keep_with_vouchers BEFORE DELETE ON billing_product
    FOR EACH ROW EXECUTE FUNCTION keep_with_vouchers();

-- billing_voucher

-- What was paid out stays as it was paid out.
CREATE TRIGGER voucher_keeps_nature BEFORE UPDATE OF id, batch_id, control_number, amount, currency, used_at, used_by
    ON billing_voucher FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.batch_id <> NEW.batch_id OR OLD.control_number <> NEW.control_number
          OR OLD.used_at IS NOT NULL
             AND (OLD.amount, OLD.currency, OLD.used_at, OLD.used_by)
                 IS DISTINCT FROM (NEW.amount, NEW.currency, NEW.used_at, NEW.used_by))
    EXECUTE FUNCTION refuse('a voucher keeps its id, and a used one its amount and its account');

CREATE TRIGGER voucher_keep_used BEFORE DELETE ON billing_voucher FOR EACH ROW WHEN (OLD.used_at IS NOT NULL)
    EXECUTE FUNCTION refuse('a used voucher stays');

-- billing_redemption

CREATE TRIGGER redemption_keep_done BEFORE DELETE ON billing_redemption FOR EACH ROW WHEN (OLD.state <> 'pending')
    EXECUTE FUNCTION refuse('what was redeemed stays');

CREATE TRIGGER redemption_stays_done BEFORE UPDATE OF state, key, account_id, amount, digest ON billing_redemption
    FOR EACH ROW
    WHEN (OLD.state <> 'pending' AND (OLD.state, OLD.key, OLD.account_id, OLD.amount, OLD.digest)
          IS DISTINCT FROM (NEW.state, NEW.key, NEW.account_id, NEW.amount, NEW.digest))
    EXECUTE FUNCTION refuse('what was redeemed stays');
