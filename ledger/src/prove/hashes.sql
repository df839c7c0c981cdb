-- Hashes of the tree by spans of one level each. A span is an indexed range read of its own, whatever the planner thinks.
SELECT 0::smallint AS level, leaf.position - 1 AS index, leaf.leaf_hash AS hash
  FROM unnest($1::bigint[], $2::bigint[]) AS span (first, past), LATERAL (
    SELECT position, leaf_hash FROM events
     WHERE position > span.first AND position <= span.past ORDER BY position LIMIT 512) AS leaf
UNION ALL
SELECT span.level, node.index, node.hash
  FROM unnest($3::smallint[], $4::bigint[], $5::bigint[]) AS span (level, first, past), LATERAL (
    SELECT index, hash FROM tree_nodes
     WHERE level = span.level AND index >= span.first AND index < span.past ORDER BY index LIMIT 512) AS node
