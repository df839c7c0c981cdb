-- The snapshot by this code that comes after another one.
SELECT tenant, aggregate_type, aggregate_id, sequence, state
  FROM snapshots
 WHERE code = $1 AND (tenant, aggregate_type, aggregate_id, code, sequence) > ($2, $3, $4, $1, $5)
 ORDER BY tenant, aggregate_type, aggregate_id, code, sequence
 LIMIT 1
