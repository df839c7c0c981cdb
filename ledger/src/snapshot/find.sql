-- Whether there is a stream, and its newest snapshot by this code up to a sequence.
SELECT kept.*,
       coalesce(kept.sequence,
                (SELECT max(sequence) FROM events WHERE aggregate_type = $2 AND aggregate_id = $3),
                (SELECT max(sequence) FROM archived_streams WHERE aggregate_type = $2 AND aggregate_id = $3))
           IS NOT NULL AS is_there
  FROM (SELECT) AS one
  LEFT JOIN LATERAL (SELECT sequence, state, digest
                       FROM snapshots
                      WHERE tenant = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND code = $4 AND sequence <= $5
                      ORDER BY sequence DESC
                      LIMIT 1) AS kept ON true
