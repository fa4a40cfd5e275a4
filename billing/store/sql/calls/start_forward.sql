-- Registers a call that an account forwards, as `start_call` does. It counts against `most`, the limit of its forward,
-- against the outgoing calls of the account and against its customer's limits. `of_call` is the call that is forwarded;
-- null: unknown, the leg counts by itself.
CREATE OR REPLACE FUNCTION start_forward(
    call text, life bigint, node_name text, account bigint, balance bigint, way text, cli text, cld text,
    destination_name text, country_name text, gateway bigint, sip_call text, starts timestamptz,
    want numeric, minimum numeric,
    rate bigint, rate_prefix text, fee numeric, first_seconds integer, next_seconds integer,
    first_minute numeric, next_minute numeric,
    called bigint, exempt boolean, forward_name text, most integer, of_call text,
    OUT granted numeric, OUT refusal text)
LANGUAGE plpgsql AS $$
DECLARE
    max_out integer;
BEGIN
    of_call := coalesce(of_call, call);
    -- Two that begin at once are counted one after the other; locked in the order of `is_one_call_too_many`.
    PERFORM count_accounts_alone(ARRAY[account, called]);
    SELECT max_calls_out INTO max_out FROM billing_account WHERE id = account AND NOT exempt;
    IF most <= (SELECT count(*) FROM billing_activecall l
                 WHERE l.account_id = account AND l.forward = forward_name AND l.call_id <> call)
        OR max_out <= (SELECT count(*) FILTER (WHERE l.forwards IS NULL) + count(DISTINCT l.forwards)
                         FROM billing_activecall l
                        WHERE l.account_id = account AND l.limited AND l.direction <> 'incoming' AND l.call_id <> call
                          AND l.forwards IS DISTINCT FROM of_call)
    THEN
        granted := 0;
        refusal := 'concurrency';
        RETURN;
    END IF;
    SELECT s.granted, s.refusal INTO granted, refusal FROM start_call(
        call, life, node_name, account, balance, way, cli, cld, destination_name, country_name, gateway, sip_call,
        starts, want, minimum, rate, rate_prefix, fee, first_seconds, next_seconds, first_minute, next_minute, called,
        exempt) AS s;
    IF refusal IS NULL THEN
        UPDATE billing_activecall SET forward = forward_name, forwards = of_call, limited = max_out IS NOT NULL
            WHERE call_id = call;
    END IF;
END $$;
