SELECT body_digest, aggregate_id, sequence AS command_sequence, first_position,
       last_position AS command_last_position,
       (SELECT coalesce(array_agg(leaf_hash ORDER BY position), '{}') FROM events
         WHERE position BETWEEN commands.first_position AND commands.last_position) AS leaf_hashes
  FROM commands
 WHERE tenant = $1 AND command_id = $2
