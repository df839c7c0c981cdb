-- Drops a snapshot that does not hold.
DELETE FROM snapshots
 WHERE tenant = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND code = $4 AND sequence = $5
