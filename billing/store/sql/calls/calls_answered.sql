-- Notes when calls were answered; what is noted stays (`calls_moved` corrects it where the clock was set).
CREATE OR REPLACE FUNCTION calls_answered(calls text[], answers timestamptz[]) RETURNS void LANGUAGE sql AS $$
    UPDATE billing_activecall c SET answered_at = a.answered_at
        FROM unnest(calls, answers) AS a (call_id, answered_at) WHERE c.call_id = a.call_id AND c.answered_at IS NULL
$$;
