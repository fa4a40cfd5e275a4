-- How much of `want` a customer's spending limits leave room for; null: all of it.
-- Spent is what was charged in this hour or day (UTC) and what live calls hold, all in the currency of the balance; so
-- a limit is never passed, as a balance is not. The call `but` does not count itself.
-- The first time that a limit stands in the way in its hour or day is written down and announced, and a limit that
-- locks blocks the customer then. Whoever lifts the block does so for the rest of that hour or day.
CREATE OR REPLACE FUNCTION spending_room(customer bigint, balance bigint, want numeric, but text)
RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    c billing_customer;
    unit text;
    p record;
    room numeric;
BEGIN
    SELECT * INTO c FROM billing_customer WHERE id = customer FOR NO KEY UPDATE;
    IF c.hourly_limit IS NULL AND c.daily_limit IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT currency INTO unit FROM billing_balance WHERE id = balance;
    FOR p IN
        WITH now_ AS (SELECT date_trunc('hour', now(), 'UTC') AS hour, date_trunc('day', now(), 'UTC') AS day),
             held AS (SELECT coalesce(sum(locked), 0) AS locked FROM billing_activecall
                       WHERE customer_id = customer AND currency = unit AND call_id <> but),
             spent AS (SELECT coalesce(sum(s.amount), 0) AS in_day,
                              coalesce(sum(s.amount) FILTER (WHERE s.hour = now_.hour), 0) AS in_hour
                         FROM now_ LEFT JOIN billing_spending s
                           ON s.customer_id = customer AND s.currency = unit AND s.hour >= now_.day)
        SELECT 'hour' AS period, now_.hour AS since, c.hourly_limit AS most, c.hourly_action AS action,
               in_hour + held.locked AS spent FROM now_, held, spent WHERE c.hourly_limit IS NOT NULL
        UNION ALL
        SELECT 'day', now_.day, c.daily_limit, c.daily_action, in_day + held.locked
          FROM now_, held, spent WHERE c.daily_limit IS NOT NULL
    LOOP
        CONTINUE WHEN p.spent + want <= p.most;
        INSERT INTO billing_spendingalert (customer_id, currency, period, since, action, most, spent)
            VALUES (customer, unit, p.period, p.since, p.action, p.most, p.spent) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            PERFORM pg_notify('softswitch', concat_ws(':', 'spending', p.period, p.action, c.name));
            IF p.action = 'lock' AND c.state = 'active' THEN
                UPDATE billing_customer SET state = 'blocked' WHERE id = customer RETURNING state INTO c.state;
            END IF;
        END IF;
        IF p.action = 'block' OR p.action = 'lock' AND c.state <> 'active' THEN
            room := greatest(0, least(room, p.most - p.spent));
        END IF;
    END LOOP;
    RETURN room;
END $$;
