-- Lets a number be rung, at the expense of an account: its id, or null where that was done `most` times in this hour
-- (`most_of_account` times for all of the account's numbers), or where the last call was of no use to whoever answered:
-- then the number rests for ten minutes, and twice as long each further time, up to a day.
CREATE OR REPLACE FUNCTION ring_back_taken(asked text, called text, most integer, most_of_account integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    account bigint;
    unused integer;
    last_at timestamptz;
    made bigint;
BEGIN
    SELECT a.id INTO account FROM billing_alias n JOIN billing_account a ON a.id = n.account_id
        WHERE n.name = asked FOR NO KEY UPDATE OF a;
    IF account IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT count(*) FILTER (WHERE NOT EXISTS (
               SELECT FROM billing_ringback l WHERE l.number = r.number AND l.used AND l.at > r.at)), max(r.at)
      INTO unused, last_at
      FROM billing_ringback r WHERE r.number = called AND NOT r.used AND r.at > now() - interval '1 day';
    IF unused > 0 AND last_at + make_interval(secs => least(86400, 600 * 2.0 ^ least(10, unused - 1))) > now()
       OR most <= (SELECT count(*) FROM billing_ringback r WHERE r.number = called AND r.at > now() - interval '1 hour')
       OR most_of_account <= (SELECT count(*) FROM billing_ringback r
                               WHERE r.account_id = account AND r.at > now() - interval '1 hour') THEN
        RETURN NULL;
    END IF;
    DELETE FROM billing_ringback WHERE number = called AND at < now() - interval '1 day';
    INSERT INTO billing_ringback (number, account_id) VALUES (called, account) RETURNING id INTO made;
    RETURN made;
END $$;
