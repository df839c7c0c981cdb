-- Appending a batch of commands: all of them or, where the ledger is not where the appender thought, none.
--
-- It answers with where the ledger is; `done` tells whether the batch is in. A volatile function: each statement in it
-- sees what was committed before the lock was taken.

CREATE FUNCTION append_batch(
    -- Where the appender thinks the ledger is; -1 where it does not know.
    after_position   bigint,
    -- Per stream of the batch: type, id, the sequence it must be at.
    stream_types     text[],
    stream_ids       text[],
    stream_sequences bigint[],
    -- Per command with a key: tenant, key, digest of its body, and where its events are.
    key_tenants      text[],
    key_ids          text[],
    key_bodies       bytea[],
    key_streams      text[],
    key_sequences    bigint[],
    key_firsts       bigint[],
    key_lasts        bigint[],
    -- Per event.
    event_types_of_aggregate text[],
    event_aggregates text[],
    event_tenants    text[],
    event_sequences  bigint[],
    event_types      text[],
    event_versions   text[],
    event_payloads   text[],
    event_metadata   text[],
    event_positions  bigint[],
    event_leaves     bytea[],
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
BEGIN
    PERFORM pg_advisory_xact_lock(7281094552);
    SELECT last_position, (extract(epoch FROM last_recorded_at) * 1000000)::bigint, frontier
      INTO STRICT head_position, head_recorded_at_us, head_frontier FROM ledger_head;
    SELECT coalesce(array_agg(coalesce(last.sequence, 0) ORDER BY stream.ordinal), '{}')
      INTO sequences
      FROM unnest(stream_types, stream_ids) WITH ORDINALITY AS stream (aggregate_type, aggregate_id, ordinal)
      LEFT JOIN LATERAL (
        SELECT max(events.sequence) AS sequence FROM events
         WHERE events.aggregate_type = stream.aggregate_type AND events.aggregate_id = stream.aggregate_id
      ) AS last ON true;
    SELECT coalesce(array_agg(EXISTS (
             SELECT 1 FROM commands WHERE commands.tenant = key.tenant AND commands.command_id = key.id
           ) ORDER BY key.ordinal), '{}')
      INTO known
      FROM unnest(key_tenants, key_ids) WITH ORDINALITY AS key (tenant, id, ordinal);
    done := head_position = after_position AND sequences = stream_sequences AND NOT (true = ANY (known));
    IF NOT done THEN
        RETURN;
    END IF;
    INSERT INTO blobs (digest, media_type, content)
    SELECT DISTINCT ON (blob.digest) blob.digest, blob.media_type, blob.content
      FROM unnest(blob_digests, blob_types, blob_contents) AS blob (digest, media_type, content)
    ON CONFLICT (digest) DO NOTHING;
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position,
                        tenant, recorded_at, leaf_hash)
    SELECT event.aggregate_type, event.aggregate_id, event.sequence, event.event_type, event.event_version,
           event.payload::json, event.metadata::json, event.position, event.tenant,
           timestamptz 'epoch' + recorded_at_us * interval '1 microsecond', event.leaf_hash
      FROM unnest(event_types_of_aggregate, event_aggregates, event_tenants, event_sequences, event_types, event_versions,
                  event_payloads, event_metadata, event_positions, event_leaves)
           AS event (aggregate_type, aggregate_id, tenant, sequence, event_type, event_version, payload, metadata,
                     position, leaf_hash);
    INSERT INTO commands (tenant, command_id, body_digest, aggregate_id, sequence, first_position, last_position)
    SELECT * FROM unnest(key_tenants, key_ids, key_bodies, key_streams, key_sequences, key_firsts, key_lasts);
    INSERT INTO tree_nodes (level, index, hash) SELECT * FROM unnest(node_levels, node_indexes, node_hashes);
    IF new_position > head_position THEN
        UPDATE ledger_head
           SET last_position = new_position, frontier = new_frontier,
               last_recorded_at = timestamptz 'epoch' + recorded_at_us * interval '1 microsecond';
        PERFORM pg_notify('xagent_events', new_position::text);
    END IF;
END $$;

REVOKE ALL ON FUNCTION append_batch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_batch TO xagent_app;
