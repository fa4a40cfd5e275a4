-- Trigger of messages that were deleted: their sounds go too.
CREATE OR REPLACE FUNCTION sounds_of_messages_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM billing_voicesound WHERE id IN (SELECT id FROM gone UNION ALL SELECT comment_of FROM gone);
    RETURN NULL;
END $$;
