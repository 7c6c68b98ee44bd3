-- What runs are found and compared by. All of it but raw_config_changes is derived: a service writes it after the rows that it comes
-- from, and brings it up to date when it starts (catalogue/index.py, catalogue/summaries.py).

-- The keys of configs and summaries, one row each, read with FINAL. kind: 0 none any more, 1 a number, 2 true or false, 3 text,
-- 4 a list. text: the text, or the JSON of anything else. See catalogue/fields.py.
CREATE TABLE IF NOT EXISTS raw_fields
(
    -- config.ADDRESS or summary.ADDRESS
    key String CODEC(ZSTD(1)),
    run UInt64,
    project String CODEC(ZSTD(1)),
    kind UInt8,
    number Float64,
    text String CODEC(ZSTD(1)),
    version UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (key, run)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Which version of a run stands in raw_fields, under which keys, and a digest of each value.
CREATE TABLE IF NOT EXISTS raw_indexed
(
    run UInt64,
    version UInt64,
    keys Array(String) CODEC(ZSTD(1)),
    digests Array(UInt64)
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY run
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What a run shows of each metric, over its ranks, some seconds late. NaN where there is no such value.
CREATE TABLE IF NOT EXISTS raw_summaries
(
    metric UInt64,
    run UInt64,
    project String CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    points UInt64,
    first Float64,
    last Float64,
    min Float64,
    max Float64,
    mean Float64,
    -- By the goal that define_metric() set, and the value that it chose for tables.
    best Float64,
    shown Float64,
    version UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (metric, run)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- How many points of a run, all attempts, stood in raw_points when its summaries were made.
CREATE TABLE IF NOT EXISTS raw_summarized
(
    run UInt64,
    points UInt64,
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY run
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Keys of configs that got another value, as JSON; '' where there was, or is, none.
CREATE TABLE IF NOT EXISTS raw_config_changes
(
    run UInt64,
    changed DateTime64(3, 'UTC'),
    attempt UInt32,
    who String,
    keys Array(String) CODEC(ZSTD(1)),
    before Array(String) CODEC(ZSTD(1)),
    after Array(String) CODEC(ZSTD(1)),
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (run, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
