-- The Merkle tree over all events (RFC 6962): its right edge in the head row, and of its inner nodes every eighth level,
-- so that a node costs 1/255 of an event and any proof reads at most 256 hashes per eight levels.

ALTER TABLE ledger_head ADD COLUMN frontier bytea NOT NULL DEFAULT '';

CREATE TABLE tree_nodes (
    level smallint NOT NULL CHECK (level > 0 AND level % 8 = 0),
    index bigint NOT NULL CHECK (index >= 0),
    hash  bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, index)
);

CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON tree_nodes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON tree_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The frontier of a ledger that is older than its tree is filled in once, where it stands.
CREATE OR REPLACE FUNCTION refuse_head_loss() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.last_recorded_at >= OLD.last_recorded_at
        AND (NEW.last_position > OLD.last_position
             OR (NEW.last_position = OLD.last_position AND OLD.frontier = '' AND OLD.last_position > 0)) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% of the ledger head is refused: it only moves forward', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

REVOKE ALL ON tree_nodes FROM PUBLIC;
GRANT SELECT, INSERT ON tree_nodes TO xagent_app;
