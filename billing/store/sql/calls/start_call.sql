-- Registers a call and locks its first slice, or says why not ("dead": this life was declared dead; for the others
-- see `billing_client.calls.Grant`). Asked again with the same call it answers as before.
--
-- `c` is what a `billing_client.calls.CallStart` says of the call, `callee_id` being whoever of ours is called.
-- Wanted are `want` of funds, or at least `minimum`; an `exempt` call passes every limit; `most`: how many calls at
-- a time the forward carries that it goes by.
CREATE OR REPLACE FUNCTION start_call(c billing_activecall, want numeric, minimum numeric, exempt boolean, most integer,
                                      OUT granted numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    l record;
    funds record;
    owes boolean := false;
BEGIN
    granted := 0;
    -- A call is counted only where a limit asks for it. A life that was declared dead begins no calls.
    SELECT num_nonnulls(a.max_calls, a.max_calls_in, a.max_calls_out) > 0 AND c.direction <> 'forwarded' AS limited,
           a.max_calls_out AS most_out,
           CASE WHEN num_nonnulls(k.max_calls, k.max_calls_in, k.max_calls_out, k.hourly_limit, k.daily_limit) > 0
                THEN k.id END AS customer,
           CASE WHEN num_nonnulls(b.max_calls, b.max_calls_in) > 0 THEN b.id END AS callee,
           CASE WHEN num_nonnulls(d.max_calls, d.max_calls_in) > 0 THEN d.id END AS callee_customer,
           least(a.max_call_price, k.max_call_price) AS cap
        INTO l
        FROM billing_node n
        LEFT JOIN (billing_account a JOIN billing_customer k ON k.id = a.customer_id)
            ON a.id = c.account_id AND NOT exempt
        LEFT JOIN (billing_account b JOIN billing_customer d ON d.id = b.customer_id)
            ON b.id = c.callee_id AND NOT exempt
        WHERE n.id = c.life_id AND n.ended_at IS NULL;
    IF NOT FOUND THEN
        refusal := 'dead';
        RETURN;
    END IF;
    IF c.forward IS NOT NULL THEN
        c.forwards := coalesce(c.forwards, c.call_id);
        IF is_one_forward_too_many(c, most, l.most_out) THEN
            refusal := 'concurrency';
            RETURN;
        END IF;
    END IF;
    IF (l.limited OR num_nonnulls(l.customer, l.callee, l.callee_customer) > 0) AND is_one_call_too_many(
        c.call_id, c.beside, c.direction = 'incoming', CASE WHEN l.limited THEN c.account_id END, l.customer, l.callee,
        l.callee_customer)
    THEN
        refusal := 'concurrency';
        RETURN;
    END IF;
    IF want > 0 THEN
        want := least(want, l.cap);
        IF want < minimum OR want <= 0 THEN
            refusal := 'cap';
            RETURN;
        END IF;
        IF l.customer IS NOT NULL THEN
            want := least(want, spending_room(l.customer, c.balance_id, want, c.call_id));
            IF want < minimum OR want <= 0 THEN
                refusal := 'spending';
                RETURN;
            END IF;
        END IF;
        funds := lock_funds(c.balance_id, want, minimum);
        granted := funds.granted;
        owes := funds.owes;
        c.currency := funds.currency;
        IF granted = 0 THEN
            SELECT locked INTO granted FROM billing_activecall WHERE call_id = c.call_id;
            IF NOT FOUND THEN
                granted := 0;
                refusal := 'funds';
            END IF;
            RETURN;
        END IF;
    END IF;
    INSERT INTO billing_activecall (
        {call},
        life_id, locked, owes, limited, customer_id, callee_id, callee_customer_id, cap, forward, forwards, beside)
    VALUES (
        c.{call},
        c.life_id, granted, owes, CASE WHEN c.forward IS NULL THEN l.limited ELSE l.most_out IS NOT NULL END,
        l.customer, l.callee, l.callee_customer, l.cap, c.forward, c.forwards, c.beside)
    ON CONFLICT (call_id) DO NOTHING;
    IF NOT FOUND THEN
        UPDATE billing_balance SET locked = locked - granted WHERE id = c.balance_id AND granted > 0;
        SELECT locked INTO granted FROM billing_activecall WHERE call_id = c.call_id;
    END IF;
END $$;
