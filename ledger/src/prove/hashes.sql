-- Hashes of the tree by spans of one level each. A span is an indexed range read of its own, whatever the planner thinks.
SELECT 0::smallint AS level, leaf.leaf_position - 1 AS index, leaf.hash
  FROM unnest($1::bigint[], $2::bigint[]) AS span (first, past), LATERAL (
    SELECT leaf_position, hash FROM leaves(span.first, span.past) ORDER BY leaf_position LIMIT 512) AS leaf
UNION ALL
SELECT span.level, node.index, node.hash
  FROM unnest($3::smallint[], $4::bigint[], $5::bigint[]) AS span (level, first, past), LATERAL (
    SELECT index, hash FROM tree_nodes
     WHERE level = span.level AND index >= span.first AND index < span.past ORDER BY index LIMIT 512) AS node
