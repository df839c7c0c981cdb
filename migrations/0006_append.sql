-- What the appender asks where it does not know the ledger, and the head row that keeps itself.
--
-- Appending itself is one statement of the ledger's own. It writes nothing where the ledger is not where the appender
-- thought; then the appender asks here, and appends under the lock it was given.

DROP FUNCTION append_batch;

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
    SELECT array_agg((SELECT coalesce(max(events.sequence), 0) FROM events
                       WHERE events.aggregate_type = stream.type AND events.aggregate_id = stream.id)
                     ORDER BY stream.ordinal)
      INTO sequences FROM unnest(stream_types, stream_ids) WITH ORDINALITY AS stream (type, id, ordinal);
    SELECT array_agg(EXISTS (SELECT FROM events WHERE events.tenant = key.tenant AND events.command_id = key.id)
                  OR EXISTS (SELECT FROM commands WHERE commands.tenant = key.tenant AND commands.command_id = key.id)
                     ORDER BY key.ordinal)
      INTO known FROM unnest(key_tenants, key_ids) WITH ORDINALITY AS key (tenant, id, ordinal);
END $$;

REVOKE ALL ON FUNCTION ask_ledger FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ask_ledger TO xagent_app;

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
