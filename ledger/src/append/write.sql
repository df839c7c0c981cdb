-- Appends a batch: all of it, or nothing where the ledger is not at $1, where the appender learnt all that it knows. The
-- head row is what writers queue at; the lock keeps them from one who was told where everything is and is about to write.
WITH head AS (
    UPDATE ledger_head
       SET last_position = $2, frontier = $3, last_recorded_at = $4
     WHERE last_position = $1
       -- Streams the appender has not met yet are where their first command expects them.
       AND NOT EXISTS (
           SELECT FROM unnest($6::text[], $7::text[], $8::bigint[]) AS stream (type, id, sequence)
            WHERE stream.sequence <> (
                SELECT coalesce(max(events.sequence), 0) FROM events
                 WHERE events.aggregate_type = stream.type AND events.aggregate_id = stream.id))
       -- The unique index of the newest range knows its keys; those of earlier ranges are looked for.
       AND NOT (
           ((SELECT count(*) > 1 FROM event_ranges WHERE first <= $2) OR EXISTS (SELECT FROM commands))
           AND EXISTS (
               SELECT FROM unnest($16::text[], $18::text[]) AS key (tenant, id)
                WHERE key.id IS NOT NULL
                  AND (EXISTS (SELECT FROM commands WHERE commands.tenant = key.tenant AND commands.command_id = key.id)
                       OR EXISTS (SELECT FROM events WHERE events.tenant = key.tenant AND events.command_id = key.id
                                     AND position < (SELECT max(first) FROM event_ranges WHERE first <= $2)))))
       AND (SELECT pg_advisory_xact_lock(7281094552)) IS NOT NULL
    RETURNING last_position
), written AS (
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position,
                        tenant, recorded_at, leaf_hash, command_id, command_body, command_events)
    SELECT event.aggregate_type, event.aggregate_id, event.sequence, event.event_type, event.event_version, event.payload,
           event.metadata, $1 + event.ordinal, event.tenant, $4, event.leaf_hash, event.command_id, event.command_body,
           event.command_events
      FROM head, unnest($9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[], $14::json[], $15::json[],
                        $16::text[], $17::bytea[], $18::text[], $19::bytea[], $20::integer[]) WITH ORDINALITY
           AS event (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, tenant,
                     leaf_hash, command_id, command_body, command_events, ordinal)
), nodes AS (
    INSERT INTO tree_nodes (level, index, hash)
    SELECT node.* FROM head, unnest($21::smallint[], $22::bigint[], $23::bytea[]) AS node
), parts AS (
    INSERT INTO blobs (digest, media_type, content)
    SELECT DISTINCT ON (blob.digest) blob.*
      FROM head, unnest($24::bytea[], $25::text[], $26::bytea[]) AS blob (digest, media_type, content)
    ON CONFLICT (digest) DO NOTHING
)
SELECT EXISTS (SELECT FROM head) AS done,
       CASE WHEN $5 THEN pg_advisory_unlock(7281094552) END AS released,
       CASE WHEN $5 THEN set_config('idle_session_timeout', '0', false) END AS timeout
