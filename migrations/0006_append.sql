-- Appending a batch of commands: all of them or, where the ledger is not where the appender thought, none. Then the answer
-- tells where everything is, and the session holds the lock until its next call, which so cannot miss.
--
-- A volatile function: each statement in it sees what was committed before the lock was taken.

DROP FUNCTION append_batch;

CREATE FUNCTION append_batch(
    -- Where the appender thinks the ledger is; -1 where it only asks.
    after_position   bigint,
    -- Whether this session holds the lock.
    holding          boolean,
    -- Per stream of the batch: type, id, and the sequence it must be at, null where the appender knows it to be there.
    stream_types     text[],
    stream_ids       text[],
    stream_sequences bigint[],
    -- Per event; the last three only for the first event of a command with a key.
    event_types_of_aggregate text[],
    event_aggregates text[],
    event_sequences  bigint[],
    event_types      text[],
    event_versions   text[],
    event_payloads   text[],
    event_metadata   text[],
    event_tenants    text[],
    event_leaves     bytea[],
    event_commands   text[],
    event_bodies     bytea[],
    event_counts     integer[],
    recorded_at_us   bigint,
    -- Per blob.
    blob_digests     bytea[],
    blob_types       text[],
    blob_contents    bytea[],
    -- The tree with all of it.
    node_levels      smallint[],
    node_indexes     bigint[],
    node_hashes      bytea[],
    new_frontier     bytea,
    new_position     bigint,
    OUT done boolean,
    OUT head_position bigint,
    OUT head_recorded_at_us bigint,
    OUT head_frontier bytea,
    OUT sequences bigint[],
    OUT known boolean[]
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    batch_recorded_at timestamptz := timestamptz 'epoch' + recorded_at_us * interval '1 microsecond';
    range_first       bigint;
    earlier_keys      boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(7281094552);
    IF holding THEN
        PERFORM pg_advisory_unlock(7281094552), set_config('idle_session_timeout', '0', false);
    END IF;
    done := after_position >= 0 AND NOT EXISTS (
        SELECT FROM unnest(stream_types, stream_ids, stream_sequences) AS stream (type, id, sequence)
         WHERE stream.sequence IS NOT NULL AND stream.sequence <> (
             SELECT coalesce(max(events.sequence), 0) FROM events
              WHERE events.aggregate_type = stream.type AND events.aggregate_id = stream.id));
    IF done THEN
        -- Within the newest range a unique index knows the keys.
        SELECT max(first), max(first) > min(first) OR EXISTS (SELECT FROM commands)
          INTO range_first, earlier_keys FROM event_ranges WHERE first <= new_position;
        done := NOT earlier_keys OR NOT EXISTS (
            SELECT FROM unnest(event_tenants, event_commands) AS key (tenant, id), LATERAL (
                 (SELECT FROM commands WHERE commands.tenant = key.tenant AND commands.command_id = key.id LIMIT 1)
                 UNION ALL
                 (SELECT FROM events WHERE events.tenant = key.tenant AND events.command_id = key.id
                     AND events.position < range_first LIMIT 1)) AS earlier
             WHERE key.id IS NOT NULL);
    END IF;
    IF done AND new_position > after_position THEN
        UPDATE ledger_head
           SET last_position = new_position, frontier = new_frontier, last_recorded_at = batch_recorded_at
         WHERE last_position = after_position;
        done := FOUND;
    ELSIF done THEN
        done := after_position = (SELECT last_position FROM ledger_head);
    END IF;
    IF NOT done THEN
        PERFORM pg_advisory_lock(7281094552), set_config('idle_session_timeout', '5s', false);
        SELECT last_position, (extract(epoch FROM last_recorded_at) * 1000000)::bigint, frontier
          INTO STRICT head_position, head_recorded_at_us, head_frontier FROM ledger_head;
        SELECT array_agg((SELECT coalesce(max(events.sequence), 0) FROM events
                           WHERE events.aggregate_type = stream.type AND events.aggregate_id = stream.id)
                         ORDER BY stream.ordinal)
          INTO sequences FROM unnest(stream_types, stream_ids) WITH ORDINALITY AS stream (type, id, ordinal);
        SELECT array_agg(earlier.known ORDER BY key.ordinal)
          INTO known
          FROM unnest(event_tenants, event_commands) WITH ORDINALITY AS key (tenant, id, ordinal), LATERAL (
            SELECT count(*) > 0 AS known FROM (
                (SELECT FROM commands WHERE commands.tenant = key.tenant AND commands.command_id = key.id LIMIT 1)
                UNION ALL
                (SELECT FROM events WHERE events.tenant = key.tenant AND events.command_id = key.id LIMIT 1)) AS found) AS earlier
         WHERE key.id IS NOT NULL;
        RETURN;
    END IF;
    IF cardinality(blob_digests) > 0 THEN
        INSERT INTO blobs (digest, media_type, content)
        SELECT DISTINCT ON (blob.digest) blob.digest, blob.media_type, blob.content
          FROM unnest(blob_digests, blob_types, blob_contents) AS blob (digest, media_type, content)
        ON CONFLICT (digest) DO NOTHING;
    END IF;
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position,
                        tenant, recorded_at, leaf_hash, command_id, command_body, command_events)
    SELECT event.aggregate_type, event.aggregate_id, event.sequence, event.event_type, event.event_version,
           event.payload::json, event.metadata::json, after_position + event.ordinal, event.tenant, batch_recorded_at,
           event.leaf_hash, event.command_id, event.command_body, event.command_events
      FROM unnest(event_types_of_aggregate, event_aggregates, event_sequences, event_types, event_versions,
                  event_payloads, event_metadata, event_tenants, event_leaves, event_commands, event_bodies, event_counts)
           WITH ORDINALITY
           AS event (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, tenant,
                     leaf_hash, command_id, command_body, command_events, ordinal);
    IF cardinality(node_levels) > 0 THEN
        INSERT INTO tree_nodes (level, index, hash) SELECT * FROM unnest(node_levels, node_indexes, node_hashes);
    END IF;
    IF new_position > after_position THEN
        PERFORM pg_notify('xagent_events', new_position::text);
    END IF;
END $$;

REVOKE ALL ON FUNCTION append_batch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_batch TO xagent_app;
