-- All that a redemption asks before it knows whether the code is right, in one round trip: the account, the vouchers
-- whose id begins the code (`ids`; one row each, or one without), an earlier answer under the same key, and a slot for
-- this guess (`slot` names it), which an earlier answer, or an account that takes no vouchers, does not need. `by`: how
-- the account is known, where that is to be counted apart. Who gets no slot is told no voucher.
CREATE OR REPLACE FUNCTION voucher_attempt(asked text, ids text[], redemption_key text, by text, slot text,
                                           shared text[], lock_after integer, lock_seconds integer)
RETURNS TABLE (account_id bigint, number text, account_refusal text, currency text, same_currency boolean,
               turn text, delay integer, guesser text,
               earlier_state text, earlier_voucher text, earlier_digest bytea, earlier_account bigint,
               id text, key_id integer, sealed bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    payee record;
    earlier billing_redemption;
    counted text;
    late integer := 0;
    outcome text := 'taken';
BEGIN
    SELECT a.id, a.number, b.currency, b.currency = own.currency AS same_currency,
           recharge_refusal(a.kind, a.state, c.state) AS refusal
      INTO payee
      FROM billing_alias n
      JOIN billing_account a ON a.id = n.account_id
      JOIN billing_balance b ON b.id = a.balance_id
      JOIN billing_customer c ON c.id = a.customer_id
      JOIN billing_balance own ON own.id = c.balance_id
     WHERE n.name = asked;
    SELECT * INTO earlier FROM billing_redemption r WHERE r.key = redemption_key;
    IF payee.id IS NOT NULL AND payee.refusal IS NULL AND earlier.key IS NULL THEN
        counted := 'account ' || payee.number || by;
        SELECT coalesce(max(guess_delay(g.failures, g.weight)), 0) INTO late
          FROM billing_voucherguess g
         WHERE g.subject = ANY (shared || counted) AND g.subject NOT LIKE 'prefix %' AND NOT guess_forgotten(g);
        outcome := guess_taken(counted, slot, lock_after, lock_seconds);
    END IF;
    RETURN QUERY
        SELECT payee.id, payee.number::text, coalesce(payee.refusal, CASE WHEN payee.id IS NULL THEN 'account' END),
               payee.currency::text, payee.same_currency, outcome, late, counted,
               earlier.state::text, earlier.voucher::text, earlier.digest, earlier.account_id,
               v.id::text, v.key_id, v.sealed
          FROM (SELECT 1) AS one
          LEFT JOIN billing_voucher v ON outcome = 'taken' AND v.id = ANY (ids);
END $$;
