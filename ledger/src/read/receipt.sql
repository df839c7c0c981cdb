-- What makes a command known stands beside its first event; for ranges that were moved away it stands in `commands`.
SELECT command.*,
       (SELECT coalesce(array_agg(hash ORDER BY leaf_position), '{}')
          FROM leaves(command.first_position - 1, command.command_last_position)) AS leaf_hashes
  FROM (
    SELECT command_body AS body_digest, aggregate_id, sequence + command_events - 1 AS command_sequence,
           position AS first_position, position + command_events - 1 AS command_last_position
      FROM events WHERE tenant = $1 AND command_id = $2
    UNION ALL
    SELECT body_digest, aggregate_id, sequence, first_position, last_position
      FROM commands WHERE tenant = $1 AND command_id = $2
  ) AS command
 LIMIT 1
