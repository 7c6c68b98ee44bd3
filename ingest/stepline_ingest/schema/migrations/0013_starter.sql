-- Who started an attempt, as the context of its first rank says. It lies by itself, so that whoever filters runs by it reads no diffs.
ALTER TABLE raw_contexts
    ADD COLUMN IF NOT EXISTS user String
        MATERIALIZED if(part = 'program' AND rank = 0, JSONExtractString(content, 'user'), '') CODEC(ZSTD(1));
ALTER TABLE raw_contexts MATERIALIZE COLUMN user;
