"""One replica of the tables in an engine of its own, with a real ZooKeeper: says what it finds as
JSON on the last line of standard output.

python -m tests.support.replica FOLDER NAME ZOOKEEPER_PORT
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import chdb

from stepline_ingest.schema import migrations
from stepline_ingest.schema.migrate import ddl

CLUSTER = "main"
CONFIG = """<clickhouse>
  <zookeeper><node><host>127.0.0.1</host><port>{port}</port></node></zookeeper>
  <macros><shard>1</shard><replica>{name}</replica></macros>
  <default_replica_path>/stepline/{{table}}/{{shard}}</default_replica_path>
  <interserver_http_host>127.0.0.1</interserver_http_host>
  <interserver_http_port>9009</interserver_http_port>
</clickhouse>
"""
REPLICAS = """
SELECT table, is_readonly, total_replicas FROM system.replicas
WHERE database = currentDatabase() ORDER BY table
"""
TABLES = """
SELECT name, engine FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree%' ORDER BY name
"""
SCHEMA = """
SELECT table, name, type FROM system.columns WHERE database = currentDatabase()
ORDER BY table, position
"""


def main() -> None:
    folder, name, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    folder.mkdir()
    config = folder / "engine.xml"
    config.write_text(CONFIG.format(port=port, name=name))
    engine = chdb.connect(f"{folder / 'store'}?config-file={config}")

    def rows(sql: str) -> list[list[object]]:
        text = str(engine.query(sql, "JSONCompactEachRow"))
        return [json.loads(line) for line in text.splitlines()]

    for migration in migrations():
        for statement in migration.statements():
            if not statement.startswith("CREATE TABLE"):
                continue  # ALTER and INSERT want a replica that is active; views want the former
            # The engine alone: what ON CLUSTER does, every replica does here for itself.
            engine.query(ddl(statement, CLUSTER).replace(f" ON CLUSTER '{CLUSTER}'", "", 1))
    engine.query("SELECT sleep(1)")
    found = {
        "tables": rows(TABLES),
        "columns": rows(SCHEMA),
        "replicas": rows(REPLICAS),
        "errors": [row[0] for row in rows("SELECT last_error_message FROM system.errors")],
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the engine cannot take itself down with a session of ZooKeeper open


if __name__ == "__main__":
    try:
        main()
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
