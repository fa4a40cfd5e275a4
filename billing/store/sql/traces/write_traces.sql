-- Writes a batch of records that explain calls. A crash of the server may lose the last moments: no money rests on
-- them.
CREATE OR REPLACE FUNCTION write_traces(
    calls text[], node_name text, accounts text[], callers text[], dialleds text[], starts timestamptz[],
    answers timestamptz[], ends timestamptz[], causes integer[], statuses integer[], who text[], keys_of text[],
    bodies bytea[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO billing_calltrace (call_id, node, account, caller, dialled, started_at, answered_at, ended_at, cause,
                                   sip_status, ended_by, keys, body)
    SELECT t.call_id, node_name, t.account, t.caller, t.dialled, t.started_at, t.answered_at, t.ended_at, t.cause,
           t.sip_status, t.ended_by, string_to_array(t.keys, E'\n'), t.body
        FROM unnest(calls, accounts, callers, dialleds, starts, answers, ends, causes, statuses, who, keys_of, bodies)
            AS t (call_id, account, caller, dialled, started_at, answered_at, ended_at, cause, sip_status, ended_by,
                  keys, body)
    ON CONFLICT (call_id) DO NOTHING;
END $$;
