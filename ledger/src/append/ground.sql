-- Where the next event goes, and whether the command has been here before.
SELECT head.last_position, head.frontier,
       (extract(epoch FROM head.last_recorded_at) * 1000000)::bigint AS last_recorded_at_us,
       coalesce((SELECT max(sequence) FROM events WHERE aggregate_type = $1 AND aggregate_id = $2), 0) AS sequence,
       command.body_digest, command.aggregate_id, command.sequence AS command_sequence,
       command.first_position, command.last_position AS command_last_position,
       (SELECT coalesce(array_agg(leaf_hash ORDER BY position), '{}') FROM events
         WHERE position BETWEEN command.first_position AND command.last_position) AS leaf_hashes
  FROM ledger_head AS head
  LEFT JOIN commands AS command ON command.tenant = $3 AND command.command_id = $4
