-- Adds a batch without blobs and with keys that only the newest range can hold: all of it, or nothing where the ledger is
-- not the one of position $1 and frontier $2. The head's row is looked at again once the lock is held, so it does not matter
-- what was committed meanwhile. Arrays are taken apart in step, without a table between.
WITH head AS (
    UPDATE ledger_head
       SET last_position = $3, frontier = $4, last_recorded_at = $5
     WHERE lap = $1::bigint / 1024 AND last_position = $1 AND frontier = $2
       AND (SELECT pg_advisory_xact_lock(7281094552)) IS NOT NULL
       -- Only where the batch has streams that are not known: those of types $21 and ids $22 are where their first commands
       -- expect them, at $23. This sees what was committed before the statement began. What others committed later moves
       -- the head, so that nothing is added; what this session added is in before its next statement begins.
       AND NOT EXISTS (
           SELECT FROM unnest($21::text[], $22::text[], $23::bigint[]) AS stream (type, id, sequence)
            WHERE stream.sequence <> coalesce(
                (SELECT max(events.sequence) FROM events
                  WHERE events.aggregate_type = stream.type AND events.aggregate_id = stream.id),
                (SELECT max(archived_streams.sequence) FROM archived_streams
                  WHERE archived_streams.aggregate_type = stream.type
                    AND archived_streams.aggregate_id = stream.id), 0))
       -- Always.
    RETURNING last_position
), written AS (
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position,
                        tenant, recorded_at, leaf_hash, command_id, command_body, command_events)
    SELECT unnest($6::text[]), unnest($7::text[]), unnest($8::bigint[]), unnest($9::text[]), unnest($10::text[]),
           unnest($11::json[]), unnest($12::json[]), generate_series($1 + 1, $3), unnest($13::text[]), $5,
           unnest($14::bytea[]), unnest($15::text[]), unnest($16::bytea[]), unnest($17::integer[])
      FROM head
), nodes AS (
    INSERT INTO tree_nodes (level, index, hash)
    SELECT unnest($18::smallint[]), unnest($19::bigint[]), unnest($20::bytea[]) FROM head
)
SELECT EXISTS (SELECT FROM head)
