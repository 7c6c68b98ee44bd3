-- What people query: names instead of ids.

CREATE OR REPLACE VIEW runs AS
SELECT run_id AS run, project, name, state, exit_code, config, summary, tags, `group`, job_type, notes, fork_run_id, fork_step,
    created, updated
FROM raw_runs FINAL;

CREATE OR REPLACE VIEW attempts AS
SELECT r.run_id AS run, a.attempt AS attempt, a.launch_id AS launch_id, a.world_size AS world_size, a.created AS created
FROM (SELECT run, attempt, launch_id, world_size, created FROM raw_attempts FINAL) AS a
INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS r ON a.run = r.run;

CREATE OR REPLACE VIEW metrics AS
SELECT r.run_id AS run, m.name AS metric, m.first_seen AS first_seen
FROM (SELECT run, metric, name, min(first_seen) AS first_seen FROM raw_metrics GROUP BY run, metric, name) AS m
INNER JOIN (SELECT DISTINCT run, run_id FROM raw_runs) AS r ON m.run = r.run;

-- One join, not two: conditions on both names meet on its small side, and the ids that are left there prune the large side by its
-- primary key (enable_join_runtime_filters_index_analysis).
CREATE OR REPLACE VIEW points AS
SELECT n.run_id AS run, n.name AS metric, p.rank AS rank, p.attempt AS attempt, p.step AS step, p.time AS time, p.value AS value
FROM raw_points AS p
INNER JOIN
(
    SELECT DISTINCT m.run AS run, m.metric AS metric, m.name AS name, r.run_id AS run_id
    FROM raw_metrics AS m
    INNER JOIN raw_runs AS r ON m.run = r.run
) AS n ON p.run = n.run AND p.metric = n.metric;

-- One row for each series, from the rollup. NaN where a series has no finite value.
CREATE OR REPLACE VIEW series AS
SELECT n.run_id AS run, n.name AS metric, s.rank AS rank, s.attempt AS attempt, s.n AS count, s.bad AS nonfinite,
    s.step0 AS first_step, s.step1 AS last_step, s.t0 AS first_time, s.t1 AS last_time,
    if(s.n > s.bad, s.head, nan) AS first, if(s.n > s.bad, s.tail, nan) AS last,
    if(s.n > s.bad, reinterpretAsFloat64(bitXor(s.low, bitAnd(bitShiftRight(s.low, 63), 9223372036854775807))), nan) AS min,
    if(s.n > s.bad, reinterpretAsFloat64(bitXor(s.high, bitAnd(bitShiftRight(s.high, 63), 9223372036854775807))), nan) AS max,
    if(s.n > s.bad, s.total / (s.n - s.bad), nan) AS mean
FROM
(
    SELECT run, metric, rank, attempt, count() AS n, countIf(NOT finite) AS bad,
        toInt64(bitShiftRight(minIf(low_key, finite), 64)) AS low, toInt64(bitShiftRight(maxIf(high_key, finite), 64)) AS high,
        argMinIf(value, order_key, finite) AS head, argMaxIf(value, order_key, finite) AS tail,
        sumIf(value, finite) AS total, min(time) AS t0, max(time) AS t1, min(step) AS step0, max(step) AS step1
    FROM raw_points
    GROUP BY run, metric, rank, attempt
) AS s
INNER JOIN
(
    SELECT DISTINCT m.run AS run, m.metric AS metric, m.name AS name, r.run_id AS run_id
    FROM raw_metrics AS m
    INNER JOIN raw_runs AS r ON m.run = r.run
) AS n ON s.run = n.run AND s.metric = n.metric;
