-- What surrounds the points of a run. Rows are replaced: of those with the same key the one with the greatest version counts, read
-- with FINAL.

-- Where and from what each attempt was started, in parts that are JSON objects. Apart from raw_runs, so that a page of runs stays
-- light.
CREATE TABLE IF NOT EXISTS raw_contexts
(
    run UInt64,
    attempt UInt32,
    rank UInt32,
    -- git | diff | program | packages | environment | machine | ...
    part String,
    writer UInt128,
    content String CODEC(ZSTD(3)),
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (run, attempt, rank, part)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What the processes of a run printed: the last state of each line.
CREATE TABLE IF NOT EXISTS raw_console
(
    run UInt64,
    attempt UInt32,
    rank UInt32,
    writer UInt128,
    -- From 1 within the writer.
    line UInt64 CODEC(Delta, ZSTD(1)),
    -- Of the state of the line; rises within the writer.
    ordinal UInt64 CODEC(Delta, ZSTD(1)),
    -- 1 standard output | 2 standard error | 3 what was left out
    stream UInt8,
    open Bool,
    time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    text String CODEC(ZSTD(3))
)
ENGINE = ${replicated}ReplacingMergeTree(ordinal)
ORDER BY (run, attempt, rank, writer, line)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE OR REPLACE VIEW contexts AS
SELECT r.run_id AS run, c.attempt AS attempt, c.rank AS rank, c.part AS part, c.content AS content
FROM (SELECT run, attempt, rank, part, content FROM raw_contexts FINAL) AS c
INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS r ON c.run = r.run;

CREATE OR REPLACE VIEW console AS
SELECT r.run_id AS run, c.attempt AS attempt, c.rank AS rank, c.line AS line, ['out', 'err', 'note'][c.stream] AS stream, c.time AS time,
    c.text AS text
FROM (SELECT run, attempt, rank, line, stream, time, text FROM raw_console FINAL) AS c
INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS r ON c.run = r.run;
