-- Appending: a batch of commands at a place the appender knows, or a question where that place is.

DROP FUNCTION append_batch;

-- Appends a batch: all of it, or nothing where the ledger is not the one of `after_position` and `after_frontier`, on which
-- the appender planned it. Tells which. One statement does the work; a volatile function runs it on what was committed
-- before the lock was taken, so that the next batch may already wait here for its turn.
CREATE FUNCTION append_batch(
    after_position   bigint,
    after_frontier   bytea,
    -- Whether this session holds the lock since it asked.
    holding          boolean,
    -- Per stream the appender has not met yet: type, id, and the sequence its first command expects.
    stream_types     text[],
    stream_ids       text[],
    stream_sequences bigint[],
    -- Per event; the last three only for the first event of a command with a key.
    event_types_of_aggregate text[],
    event_aggregates text[],
    event_sequences  bigint[],
    event_types      text[],
    event_versions   text[],
    event_payloads   json[],
    event_metadata   json[],
    event_tenants    text[],
    event_leaves     bytea[],
    event_commands   text[],
    event_bodies     bytea[],
    event_counts     integer[],
    batch_recorded_at timestamptz,
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
    OUT done boolean
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7281094552);
    IF holding THEN
        PERFORM pg_advisory_unlock(7281094552), set_config('idle_session_timeout', '0', false);
    END IF;
    WITH head AS (
        UPDATE ledger_head
           SET last_position = new_position, frontier = new_frontier, last_recorded_at = batch_recorded_at
         WHERE last_position = after_position AND frontier = after_frontier
           AND NOT EXISTS (
               SELECT FROM unnest(stream_types, stream_ids, stream_sequences) AS stream (type, id, sequence)
                WHERE stream.sequence <> coalesce(
                    (SELECT max(events.sequence) FROM events
                      WHERE events.aggregate_type = stream.type AND events.aggregate_id = stream.id),
                    (SELECT max(archived_streams.sequence) FROM archived_streams
                      WHERE archived_streams.aggregate_type = stream.type
                        AND archived_streams.aggregate_id = stream.id), 0))
           -- The unique index of the newest range knows its keys; those of earlier ranges are looked for.
           AND NOT (
               ((SELECT count(*) > 1 FROM event_ranges WHERE first <= new_position) OR EXISTS (SELECT FROM commands))
               AND EXISTS (
                   SELECT FROM unnest(event_tenants, event_commands) AS key (tenant, id)
                    WHERE key.id IS NOT NULL
                      AND (EXISTS (SELECT FROM commands
                                    WHERE commands.tenant = key.tenant AND commands.command_id = key.id)
                           OR EXISTS (SELECT FROM events
                                       WHERE events.tenant = key.tenant AND events.command_id = key.id
                                         AND position < (SELECT max(first) FROM event_ranges
                                                          WHERE first <= new_position)))))
        RETURNING last_position
    ), written AS (
        INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position,
                            tenant, recorded_at, leaf_hash, command_id, command_body, command_events)
        SELECT event.aggregate_type, event.aggregate_id, event.sequence, event.event_type, event.event_version,
               event.payload, event.metadata, after_position + event.ordinal, event.tenant, batch_recorded_at,
               event.leaf_hash, event.command_id, event.command_body, event.command_events
          FROM head, unnest(event_types_of_aggregate, event_aggregates, event_sequences, event_types, event_versions,
                            event_payloads, event_metadata, event_tenants, event_leaves, event_commands, event_bodies,
                            event_counts) WITH ORDINALITY
               AS event (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, tenant,
                         leaf_hash, command_id, command_body, command_events, ordinal)
    ), nodes AS (
        INSERT INTO tree_nodes (level, index, hash)
        SELECT node.level, node.index, node.hash
          FROM head, unnest(node_levels, node_indexes, node_hashes) AS node (level, index, hash)
    ), parts AS (
        INSERT INTO blobs (digest, media_type, content)
        SELECT DISTINCT ON (blob.digest) blob.digest, blob.media_type, blob.content
          FROM head, unnest(blob_digests, blob_types, blob_contents) AS blob (digest, media_type, content)
        ON CONFLICT (digest) DO NOTHING
    )
    SELECT EXISTS (SELECT FROM head) INTO done;
END $$;

-- Where the ledger, streams and keys are. The session holds the lock until it gives it up, so that the append that
-- follows cannot miss; a session that falls silent loses it. A volatile function: each statement in it sees what was
-- committed before the lock was taken.
CREATE FUNCTION ask_ledger(
    stream_types text[],
    stream_ids   text[],
    key_tenants  text[],
    key_ids      text[],
    OUT head_position bigint,
    OUT head_recorded_at_us bigint,
    OUT head_frontier bytea,
    -- One per stream.
    OUT sequences bigint[],
    -- One per key: whether a command with it is in.
    OUT known boolean[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_lock(7281094552), set_config('idle_session_timeout', '5s', false);
    SELECT last_position, (extract(epoch FROM last_recorded_at) * 1000000)::bigint, frontier
      INTO STRICT head_position, head_recorded_at_us, head_frontier FROM ledger_head;
    SELECT array_agg(coalesce(
                         (SELECT max(events.sequence) FROM events
                           WHERE events.aggregate_type = stream.type AND events.aggregate_id = stream.id),
                         (SELECT max(archived_streams.sequence) FROM archived_streams
                           WHERE archived_streams.aggregate_type = stream.type
                             AND archived_streams.aggregate_id = stream.id), 0)
                     ORDER BY stream.ordinal)
      INTO sequences FROM unnest(stream_types, stream_ids) WITH ORDINALITY AS stream (type, id, ordinal);
    SELECT array_agg(EXISTS (SELECT FROM events WHERE events.tenant = key.tenant AND events.command_id = key.id)
                  OR EXISTS (SELECT FROM commands WHERE commands.tenant = key.tenant AND commands.command_id = key.id)
                     ORDER BY key.ordinal)
      INTO known FROM unnest(key_tenants, key_ids) WITH ORDINALITY AS key (tenant, id, ordinal);
END $$;

REVOKE ALL ON FUNCTION append_batch, ask_ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_batch, ask_ledger TO xagent_app;

-- The head row is updated by every append: what it may not become is told by conditions, which cost less than a call.
DROP TRIGGER only_forward ON ledger_head;
DROP FUNCTION refuse_head_loss;
CREATE TRIGGER only_forward BEFORE UPDATE ON ledger_head FOR EACH ROW
    WHEN (NOT (NEW.last_recorded_at >= OLD.last_recorded_at
               AND (NEW.last_position > OLD.last_position
                    -- The frontier of a ledger that is older than its tree is filled in once, where it stands.
                    OR (NEW.last_position = OLD.last_position AND OLD.frontier = '' AND OLD.last_position > 0))))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_delete BEFORE DELETE ON ledger_head FOR EACH ROW EXECUTE FUNCTION refuse_change();
