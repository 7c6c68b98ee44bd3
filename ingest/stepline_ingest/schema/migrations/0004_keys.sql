-- API keys. The digest is the SHA-256 of the key; the key itself is nowhere. Rows are replaced: the one with the greatest version
-- counts, read with FINAL.

CREATE TABLE IF NOT EXISTS raw_keys
(
    digest String,
    -- ingest | read | admin
    scope String,
    -- Empty for an admin key.
    project String,
    name String,
    created DateTime64(3, 'UTC'),
    -- NULL: does not expire.
    expires Nullable(DateTime64(3, 'UTC')),
    -- NULL: not revoked.
    revoked Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY digest
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
