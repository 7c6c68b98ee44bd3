"""The configuration that the embedded engine starts with: who may do what.

The engine runs as the user `default`. It has no rights but those of two roles, so that a session
that keeps only the role `analyst` can read our database and nothing else: no other database, no
file, no network.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

SERVICE_ROLE = "service"
ANALYST_ROLE = "analyst"

_MAIN = """<clickhouse>
  <users_config>{users}</users_config>
</clickhouse>
"""

_USERS = f"""<clickhouse>
  <profiles><default><async_insert>0</async_insert></default></profiles>
  <quotas><default/></quotas>
  <roles>
    <{SERVICE_ROLE}><grants><query>GRANT ALL ON *.*</query></grants></{SERVICE_ROLE}>
    <{ANALYST_ROLE}><grants><query>GRANT SELECT ON {{database}}.*</query></grants></{ANALYST_ROLE}>
  </roles>
  <users>
    <default>
      <password/>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants><query>GRANT {SERVICE_ROLE}, {ANALYST_ROLE}</query></grants>
    </default>
  </users>
</clickhouse>
"""


def write_config(directory: Path, database: str) -> Path:
    """Writes the files anew, as the directory may have been moved; returns the one to start
    with."""
    users = directory / "engine-users.xml"
    users.write_text(_USERS.format(database=database), encoding="utf-8")
    main = directory / "engine.xml"
    main.write_text(_MAIN.format(users=escape(str(users.resolve()))), encoding="utf-8")
    return main
