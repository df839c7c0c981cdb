-- The events in ranges of positions, each a table of its own: an old one can be moved to a file, and its indexes stay the
-- size they are. What makes a command's repetition known stands beside its first event.

ALTER TABLE events
    ADD COLUMN command_id     text COLLATE "C",
    ADD COLUMN command_body   bytea CHECK (octet_length(command_body) = 32),
    ADD COLUMN command_events integer CHECK (command_events >= 1);

ALTER TABLE events RENAME TO events_from_1;
DROP TRIGGER refuse_row_change ON events_from_1;
ALTER TABLE events_from_1 DROP CONSTRAINT events_pkey;
ALTER INDEX events_position RENAME TO events_from_1_position;
ALTER INDEX events_wakes RENAME TO events_from_1_wakes;
ALTER INDEX events_runs RENAME TO events_from_1_runs;
ALTER INDEX events_approvals RENAME TO events_from_1_approvals;
REVOKE ALL ON events_from_1 FROM xagent_app;

CREATE TABLE events (LIKE events_from_1 INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (position);
CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
GRANT SELECT, INSERT ON events TO xagent_app;

CREATE UNIQUE INDEX events_position ON events (position);
-- What makes a worker look at a run.
CREATE INDEX events_wakes ON events (position)
    WHERE aggregate_type = 'run' AND event_type IN (
        'RunStarted', 'RunResumed', 'ToolCallProposed', 'ApprovalGranted', 'ApprovalRefused',
        'RunCompleted', 'RunFailed', 'RunCancelled');
CREATE INDEX events_runs ON events (tenant, position) WHERE event_type = 'RunStarted';
CREATE INDEX events_approvals ON events ((payload #>> '{ApprovalRequested,approval}'))
    WHERE event_type = 'ApprovalRequested';

-- The ranges, from `first` up to but without `past`: whole subtrees, so that what is moved away leaves no ragged edge.
CREATE TABLE event_ranges (
    first bigint PRIMARY KEY CHECK (first >= 1 AND first % 256 = 1),
    past  bigint NOT NULL UNIQUE CHECK (past > first AND past % 256 = 1)
);
REVOKE ALL ON event_ranges FROM PUBLIC;
GRANT SELECT ON event_ranges TO xagent_app;

-- A unique index of a partitioned table has to hold the position, so these are each partition's own; appending looks
-- into the older ones itself.
CREATE FUNCTION finish_range(range_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (aggregate_type, aggregate_id, sequence)', range_name || '_stream', range_name);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (tenant, command_id) WHERE command_id IS NOT NULL',
                   range_name || '_command', range_name);
END $$;

-- Adds a range of `width` positions at the end once less than half of one is left, or less than a few large batches take.
-- Any process may ask for it at any time. Attaching takes no lock that readers or appenders wait for.
CREATE FUNCTION add_range(
    width bigint,
    -- The first position of the range; nothing where none was due.
    OUT added bigint,
    -- The position of the head from which on the next one is due.
    OUT due bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    ahead CONSTANT bigint := greatest(width / 2, 8192);
    range_first bigint;
    range_name  text;
BEGIN
    PERFORM pg_advisory_xact_lock(7281094553);
    SELECT max(past) INTO STRICT range_first FROM event_ranges;
    IF (SELECT last_position + ahead < range_first FROM ledger_head) THEN
        due := range_first - ahead;
        RETURN;
    END IF;
    range_name := 'events_from_' || range_first;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', range_name);
    PERFORM finish_range(range_name);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', range_name);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   range_name, range_first, range_first + width);
    INSERT INTO event_ranges VALUES (range_first, range_first + width);
    added := range_first;
    due := range_first + width - ahead;
END $$;
REVOKE ALL ON FUNCTION add_range, finish_range FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_range TO xagent_app;

SELECT finish_range('events_from_1');
DO $$
DECLARE range_past bigint;
BEGIN
    SELECT (last_position / 16777216 + 1) * 16777216 + 1 INTO range_past FROM ledger_head;
    EXECUTE format('ALTER TABLE events ATTACH PARTITION events_from_1 FOR VALUES FROM (1) TO (%s)', range_past);
    INSERT INTO event_ranges VALUES (1, range_past);
END $$;
