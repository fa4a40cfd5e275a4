-- What an attempt counts for: who is asked for, by the way that the attempt came (by the account's number, whichever
-- alias was used; by what was asked where there is none), and who tries, if that is certain. The account's own phone
-- and number are counted apart, so that nobody else locks them out.
CREATE OR REPLACE FUNCTION pin_subjects(asked text, guesser text, way text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_remove(ARRAY[
        left('mailbox ' || coalesce((SELECT a.number FROM billing_account a WHERE a.id = mailbox_account(asked)), asked)
             || CASE WHEN n.account_id = mailbox_account(asked) THEN '' ELSE ' by ' || way END, 128),
        CASE WHEN guesser <> '' THEN 'source ' || guesser END], NULL)
      FROM (SELECT 1) AS one
      LEFT JOIN billing_alias n
          ON n.name = CASE split_part(guesser, ' ', 1) WHEN 'phone' THEN substr(guesser, 7)
                                                       WHEN 'number' THEN substr(guesser, 8) || '@pstn' END
$$;
