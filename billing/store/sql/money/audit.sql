-- Everything in which the books disagree; no row: they are right. `subject` says of what, `expected` and `found` how
-- much.
CREATE OR REPLACE FUNCTION audit() RETURNS TABLE (finding text, subject text, expected numeric, found numeric)
LANGUAGE sql STABLE AS $$
    SELECT * FROM audit_calls() UNION ALL SELECT * FROM audit_vouchers()
$$;
