-- Whether what was counted of a guesser is old: of an account after a day without a guess, of a calling number after an
-- hour; what many share, an hour after the first.
CREATE OR REPLACE FUNCTION guess_forgotten(g billing_voucherguess) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE split_part(g.subject, ' ', 1)
        WHEN 'account' THEN greatest(g.at, g.locked_until) < now() - interval '1 day'
        WHEN 'ani' THEN greatest(g.at, g.locked_until) < now() - interval '1 hour'
        ELSE greatest(g.since, g.locked_until) < now() - interval '1 hour' END
$$;
