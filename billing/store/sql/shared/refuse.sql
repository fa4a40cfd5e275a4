-- Trigger: refuses the statement, and says the trigger's word why.
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = format('%s: %s', TG_TABLE_NAME, TG_ARGV[0]);
END $$;
