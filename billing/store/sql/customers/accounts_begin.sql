-- Trigger of new accounts, once for each statement, so that accounts can be copied in by the thousand: each spends from
-- the right balance in the currency that it is rated in, its batch is its customer's, and its number becomes a name of
-- it. `account_check_balance` and `account_check_batch` hold the same of accounts that change.
CREATE OR REPLACE FUNCTION accounts_begin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.number, a.kind, a.balance_id, own.fits, k.fits AS batch_fits INTO wrong
      FROM added a
      JOIN billing_customer c ON c.id = a.customer_id
      JOIN billing_balance b ON b.id = a.balance_id
      LEFT JOIN billing_product p ON p.id = a.product_id
      LEFT JOIN billing_tariff t ON t.id = p.tariff_id
      LEFT JOIN billing_batch g ON g.id = a.batch_id
     CROSS JOIN LATERAL (SELECT CASE WHEN a.kind = 'subordinate' THEN b.id = c.balance_id
                                     ELSE b.kind = CASE a.kind WHEN 'credit' THEN 'credit' ELSE 'debit' END
                                          AND NOT EXISTS (SELECT FROM billing_customer WHERE balance_id = b.id)
                                END AS fits) AS own
     CROSS JOIN LATERAL (SELECT a.batch_id IS NULL OR g.customer_id = a.customer_id AND g.kind = 'account' AS fits) AS k
     WHERE NOT own.fits OR b.currency <> t.currency OR NOT k.fits
     LIMIT 1;
    IF FOUND THEN
        RAISE integrity_constraint_violation USING MESSAGE = CASE
            WHEN NOT wrong.fits THEN
                format('account %s: a %s account cannot use balance %s', wrong.number, wrong.kind, wrong.balance_id)
            WHEN NOT wrong.batch_fits THEN
                format('account %s: its batch is another customer''s, or holds vouchers', wrong.number)
            ELSE format('account %s: its product is priced in another currency than its balance', wrong.number) END;
    END IF;
    INSERT INTO billing_alias (name, account_id, allow_authentication, is_number)
        SELECT number, id, true, true FROM added;
    RETURN NULL;
END $$;
