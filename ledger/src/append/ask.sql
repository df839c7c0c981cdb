-- Where the ledger, streams and keys are, with the lock taken; and the end of the range the head is in, with whether there
-- are keys outside of it, which its unique index does not see. A range that is not seen here yet counts as unknown.
SELECT asked.*, head_range.past AS range_past, head_range.first > 1 OR EXISTS (SELECT FROM commands) AS earlier_keys
  FROM ask_ledger($1, $2, $3, $4) AS asked
  LEFT JOIN event_ranges AS head_range
    ON head_range.first <= asked.head_position + 1 AND head_range.past > asked.head_position + 1
