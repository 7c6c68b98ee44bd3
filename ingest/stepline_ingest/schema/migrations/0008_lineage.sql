-- What runs show, and how their attempts fare. The rules are in lineage.py.

-- How an attempt fares; the numbers of attempts are the fencing tokens of a run's lease.
ALTER TABLE raw_attempts
    ADD COLUMN IF NOT EXISTS state String DEFAULT 'running',
    ADD COLUMN IF NOT EXISTS exit_code Nullable(Int32),
    -- Of the exception that ended it.
    ADD COLUMN IF NOT EXISTS error_type String,
    ADD COLUMN IF NOT EXISTS error_message String CODEC(ZSTD(3)),
    ADD COLUMN IF NOT EXISTS ended Nullable(DateTime64(3, 'UTC')),
    -- Who began it.
    ADD COLUMN IF NOT EXISTS host String,
    ADD COLUMN IF NOT EXISTS pid UInt32,
    -- 1: its machine is wanted back.
    ADD COLUMN IF NOT EXISTS preempting UInt8;

ALTER TABLE raw_finishes
    -- '': the process said so. vanished: it is gone without a word. preempted: its machine was wanted back.
    ADD COLUMN IF NOT EXISTS how String,
    ADD COLUMN IF NOT EXISTS error_type String,
    ADD COLUMN IF NOT EXISTS error_message String CODEC(ZSTD(3));

-- Steps first_step <= step <= last_step of one attempt; at each step the layer with the greatest ordinal counts. All layers of a run
-- are written together, and those with its greatest version count.
CREATE TABLE IF NOT EXISTS raw_layers
(
    run UInt64,
    ordinal UInt32,
    -- Whose attempt it is.
    source UInt64,
    -- 0: nothing; what lies below is covered all the same.
    attempt UInt32,
    first_step Int64,
    last_step Int64,
    -- An attempt of the run itself: it begins at its first step, or where it was told to, whichever comes first.
    own Bool,
    told Nullable(Int64),
    -- Here the attempt began; not a layer that was brought back.
    begins Bool,
    version UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (run, ordinal)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Until now runs were only ever resumed.
INSERT INTO raw_layers (run, ordinal, source, attempt, first_step, last_step, own, told, begins, version)
SELECT run, attempt - 1, run, attempt, -9223372036854775808, 9223372036854775807, true, NULL, true, 0
FROM raw_attempts FINAL
WHERE run NOT IN (SELECT run FROM raw_layers);

CREATE OR REPLACE VIEW attempts AS
SELECT r.run_id AS run, a.attempt AS attempt, a.launch_id AS launch_id, a.world_size AS world_size, a.created AS created,
    a.state AS state, a.exit_code AS exit_code, a.error_type AS error_type, a.error_message AS error_message, a.ended AS ended,
    a.host AS host
FROM (SELECT * FROM raw_attempts FINAL) AS a
INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS r ON a.run = r.run;

-- For the views: every layer with what the layers above leave of it (last < first where that is nothing). A layer begins at the least
-- step that there is where its run has no other.
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
            SELECT run, attempt, count() AS n, min(step) AS first
            FROM raw_points
            WHERE run IN (SELECT run FROM raw_layers GROUP BY run HAVING max(ordinal) > 0)
                AND (run, metric) NOT IN (SELECT run, metric FROM raw_metrics WHERE startsWith(name, 'system/'))
            GROUP BY run, attempt
        ) AS f ON l.source = f.run AND l.attempt = f.attempt
    )
    -- An attempt that has not logged covers nothing.
    WHERE NOT own OR attempt = 0 OR low < 9223372036854775807
    WINDOW newer AS (PARTITION BY run ORDER BY ordinal DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
WHERE attempt != 0;

-- Which attempt of which run is visible at which steps; `source` is another run where a run was forked from it.
CREATE OR REPLACE VIEW lineage AS
SELECT r.run_id AS run, s.run_id AS source, g.attempt AS attempt, g.first AS first_step, g.last AS last_step
FROM raw_shown AS g
INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS r ON g.run = r.run
INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS s ON g.source = s.run
WHERE g.shown;

-- The points that runs show: like `points`, without what was superseded, and with what forks show of other runs.
CREATE OR REPLACE VIEW visible_points AS
SELECT n.run_id AS run, n.name AS metric, p.rank AS rank, p.attempt AS attempt, p.step AS step, p.time AS time, p.value AS value,
    n.source_id AS source
FROM raw_points AS p
INNER JOIN
(
    SELECT DISTINCT r.run_id AS run_id, s.run_id AS source_id, g.source AS source, g.attempt AS attempt, m.metric AS metric,
        m.name AS name, startsWith(m.name, 'system/') AS uncut,
        if(uncut, -9223372036854775808, g.first) AS first, if(uncut, 9223372036854775807, g.last) AS last
    FROM raw_shown AS g
    INNER JOIN raw_metrics AS m ON g.source = m.run
    INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS r ON g.run = r.run
    INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS s ON g.source = s.run
    WHERE if(startsWith(m.name, 'system/'), g.begins, g.shown)
) AS n ON p.run = n.source AND p.metric = n.metric AND p.attempt = n.attempt
WHERE p.step >= n.first AND p.step <= n.last;
