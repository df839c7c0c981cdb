-- The ledger. Truth is `events`; `ledger_head` orders appends, `commands` makes them repeatable, `blobs` holds large
-- parts once. The columns up to `metadata` are those of postgres-es, so that its stock repository can read the table.

DO $$ BEGIN
    CREATE ROLE xagent_app NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, 'xagent_app', 'MEMBER') THEN
        EXECUTE format('GRANT xagent_app TO %I', current_user);
    END IF;
END $$;

CREATE TABLE events (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    sequence       bigint NOT NULL CHECK (sequence >= 1),
    event_type     text COLLATE "C" NOT NULL,
    event_version  text COLLATE "C" NOT NULL,
    -- json, not jsonb: the text itself was hashed.
    payload        json NOT NULL,
    metadata       json NOT NULL,
    position       bigint NOT NULL CHECK (position >= 1),
    tenant         text COLLATE "C" NOT NULL,
    recorded_at    timestamptz NOT NULL,
    leaf_hash      bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

CREATE UNIQUE INDEX events_position ON events (position);

-- What makes a worker look at a run.
CREATE INDEX events_wakes ON events (position)
    WHERE aggregate_type = 'run' AND event_type IN (
        'RunStarted', 'RunResumed', 'ToolCallProposed', 'ApprovalGranted', 'ApprovalRefused',
        'RunCompleted', 'RunFailed', 'RunCancelled');

CREATE INDEX events_runs ON events (tenant, position) WHERE event_type = 'RunStarted';

CREATE INDEX events_approvals ON events ((payload #>> '{ApprovalRequested,approval}'))
    WHERE event_type = 'ApprovalRequested';

CREATE TABLE ledger_head (
    only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_position    bigint NOT NULL,
    last_recorded_at timestamptz NOT NULL
);
INSERT INTO ledger_head (last_position, last_recorded_at) VALUES (0, 'epoch');

CREATE TABLE commands (
    tenant         text COLLATE "C" NOT NULL,
    command_id     text COLLATE "C" NOT NULL,
    body_digest    bytea NOT NULL CHECK (octet_length(body_digest) = 32),
    aggregate_id   text COLLATE "C" NOT NULL,
    sequence       bigint NOT NULL,
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,
    PRIMARY KEY (tenant, command_id)
);

CREATE TABLE blobs (
    digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    media_type text NOT NULL,
    content    bytea NOT NULL
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: what is recorded is never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

DO $$
DECLARE recorded text;
BEGIN
    FOREACH recorded IN ARRAY ARRAY['events', 'commands', 'blobs'] LOOP
        EXECUTE format('CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', recorded);
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', recorded);
    END LOOP;
END $$;

CREATE FUNCTION refuse_head_loss() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.last_position > OLD.last_position
        AND NEW.last_recorded_at >= OLD.last_recorded_at THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of the ledger head is refused: it only moves forward', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER only_forward BEFORE UPDATE OR DELETE ON ledger_head
    FOR EACH ROW EXECUTE FUNCTION refuse_head_loss();

REVOKE ALL ON events, ledger_head, commands, blobs FROM PUBLIC;
GRANT SELECT, INSERT ON events, commands, blobs TO xagent_app;
GRANT SELECT, UPDATE ON ledger_head TO xagent_app;
