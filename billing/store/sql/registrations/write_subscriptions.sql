-- Writes and forgets subscriptions (RFC 6665), which survive their switch; in batches like bindings, and like those the
-- last moments may be lost with the server: phones subscribe again.
CREATE OR REPLACE FUNCTION write_subscriptions(
    new_node text, tags text[], accounts text[], call_ids text[], locals text[], remotes text[], remote_tags text[],
    targets text[], routes text[], events text[], local_cseqs bigint[], remote_cseqs bigint[], sources text[],
    sockets text[], natteds boolean[], expiries timestamptz[], gone_tags text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO billing_subscription AS s (
        tag, node, account, call_id, local, remote, remote_tag, target, routes, event, local_cseq, remote_cseq, source,
        socket, natted, expires_at)
    SELECT u.tag, new_node, u.account, u.call_id, u.local, u.remote, u.remote_tag, u.target, u.routes, u.event,
           u.local_cseq, u.remote_cseq, u.source, u.socket, u.natted, u.expires_at
        FROM unnest(tags, accounts, call_ids, locals, remotes, remote_tags, targets, routes, events, local_cseqs,
                    remote_cseqs, sources, sockets, natteds, expiries)
            AS u (tag, account, call_id, local, remote, remote_tag, target, routes, event, local_cseq, remote_cseq,
                  source, socket, natted, expires_at)
    ON CONFLICT (tag) DO UPDATE SET
        target = EXCLUDED.target, local_cseq = EXCLUDED.local_cseq, remote_cseq = EXCLUDED.remote_cseq,
        source = EXCLUDED.source, socket = EXCLUDED.socket, natted = EXCLUDED.natted, expires_at = EXCLUDED.expires_at;
    IF cardinality(gone_tags) > 0 THEN
        DELETE FROM billing_subscription WHERE tag = ANY (gone_tags);
    END IF;
END $$;
