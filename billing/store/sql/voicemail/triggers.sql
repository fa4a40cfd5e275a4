-- billing_voicemessage

CREATE TRIGGER sounds_of_messages_gone AFTER DELETE ON billing_voicemessage REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION sounds_of_messages_gone();
