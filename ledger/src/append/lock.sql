-- One append at a time per ledger: the order of positions is the order of commits. A statement of its own, so that the
-- next one sees what the previous holder committed.
SELECT pg_advisory_xact_lock(7281094552)
