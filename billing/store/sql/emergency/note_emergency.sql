-- Notes a call for help, and whom an e-mail is to tell of it; noted again it stays as it is.
CREATE OR REPLACE FUNCTION note_emergency(call text, node_name text, account_number text, customer_name text,
    number text, call_back text, place text, ways text, recipients text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO billing_emergencycall
           (call_id, node, account, customer, dialled, callback, location, gateways, recipients, due_at)
    VALUES (call, node_name, account_number, customer_name, number, call_back, place, ways, recipients,
            CASE WHEN cardinality(recipients) > 0 THEN now() END)
    ON CONFLICT (call_id) DO NOTHING
$$;
