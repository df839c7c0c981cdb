-- While a transaction stays open, as that of a backup, none of the versions of the head's row can be cleared away, and each
-- append leaves one. Whoever looks for the newest finds it by an index, so that it does not matter how many there are. What
-- the index is of changes with few appends; the others still write no index at all (heap-only tuples).
ALTER TABLE ledger_head
    -- A key that all versions share would be looked for among all of them.
    DROP COLUMN only_row,
    ADD COLUMN lap bigint GENERATED ALWAYS AS (last_position / 1024) STORED;
CREATE INDEX ledger_head_lap ON ledger_head (lap);
CREATE TRIGGER refuse_insert BEFORE INSERT ON ledger_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The head, there being one.
CREATE VIEW present_head AS
    SELECT last_position, frontier, last_recorded_at FROM ledger_head ORDER BY lap DESC LIMIT 1;
REVOKE ALL ON present_head FROM PUBLIC;
GRANT SELECT ON present_head TO xagent_app;

DO $$
DECLARE
    changed record;
    before  text;
BEGIN
    FOR changed IN SELECT * FROM (VALUES
        ('append_batch'::regproc, 'WHERE last_position = after_position',
         'WHERE lap = after_position / 1024 AND last_position = after_position'),
        ('ask_ledger', 'FROM ledger_head', 'FROM present_head'),
        ('add_range', 'FROM ledger_head', 'FROM present_head')
    ) AS change (name, old, new) LOOP
        before := pg_get_functiondef(changed.name);
        IF strpos(before, changed.old) = 0 THEN
            RAISE EXCEPTION '% is not the function that was migrated last: put that back first', changed.name;
        END IF;
        EXECUTE replace(before, changed.old, changed.new);
    END LOOP;
END $$;
