-- Keeps a checkpoint, and its key where the key is new. Of one size the first is kept: they say the same.
WITH kept AS (
    INSERT INTO checkpoints (size, note, verifier) VALUES ($1, $2, $3) ON CONFLICT (size) DO NOTHING
    RETURNING size, verifier
)
INSERT INTO checkpoint_keys (verifier, first_size) SELECT verifier, size FROM kept ON CONFLICT (verifier) DO NOTHING
