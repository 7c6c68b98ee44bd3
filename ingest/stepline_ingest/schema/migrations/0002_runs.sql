-- Runs and what belongs to them. Rows are replaced: of those with the same key the one with the greatest version counts, read
-- with FINAL.

CREATE TABLE IF NOT EXISTS raw_runs
(
    run UInt64,
    run_id String,
    project String,
    name String,
    -- JSON objects.
    config String CODEC(ZSTD(3)),
    summary String CODEC(ZSTD(3)),
    tags Array(String),
    `group` String,
    job_type String,
    notes String CODEC(ZSTD(3)),
    -- running | finished | failed
    state String,
    -- NULL while the run goes on.
    exit_code Nullable(Int32),
    -- The lineage begins with points of another run up to a step; 0 and '' when it does not.
    fork_run_id String,
    fork_step Int64,
    created DateTime64(3, 'UTC'),
    updated DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY run
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS raw_attempts
(
    run UInt64,
    -- From 1.
    attempt UInt32,
    launch_id String,
    world_size UInt32,
    created DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (run, attempt)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- How each rank of an attempt ended.
CREATE TABLE IF NOT EXISTS raw_finishes
(
    run UInt64,
    attempt UInt32,
    rank UInt32,
    writer UInt128,
    exit_code Int32,
    finished DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (run, attempt, rank)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- The place of a writer, fixed for its life.
CREATE TABLE IF NOT EXISTS raw_writers
(
    writer UInt128,
    run UInt64,
    run_id String,
    attempt UInt32,
    rank UInt32,
    host String,
    pid UInt32,
    created DateTime64(3, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY writer
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Batches that can never be stored, kept so that a person can look into them.
CREATE TABLE IF NOT EXISTS raw_rejects
(
    run UInt64,
    writer UInt128,
    attempt UInt32,
    rank UInt32,
    first_seq UInt64,
    last_seq UInt64,
    reason String,
    payload String CODEC(ZSTD(3)),
    received DateTime('UTC')
)
ENGINE = ${replicated}ReplacingMergeTree(received)
ORDER BY (run, writer, first_seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
