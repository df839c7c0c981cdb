-- The newest snapshot of a stream by this code, up to a sequence.
SELECT sequence, state, digest
  FROM snapshots
 WHERE tenant = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND code = $4 AND sequence <= $5
 ORDER BY sequence DESC
 LIMIT 1
