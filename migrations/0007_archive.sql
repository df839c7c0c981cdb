-- Ranges of events that were moved to a file. What proofs, receipts and appends need of them stays here: their leaf hashes,
-- their commands' keys (in `commands`), and where their streams were. Only the oldest ranges are moved, so that what is
-- archived is all before the first range of `event_ranges`.

-- 256 leaf hashes a row, those of positions `index` * 256 + 1 and after.
CREATE TABLE archived_leaves (
    index  bigint PRIMARY KEY CHECK (index >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) = 8192)
);

-- Per archived range the last event of each stream in it.
CREATE TABLE archived_streams (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    sequence       bigint NOT NULL CHECK (sequence >= 1),
    position       bigint NOT NULL CHECK (position >= 1),
    tenant         text COLLATE "C" NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

DO $$
DECLARE recorded text;
BEGIN
    FOREACH recorded IN ARRAY ARRAY['archived_leaves', 'archived_streams'] LOOP
        EXECUTE format('CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION refuse_change()', recorded);
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', recorded);
    END LOOP;
END $$;

-- Where each archived range is: kept by the owner, who moves ranges away and back.
CREATE TABLE archived_ranges (
    first  bigint PRIMARY KEY CHECK (first >= 1 AND first % 256 = 1),
    past   bigint NOT NULL UNIQUE CHECK (past > first AND past % 256 = 1),
    file   text NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    events bigint NOT NULL
);

REVOKE ALL ON archived_leaves, archived_streams, archived_ranges FROM PUBLIC;
GRANT SELECT ON archived_leaves, archived_streams, archived_ranges TO xagent_app;

-- The first position whose event is here.
CREATE FUNCTION attached_from() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT min(first) FROM event_ranges';

-- The leaf hashes after a position, up to another, whether the events are here or archived.
CREATE FUNCTION leaves(after_position bigint, to_position bigint) RETURNS TABLE (leaf_position bigint, hash bytea)
LANGUAGE sql STABLE AS $$
    SELECT events.position, events.leaf_hash FROM events
     WHERE events.position > after_position AND events.position <= to_position
    UNION ALL
    SELECT place.position, substring(archived_leaves.hashes FROM ((place.position - 1) % 256 * 32 + 1)::integer FOR 32)
      FROM archived_leaves,
           LATERAL generate_series(greatest(archived_leaves.index * 256, after_position) + 1,
                                   least(archived_leaves.index * 256 + 256, to_position)) AS place (position)
     WHERE after_position < attached_from() - 1
       AND archived_leaves.index BETWEEN after_position / 256 AND least(to_position, attached_from() - 1) / 256
       AND place.position < attached_from()
     ORDER BY 1
$$;
REVOKE ALL ON FUNCTION attached_from, leaves FROM PUBLIC;
GRANT EXECUTE ON FUNCTION attached_from, leaves TO xagent_app;
