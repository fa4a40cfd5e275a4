-- Trigger of a changed account: it spends from the right balance, in the currency that it is rated in.
CREATE OR REPLACE FUNCTION account_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    balance billing_balance;
    own boolean;
    fits boolean;
BEGIN
    SELECT * INTO balance FROM billing_balance WHERE id = NEW.balance_id;
    own := NOT EXISTS (SELECT FROM billing_customer WHERE balance_id = NEW.balance_id);
    fits := CASE NEW.kind
        WHEN 'subordinate' THEN balance.id = (SELECT balance_id FROM billing_customer WHERE id = NEW.customer_id)
        WHEN 'credit' THEN own AND balance.kind = 'credit'
        ELSE own AND balance.kind = 'debit'
    END;
    IF NOT fits THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = format('account %s: a %s account cannot use balance %s', NEW.number, NEW.kind, balance.id);
    END IF;
    IF balance.currency <> (SELECT t.currency FROM billing_product p JOIN billing_tariff t ON t.id = p.tariff_id
                             WHERE p.id = NEW.product_id) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE =
                format('account %s: its product is priced in another currency than its balance', NEW.number);
    END IF;
    RETURN NULL;
END $$;
