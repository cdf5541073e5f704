"""The quota report's SQL: turns by the allowance they took, and the windows that they took it from.

A hold is told as it stood at `as_of`: it was made once and ended once. A window's meter only counts
on; it is told as of a moment when the window was over by then and all of its holds had ended.
"""

HOLDS = """
SELECT {group} AS "{name}", count(*) AS turns,
  count(*) FILTER (WHERE h.binding IS NOT NULL) AS fallback_turns,
  round(avg(CASE WHEN h.binding IS NULL THEN 0 ELSE 1 END), 4) AS fallback_share,
  count(*) FILTER (WHERE h.stood IN ('reserved', 'in_flight')) AS open,
  count(*) FILTER (WHERE h.stood = 'released') AS released,
  count(*) FILTER (WHERE h.stood = 'expired') AS expired,
  count(DISTINCT h.subject) AS people,
  count(DISTINCT h.subject) FILTER (WHERE h.binding IS NOT NULL) AS people_exhausted
FROM (
  SELECT q.*, CASE WHEN q.closed_at > CAST(:as_of AS timestamptz) THEN 'in_flight' ELSE q.state END
    AS stood
  FROM quota_hold q WHERE q.created_at >= :since AND q.created_at < :until
    AND (CAST(:as_of AS timestamptz) IS NULL OR q.created_at <= :as_of)
) h
GROUP BY 1 ORDER BY 1
"""
"""A turn that was refunded used no allowance: it is counted, and said apart."""

WINDOWS = """
WITH open AS (
  SELECT u.id, sum(u.amount) AS held
  FROM quota_hold h CROSS JOIN unnest(h.bucket_ids, h.amounts) AS u(id, amount)
  WHERE h.state IN ('reserved', 'in_flight') GROUP BY u.id
)
SELECT b.name AS "{name}", b.unit, count(*) AS windows, count(DISTINCT b.subject) AS people,
  sum(b.used) AS used, sum(b.held) AS held, sum(b.cap) AS cap,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY s.share) AS used_share_p50,
  percentile_disc(0.95) WITHIN GROUP (ORDER BY s.share) AS used_share_p95,
  count(*) FILTER (WHERE b.used + b.held >= b.cap) AS exhausted,
  COALESCE(sum(GREATEST(b.used - b.cap, 0)), 0) AS overage,
  count(*) FILTER (WHERE b.held <> COALESCE(o.held, 0)) AS mismatches
FROM quota_bucket b LEFT JOIN open o ON o.id = b.id
CROSS JOIN LATERAL (
  SELECT CASE WHEN b.cap > 0 THEN round((b.used + b.held) * 1.0 / b.cap, 4) ELSE 1 END AS share
) s
WHERE b.window_start >= :since AND b.window_start < :until AND b.policy <> 'rolling'
  AND (CAST(:as_of AS timestamptz) IS NULL OR b.resets_at <= :as_of)
GROUP BY b.name, b.unit ORDER BY 1, 2
"""
"""`mismatches` counts windows whose meter and holds disagree; it is always zero."""

UNENDED = """
WITH taken AS (
  SELECT u.id, bool_or(h.closed_at IS NULL OR h.closed_at > :as_of) AS open
  FROM quota_hold h CROSS JOIN unnest(h.bucket_ids) AS u(id)
  WHERE h.created_at >= :since AND h.created_at <= :as_of GROUP BY u.id
)
SELECT count(*) FROM quota_bucket b JOIN taken USING (id)
WHERE b.window_start >= :since AND b.window_start < :until AND b.policy <> 'rolling'
  AND (b.resets_at > :as_of OR taken.open)
"""
"""Windows that were there at `as_of` and whose meter may have counted on since."""
