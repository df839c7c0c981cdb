-- The keys that have signed checkpoints, each with the first one it signed: who trusts an old key finds the next one there.
CREATE TABLE checkpoint_keys (
    verifier   text COLLATE "C" PRIMARY KEY,
    first_size bigint NOT NULL CHECK (first_size > 0)
);
INSERT INTO checkpoint_keys (verifier, first_size) SELECT verifier, min(size) FROM checkpoints GROUP BY verifier;

CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON checkpoint_keys
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON checkpoint_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE ALL ON checkpoint_keys FROM PUBLIC;
GRANT SELECT, INSERT ON checkpoint_keys TO xagent_app;
