-- Changes single things of how an account answers: a null takes one away. Names that lead to no account change nothing.
CREATE OR REPLACE FUNCTION set_answering(asked text, change jsonb) RETURNS boolean LANGUAGE sql AS $$
    WITH changed AS (
        UPDATE billing_account a
            SET answering = jsonb_strip_nulls(
                (answering || (change - 'forward'))
                || CASE WHEN change ? 'forward'
                        THEN jsonb_build_object(
                            'forward', coalesce(answering -> 'forward', '{}') || (change -> 'forward'))
                        ELSE '{}' END)
            FROM billing_alias n WHERE n.name = asked AND a.id = n.account_id
            RETURNING a.id)
    SELECT EXISTS (SELECT FROM changed)
$$;
