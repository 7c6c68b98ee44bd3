-- Points, and the names behind their ids.
--
-- run = sipHash64(run_id), metric = sipHash64(name): with many names an integer key costs half of what a dictionary of strings
-- costs. People read the views of 0003, where both are names.

CREATE TABLE IF NOT EXISTS raw_points
(
    run UInt64 CODEC(LZ4),
    metric UInt64 CODEC(ZSTD(1)),
    rank UInt32 CODEC(ZSTD(1)),
    attempt UInt32 CODEC(ZSTD(1)),
    step Int64 CODEC(Delta, LZ4),
    time DateTime64(3, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    value Float64 CODEC(Gorilla, ZSTD(1)),
    -- One process incarnation. (writer, seq, metric) names a point.
    writer UInt128 CODEC(ZSTD(1)),
    seq UInt64 CODEC(DoubleDelta, LZ4),
    -- When the service got it; the same in the whole block, so that a block lies in one partition.
    received DateTime('UTC') CODEC(ZSTD(1)),

    -- See schema/tiers.py.
    finite UInt8 ALIAS isFinite(value),
    order_key Int128 ALIAS bitOr(bitShiftLeft(toInt128(step), 64), bitOr(bitShiftLeft(toUInt64(rank), 44), seq)),
    ordered_value Int64 ALIAS bitXor(reinterpretAsInt64(value), bitAnd(bitShiftRight(reinterpretAsInt64(value), 63), 9223372036854775807)),
    low_key Int128 ALIAS bitOr(bitShiftLeft(toInt128(ordered_value), 64), bitXor(reinterpretAsUInt64(step), 9223372036854775808)),
    high_key Int128 ALIAS bitOr(bitShiftLeft(toInt128(ordered_value), 64), bitXor(reinterpretAsUInt64(step), 9223372036854775807)),

    PROJECTION ledger
    (
        SELECT run, attempt, rank, writer,
            count(), min(seq), max(seq), min(step), max(step), max(time)
        GROUP BY run, attempt, rank, writer
    ),
    PROJECTION series
    (
        SELECT run, metric, rank, attempt,
            count(), countIf(NOT finite), minIf(low_key, finite), maxIf(high_key, finite), argMinIf(value, order_key, finite), argMaxIf(value, order_key, finite), sumIf(value, finite), min(time), max(time), min(step), max(step)
        GROUP BY run, metric, rank, attempt
    ),
    PROJECTION tier128
    (
        SELECT run, metric, rank, attempt, bitShiftRight(step, 7),
            count(), countIf(NOT finite), minIf(low_key, finite), maxIf(high_key, finite), argMinIf(value, order_key, finite), argMaxIf(value, order_key, finite), sumIf(value, finite), min(time), max(time)
        GROUP BY run, metric, rank, attempt, bitShiftRight(step, 7)
    ),
    PROJECTION tier2048
    (
        SELECT run, metric, rank, attempt, bitShiftRight(step, 11),
            count(), countIf(NOT finite), minIf(low_key, finite), maxIf(high_key, finite), argMinIf(value, order_key, finite), argMaxIf(value, order_key, finite), sumIf(value, finite), min(time), max(time)
        GROUP BY run, metric, rank, attempt, bitShiftRight(step, 11)
    ),
    PROJECTION tier32768
    (
        SELECT run, metric, rank, attempt, bitShiftRight(step, 15),
            count(), countIf(NOT finite), minIf(low_key, finite), maxIf(high_key, finite), argMinIf(value, order_key, finite), argMaxIf(value, order_key, finite), sumIf(value, finite), min(time), max(time)
        GROUP BY run, metric, rank, attempt, bitShiftRight(step, 15)
    )
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(received)
PRIMARY KEY (run, metric, rank, attempt, step)
-- Equal steps lie in the order of logging: writers begin with the time of their start.
ORDER BY (run, metric, rank, attempt, step, writer, seq)
SETTINGS
    -- A repeated INSERT with the same token is dropped. The default of a plain MergeTree remembers no token.
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    -- Acknowledged rows survive the loss of power.
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    -- Rollups are built by the first merge of a part: built by the INSERT they cost 2 to 3 times as much, as each part has its own
    -- few rows of each series. A read of parts without them takes their points instead, from the same snapshot. For parts that
    -- no merge comes to there is schema/upkeep.py.
    materialize_projections_on_insert = 0,
    materialize_projections_on_merge = 1,
    deduplicate_merge_projection_mode = 'rebuild',
    lightweight_mutation_projection_mode = 'rebuild';

CREATE TABLE IF NOT EXISTS raw_metrics
(
    run UInt64,
    metric UInt64,
    name String CODEC(ZSTD(1)),
    first_seen DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (run, metric)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
