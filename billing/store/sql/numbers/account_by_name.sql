-- The account that each name leads to. `may_register`: the name registers, authenticates and calls by itself.
CREATE VIEW account_by_name AS
    SELECT n.name, n.is_number, n.claimed_at,
           n.allow_authentication AND (n.is_number OR a.alias_authentication) AS may_register,
           a.*
      FROM billing_alias n JOIN account_with_terms a ON a.id = n.account_id;
