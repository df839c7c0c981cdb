-- Keys of the commands whose first event is in the range. They are there already where the range was away before.
INSERT INTO commands (tenant, command_id, body_digest, aggregate_id, sequence, first_position, last_position)
SELECT tenant, command_id, command_body, aggregate_id, sequence + command_events - 1, position, position + command_events - 1
  FROM events
 WHERE position >= $1 AND position < $2 AND command_id IS NOT NULL
ON CONFLICT DO NOTHING
