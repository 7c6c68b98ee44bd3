-- What is kept of months whose points have expired. See retention/.

-- One row for each fill: an attempt to keep what a month says and to let its points go.
-- state: filling, filled (it counts, what is left of the points goes), dropped (they are gone), void (given up: it never counted).
CREATE TABLE IF NOT EXISTS raw_expiry
(
    fill UInt64,
    -- 202601 is January 2026: the partition of raw_points.
    month UInt32,
    state String,
    points UInt64,
    -- Of the points on disk, with their rollups; and of what is kept of them.
    bytes UInt64,
    kept_bytes UInt64,
    changed DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY fill
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- The rollups of a fill. A series has one row of width 0; of each width of a tier, one for each cell that has points. An attempt that
-- lineage cut when it was filled has rows of their own on both sides of each cut.
CREATE TABLE IF NOT EXISTS raw_cells
(
    fill UInt64,
    width UInt32,
    run UInt64 CODEC(LZ4),
    metric UInt64 CODEC(ZSTD(1)),
    rank UInt32 CODEC(ZSTD(1)),
    attempt UInt32 CODEC(ZSTD(1)),
    -- How many cuts lie below.
    stretch UInt32 CODEC(ZSTD(1)),
    n UInt64 CODEC(ZSTD(1)),
    -- Of them not finite, and the step of the first of those.
    bad UInt64 CODEC(ZSTD(1)),
    bad_step Int64 CODEC(ZSTD(1)),
    -- See schema/tiers.py. What follows up to the sum is of the finite ones, and means nothing where there are none.
    low_key Int128 CODEC(ZSTD(1)),
    high_key Int128 CODEC(ZSTD(1)),
    first_key Int128 CODEC(ZSTD(1)),
    first Float64 CODEC(ZSTD(1)),
    last_key Int128 CODEC(ZSTD(1)),
    last Float64 CODEC(ZSTD(1)),
    total Float64 CODEC(ZSTD(1)),
    first_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    last_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    first_step Int64 CODEC(Delta, ZSTD(1)),
    last_step Int64 CODEC(Delta, ZSTD(1))
)
ENGINE = ${replicated}MergeTree
PARTITION BY fill
ORDER BY (width, run, metric, rank, attempt, first_step, stretch)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What was stored of each writer, so that nothing is stored again.
CREATE TABLE IF NOT EXISTS raw_marks
(
    fill UInt64,
    run UInt64,
    attempt UInt32,
    rank UInt32,
    writer UInt128 CODEC(ZSTD(1)),
    points UInt64,
    first_seq UInt64,
    last_seq UInt64,
    -- All of them, so that the doctor still sees holes and doubles.
    seqs AggregateFunction(groupBitmap, UInt64) CODEC(ZSTD(1))
)
ENGINE = ${replicated}MergeTree
PARTITION BY fill
ORDER BY (run, attempt, rank, writer)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- The rows that count.
CREATE OR REPLACE VIEW raw_kept AS
SELECT * FROM raw_cells
WHERE fill IN (SELECT fill FROM raw_expiry FINAL WHERE state IN ('filled', 'dropped'));

CREATE OR REPLACE VIEW raw_marked AS
SELECT * FROM raw_marks
WHERE fill IN (SELECT fill FROM raw_expiry FINAL WHERE state IN ('filled', 'dropped'));

-- Which points are not in `points` any more: they were received in that month, and only rollups of them are kept.
CREATE OR REPLACE VIEW expired AS
SELECT n.run_id AS run, n.name AS metric, k.rank AS rank, k.attempt AS attempt, e.month AS month, k.n AS count,
    k.first_step AS first_step, k.last_step AS last_step, k.first_time AS first_time, k.last_time AS last_time
FROM
(
    SELECT fill, run, metric, rank, attempt, sum(c.n) AS n, min(c.first_step) AS first_step, max(c.last_step) AS last_step,
        min(c.first_time) AS first_time, max(c.last_time) AS last_time
    FROM raw_kept AS c
    WHERE width = 0
    GROUP BY fill, run, metric, rank, attempt
) AS k
INNER JOIN (SELECT fill, month FROM raw_expiry FINAL) AS e ON k.fill = e.fill
INNER JOIN
(
    SELECT DISTINCT m.run AS run, m.metric AS metric, m.name AS name, r.run_id AS run_id
    FROM raw_metrics AS m
    INNER JOIN raw_runs AS r ON m.run = r.run
) AS n ON k.run = n.run AND k.metric = n.metric;

-- One row for each series, from the rollup and from what is kept of expired points. NaN where a series has no finite value.
CREATE OR REPLACE VIEW series AS
SELECT n.run_id AS run, n.name AS metric, s.rank AS rank, s.attempt AS attempt, s.n AS count, s.bad AS nonfinite,
    s.step0 AS first_step, s.step1 AS last_step, s.t0 AS first_time, s.t1 AS last_time,
    if(s.n > s.bad, s.head, nan) AS first, if(s.n > s.bad, s.tail, nan) AS last,
    if(s.n > s.bad, reinterpretAsFloat64(bitXor(s.low, bitAnd(bitShiftRight(s.low, 63), 9223372036854775807))), nan) AS min,
    if(s.n > s.bad, reinterpretAsFloat64(bitXor(s.high, bitAnd(bitShiftRight(s.high, 63), 9223372036854775807))), nan) AS max,
    if(s.n > s.bad, s.total / (s.n - s.bad), nan) AS mean
FROM
(
    SELECT run, metric, rank, attempt, sum(p.n) AS n, sum(p.bad) AS bad, minIf(p.low, p.n > p.bad) AS low,
        maxIf(p.high, p.n > p.bad) AS high, argMinIf(p.head, p.head_key, p.n > p.bad) AS head,
        argMaxIf(p.tail, p.tail_key, p.n > p.bad) AS tail, sumIf(p.total, p.n > p.bad) AS total, min(p.t0) AS t0, max(p.t1) AS t1,
        min(p.step0) AS step0, max(p.step1) AS step1
    FROM
    (
        SELECT run, metric, rank, attempt, count() AS n, countIf(NOT finite) AS bad,
            toInt64(bitShiftRight(minIf(low_key, finite), 64)) AS low, toInt64(bitShiftRight(maxIf(high_key, finite), 64)) AS high,
            argMinIf(value, order_key, finite) AS head, argMaxIf(value, order_key, finite) AS tail,
            minIf(order_key, finite) AS head_key, maxIf(order_key, finite) AS tail_key,
            sumIf(value, finite) AS total, min(time) AS t0, max(time) AS t1, min(step) AS step0, max(step) AS step1
        FROM raw_points
        GROUP BY run, metric, rank, attempt
        UNION ALL
        SELECT run, metric, rank, attempt, n, bad, toInt64(bitShiftRight(low_key, 64)) AS low,
            toInt64(bitShiftRight(high_key, 64)) AS high, first AS head, last AS tail, first_key AS head_key,
            last_key AS tail_key, total, first_time AS t0, last_time AS t1, first_step AS step0, last_step AS step1
        FROM raw_kept
        WHERE width = 0
    ) AS p
    GROUP BY run, metric, rank, attempt
) AS s
INNER JOIN
(
    SELECT DISTINCT m.run AS run, m.metric AS metric, m.name AS name, r.run_id AS run_id
    FROM raw_metrics AS m
    INNER JOIN raw_runs AS r ON m.run = r.run
) AS n ON s.run = n.run AND s.metric = n.metric;

-- As in 0008, but for the first step of an attempt whose points have expired.
CREATE OR REPLACE VIEW raw_shown AS
SELECT run, source, attempt, own, begins, low AS first, if(above = 0, last_step, least(last_step, if(cover > low, cover - 1, low))) AS last,
    above = 0 OR cover > low AS shown
FROM
(
    SELECT run, ordinal, source, attempt, own, begins, low, last_step, count() OVER newer AS above, min(low) OVER newer AS cover
    FROM
    (
        SELECT l.run AS run, l.ordinal AS ordinal, l.source AS source, l.attempt AS attempt, l.own AS own, l.begins AS begins,
            l.last_step AS last_step,
            multiIf(NOT l.own OR l.attempt = 0 OR l.layers = 1, l.first_step,
                greatest(l.first_step, least(ifNull(l.told, 9223372036854775807), if(f.n > 0, f.first, 9223372036854775807)))) AS low
        FROM
        (
            SELECT run, ordinal, source, attempt, first_step, last_step, own, told, begins, count() OVER (PARTITION BY run) AS layers
            FROM raw_layers FINAL
            WHERE (run, version) IN (SELECT run, max(version) FROM raw_layers GROUP BY run)
        ) AS l
        LEFT JOIN
        (
            SELECT run, attempt, sum(n) AS n, min(first) AS first
            FROM
            (
                SELECT run, attempt, count() AS n, min(step) AS first
                FROM raw_points
                WHERE run IN (SELECT run FROM raw_layers GROUP BY run HAVING max(ordinal) > 0)
                    AND (run, metric) NOT IN (SELECT run, metric FROM raw_metrics WHERE startsWith(name, 'system/'))
                GROUP BY run, attempt
                UNION ALL
                SELECT run, attempt, n, first_step AS first
                FROM raw_kept
                WHERE width = 0 AND run IN (SELECT run FROM raw_layers GROUP BY run HAVING max(ordinal) > 0)
                    AND (run, metric) NOT IN (SELECT run, metric FROM raw_metrics WHERE startsWith(name, 'system/'))
            )
            GROUP BY run, attempt
        ) AS f ON l.source = f.run AND l.attempt = f.attempt
    )
    -- An attempt that has not logged covers nothing.
    WHERE NOT own OR attempt = 0 OR low < 9223372036854775807
    WINDOW newer AS (PARTITION BY run ORDER BY ordinal DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
WHERE attempt != 0;
