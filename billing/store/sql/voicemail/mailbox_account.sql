-- The account whose mailbox a name leads to (the account's number or any name of it); null: there is none.
CREATE OR REPLACE FUNCTION mailbox_account(asked text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT a.id
        FROM billing_alias n
        JOIN billing_account a ON a.id = n.account_id
        LEFT JOIN billing_mailbox m ON m.account_id = a.id
        WHERE n.name = asked AND a.kind <> 'voucher' AND coalesce(m.enabled, true)
$$;
