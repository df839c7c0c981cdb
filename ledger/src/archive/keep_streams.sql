-- The last event in the range of each stream. They are there already where the range was away before.
INSERT INTO archived_streams (aggregate_type, aggregate_id, sequence, position, tenant)
SELECT DISTINCT ON (aggregate_type, aggregate_id) aggregate_type, aggregate_id, sequence, position, tenant
  FROM events
 WHERE position >= $1 AND position < $2
 ORDER BY aggregate_type, aggregate_id, sequence DESC
ON CONFLICT DO NOTHING
