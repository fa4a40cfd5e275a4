-- Locks slice number `number` (1, 2, ...) of a call; a slice granted before is not locked again.
CREATE OR REPLACE FUNCTION extend_call(call text, number integer, want numeric, minimum numeric,
                                       OUT held numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    c record;
    grant_ record;
BEGIN
    SELECT balance_id, locked, slice, cap, customer_id INTO c
        FROM billing_activecall WHERE call_id = call FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        held := 0;
        refusal := 'unknown call';
        RETURN;
    END IF;
    held := c.locked;
    IF c.slice >= number THEN
        RETURN;
    END IF;
    want := least(want, c.cap - c.locked);
    IF c.cap IS NOT NULL AND (want < minimum OR want <= 0) THEN
        refusal := 'cap';
        RETURN;
    END IF;
    IF c.customer_id IS NOT NULL THEN
        want := least(want, spending_room(c.customer_id, c.balance_id, want, ''));
        IF want < minimum OR want <= 0 THEN
            refusal := 'spending';
            RETURN;
        END IF;
    END IF;
    grant_ := lock_funds(c.balance_id, want, minimum);
    IF grant_.granted = 0 THEN
        refusal := 'funds';
        RETURN;
    END IF;
    UPDATE billing_activecall
        SET locked = locked + grant_.granted, slice = number, owes = grant_.owes, currency = grant_.currency
        WHERE call_id = call RETURNING locked INTO held;
END $$;
