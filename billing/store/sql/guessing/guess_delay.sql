-- How many seconds late an answer is. What every caller of an access number shares makes answers two seconds late at
-- most: on a busy number honest mistakes alone fill such a count, and whoever fills it on purpose shall keep nobody
-- else waiting for long.
CREATE OR REPLACE FUNCTION guess_delay(failures integer, weight integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN failures < weight THEN 0
                ELSE least(CASE WHEN weight >= 50 THEN 2 ELSE 30 END, 2 ^ least(5, failures / weight - 1))::integer END
$$;
