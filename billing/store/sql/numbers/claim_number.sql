-- Claims a number for an account: "known" (it is one of its numbers), "claimed" (until it is proven it dials only),
-- "taken" (it is somebody else's), "full" (the account has `most` that are not proven), or "unknown".
CREATE OR REPLACE FUNCTION claim_number(asked text, caller text, by_gateway text, most integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    owner record;
BEGIN
    SELECT a.id INTO account FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
        WHERE n.name = asked FOR NO KEY UPDATE OF a;
    IF account IS NULL THEN
        RETURN 'unknown';
    END IF;
    SELECT n.account_id, n.claimed_at INTO owner FROM billing_alias n WHERE n.name = caller || '@pstn';
    IF NOT FOUND THEN
        IF most <= (SELECT count(*) FROM billing_alias n WHERE n.account_id = account AND n.claimed_at IS NOT NULL) THEN
            RETURN 'full';
        END IF;
        INSERT INTO billing_alias (name, account_id, claimed_at) VALUES (caller || '@pstn', account, now())
            ON CONFLICT (name) DO NOTHING;
        SELECT n.account_id, n.claimed_at INTO owner FROM billing_alias n WHERE n.name = caller || '@pstn';
    END IF;
    IF owner.account_id <> account THEN
        RETURN 'taken';
    END IF;
    PERFORM number_came(asked, caller, by_gateway);
    RETURN CASE WHEN owner.claimed_at IS NULL THEN 'known' ELSE 'claimed' END;
END $$;
