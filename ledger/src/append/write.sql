-- All of a command or nothing: blobs (once each), events, tree, head, the command's key, and a word to who waits.
WITH kept AS (
    INSERT INTO blobs (digest, media_type, content)
    SELECT DISTINCT ON (digest) digest, media_type, content
      FROM unnest($12::bytea[], $13::text[], $14::bytea[]) AS blob (digest, media_type, content)
    ON CONFLICT (digest) DO NOTHING
), written AS (
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                        position, tenant, recorded_at, leaf_hash)
    SELECT $1, $2, sequence, event_type, event_version, payload::json, metadata::json,
           position, $3, timestamptz 'epoch' + $10 * interval '1 microsecond', leaf_hash
      FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $11::bytea[])
           AS event (sequence, event_type, event_version, payload, metadata, position, leaf_hash)
    RETURNING 1
), tree AS (
    INSERT INTO tree_nodes (level, index, hash)
    SELECT level, index, hash FROM unnest($20::smallint[], $21::bigint[], $22::bytea[]) AS node (level, index, hash)
), head AS (
    UPDATE ledger_head
       SET last_position = $18, frontier = $23,
           last_recorded_at = timestamptz 'epoch' + $10 * interval '1 microsecond'
     WHERE $18 > last_position
), keyed AS (
    INSERT INTO commands (tenant, command_id, body_digest, aggregate_id, sequence, first_position, last_position)
    SELECT $3, $15, $16, $2, $19, $17, $18 WHERE $15 IS NOT NULL
)
SELECT (SELECT count(*) FROM written) AS written, pg_notify('xagent_events', $18::text)
