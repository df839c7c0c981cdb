-- Signed checkpoints of the tree, each with the key that checks it, kept for ever.
CREATE TABLE checkpoints (
    size     bigint PRIMARY KEY CHECK (size > 0),
    note     text NOT NULL,
    verifier text NOT NULL
);
CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON checkpoints
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE ALL ON checkpoints FROM PUBLIC;
GRANT SELECT, INSERT ON checkpoints TO xagent_app;
