-- Keeps a snapshot and drops older ones of its stream, whatever code they are by. Where there is one as new, it stays.
WITH kept AS (
    INSERT INTO snapshots (tenant, aggregate_type, aggregate_id, code, sequence, state, digest)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING
)
DELETE FROM snapshots WHERE tenant = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND sequence < $5
