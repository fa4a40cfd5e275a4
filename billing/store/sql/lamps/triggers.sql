-- billing_voicemessage

CREATE TRIGGER messages_inserted AFTER INSERT ON billing_voicemessage REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION mailboxes_changed();

CREATE TRIGGER messages_updated AFTER UPDATE ON billing_voicemessage REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION mailboxes_changed();

CREATE TRIGGER messages_deleted AFTER DELETE ON billing_voicemessage REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION mailboxes_changed();

-- billing_mailbox

CREATE TRIGGER mailbox_switched AFTER UPDATE OF enabled ON billing_mailbox FOR EACH ROW
    WHEN (OLD.enabled <> NEW.enabled) EXECUTE FUNCTION mailbox_switched();

CREATE TRIGGER mailbox_made_off AFTER INSERT ON billing_mailbox FOR EACH ROW
    WHEN (NOT NEW.enabled) EXECUTE FUNCTION mailbox_switched();
