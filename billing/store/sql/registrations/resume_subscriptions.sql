-- The subscriptions of a node's earlier life, a page at a time. Their CSeq leaps, because that life sent more NOTIFY
-- requests than it wrote down, and a number must never be used twice. What expired goes with the first page.
CREATE OR REPLACE FUNCTION resume_subscriptions(of_node text, after text, most integer, leap integer)
RETURNS SETOF billing_subscription LANGUAGE sql AS $$
    WITH expired AS (
        DELETE FROM billing_subscription
            WHERE after = '' AND expires_at < now() - CASE node WHEN of_node THEN '0' ELSE '1 day' END::interval),
    page AS (
        SELECT tag FROM billing_subscription
            WHERE node = of_node AND tag > after AND expires_at > now() ORDER BY tag LIMIT most),
    resumed AS (
        UPDATE billing_subscription s SET local_cseq = s.local_cseq + leap FROM page WHERE s.tag = page.tag
            RETURNING s.*)
    SELECT * FROM resumed ORDER BY tag
$$;
