-- Runs that were deleted. A row stays for ever: the id is not given out again, and what writers of the run still send is refused.
-- Rows of other tables with such a run are on their way out (schema/purge.py).

CREATE TABLE IF NOT EXISTS raw_deletions
(
    run UInt64,
    run_id String,
    project String,
    deleted DateTime64(3, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY run
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
