-- Snapshots: what long streams fold to, so that they need not be read from their beginning. A view: whatever is here can be
-- dropped, and is made again. None is taken for true unless it fits the event it covers last.
CREATE TABLE snapshots (
    tenant         text COLLATE "C" NOT NULL,
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    -- Which code folded it: that of another version folds otherwise.
    code           text COLLATE "C" NOT NULL,
    -- The last event in it.
    sequence       bigint NOT NULL CHECK (sequence >= 1),
    state          bytea NOT NULL,
    -- Of all of the above and the leaf hash of that event.
    digest         bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (tenant, aggregate_type, aggregate_id, code, sequence)
);

REVOKE ALL ON snapshots FROM PUBLIC;
GRANT SELECT, INSERT, DELETE ON snapshots TO xagent_app;
