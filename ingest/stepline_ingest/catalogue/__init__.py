"""Finding runs: what they are filtered, sorted, grouped and compared by.

- `fields`: a config as addresses and values.
- `filter_text`, `filter_tree`, `filter_parse`: from the text of a filter to its meaning.
- `known`: which keys there are, and where their values stand.
- `filter_sql`, `runs_table`: from the meaning to a page of runs.
- `index`: keeps the table of keys true to the configs.
- `listing`: Runs.ListRuns.
- `keys`: which projects and keys there are.
- `changes`: what changed in a config, and when.
- `service`: stepline.v1.Catalogue.
"""
