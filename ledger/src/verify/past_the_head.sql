-- What is there beyond the head, all seen in one moment: events, and what tells of events that were there. Where somebody took
-- the head away, the end that the walk went to stands in for it.
SELECT last_position,
       (SELECT count(*) FROM ledger_head) AS heads,
       ARRAY(SELECT position FROM events WHERE position > last_position ORDER BY position LIMIT $2) AS past,
       coalesce((SELECT max(size) FROM checkpoints), 0) AS checkpoints,
       coalesce((SELECT max((top.index + 1) << wanted.level)
                   FROM unnest($1::integer[]) AS wanted (level),
                        LATERAL (SELECT max(index) AS index FROM tree_nodes WHERE tree_nodes.level = wanted.level) AS top),
                0) AS nodes,
       coalesce((SELECT max(commands.last_position) FROM commands), 0) AS commands
  FROM (SELECT coalesce((SELECT last_position FROM present_head), $3) AS last_position) AS head
