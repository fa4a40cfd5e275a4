-- The balances of many accounts are adjusted at once: what each owner gains is inserted here, with ids of accounts and
-- the number that makes the entries' keys; `adjust_balances` does it. It never has rows.
CREATE VIEW billing_adjustment AS
    SELECT NULL::bigint AS number, NULL::numeric AS gain, NULL::bigint[] AS accounts WHERE false;

CREATE TRIGGER adjust_balances INSTEAD OF INSERT ON billing_adjustment FOR EACH ROW EXECUTE FUNCTION adjust_balances();
