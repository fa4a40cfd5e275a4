-- Writes and forgets bindings. The location service writes in batches: one call, one transaction. A crash of the server
-- may lose the last moments (synchronous_commit off); phones register again.
CREATE OR REPLACE FUNCTION write_bindings(
    aors text[], keys text[], contacts text[], receiveds text[], paths text[], expiries timestamptz[],
    qs double precision[], call_ids text[], cseqs bigint[], instances text[], reg_ids integer[], user_agents text[],
    nodes text[], sockets text[],
    gone_aors text[], gone_keys text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO billing_binding AS b (
        aor, key, contact, received, path, expires_at, q, call_id, cseq, instance, reg_id, user_agent, node, socket)
    SELECT u.aor, u.key, u.contact, u.received, string_to_array(u.path, E'\n'), u.expires_at, u.q, u.call_id, u.cseq,
           u.instance, u.reg_id, u.user_agent, u.node, u.socket
        FROM unnest(aors, keys, contacts, receiveds, paths, expiries, qs, call_ids, cseqs, instances, reg_ids,
                    user_agents, nodes, sockets)
            AS u (aor, key, contact, received, path, expires_at, q, call_id, cseq, instance, reg_id, user_agent, node,
                  socket)
    ON CONFLICT (aor, key) DO UPDATE SET
        contact = EXCLUDED.contact, received = EXCLUDED.received, path = EXCLUDED.path,
        expires_at = EXCLUDED.expires_at, q = EXCLUDED.q, call_id = EXCLUDED.call_id, cseq = EXCLUDED.cseq,
        instance = EXCLUDED.instance, reg_id = EXCLUDED.reg_id, user_agent = EXCLUDED.user_agent,
        node = EXCLUDED.node, socket = EXCLUDED.socket;
    IF cardinality(gone_aors) > 0 THEN
        DELETE FROM billing_binding b USING unnest(gone_aors, gone_keys) AS gone (aor, key)
            WHERE b.aor = gone.aor AND b.key = gone.key;
    END IF;
END $$;
