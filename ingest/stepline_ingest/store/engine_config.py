"""The configuration that the embedded engine starts with: who may do what.

The engine runs as the user `default`. It has no rights but those of its roles, so that a session
that keeps only the role `analyst` can read our database and nothing else: no other database, no
file, no network. A session that keeps only the role `tenant` can read the views of one project: see
store/tenants.py.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from .tenants import GRANTED, ROW_FILTERS, TENANT_ROLE, TENANT_USER, tenant_database

SERVICE_ROLE = "service"
ANALYST_ROLE = "analyst"

# - Drivers ask for displayName(), which would otherwise be the name of the host.
# - Merges would sketch every column of every row for the query planner, which needs none of it:
#   what is read is found by the primary key.
# - A merge is not synced to the disk, so what it was made of has to stay until the system has
#   written it, half a minute later. ClickHouse keeps it for 480 s, chDB not at all.
# - Parts that are not needed any more are deleted in one thread: many threads, for hundreds of
#   parts at once, kept the INSERT of the moment waiting for 0.3 to 0.8 s.
_MAIN = """<clickhouse>
  <display_name>stepline</display_name>
  <users_config>{users}</users_config>
  <merge_tree>
    <auto_statistics_types></auto_statistics_types>
    <old_parts_lifetime>90</old_parts_lifetime>
    <concurrent_part_removal_threshold>1000000</concurrent_part_removal_threshold>
  </merge_tree>
</clickhouse>
"""

_USERS = f"""<clickhouse>
  <profiles><default><async_insert>0</async_insert></default></profiles>
  <quotas><default/></quotas>
  <roles>
    <{SERVICE_ROLE}><grants><query>GRANT ALL ON *.*</query></grants></{SERVICE_ROLE}>
    <{ANALYST_ROLE}><grants><query>GRANT SELECT ON {{database}}.*</query>
      <query>REVOKE SELECT ON {{database}}.raw_keys</query></grants></{ANALYST_ROLE}>
    <{TENANT_ROLE}><grants><query>GRANT SELECT ON {{tenants}}.*</query></grants></{TENANT_ROLE}>
  </roles>
  <users>
    <default>
      <password/>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants><query>GRANT {SERVICE_ROLE}, {ANALYST_ROLE}, {TENANT_ROLE}</query></grants>
    </default>
    <{TENANT_USER}>
      <password_sha256_hex>{{nobody}}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>{{grants}}</grants>
      <databases><{{database}}>{{filters}}</{{database}}></databases>
    </{TENANT_USER}>
  </users>
</clickhouse>
"""


def write_config(directory: Path, database: str) -> Path:
    """Writes the files anew, as the directory may have been moved; returns the one to start
    with."""
    users = directory / "engine-users.xml"
    text = _USERS.format(
        database=database,
        tenants=tenant_database(database),
        nobody="0" * 64,  # the digest of no password
        grants="".join(f"<query>GRANT SELECT ON {database}.{table}</query>" for table in GRANTED),
        filters="".join(
            f"<{table}><filter>{escape(condition.format(database=database))}</filter></{table}>"
            for table, condition in ROW_FILTERS.items()
        ),
    )
    users.write_text(text, encoding="utf-8")
    main = directory / "engine.xml"
    main.write_text(_MAIN.format(users=escape(str(users.resolve()))), encoding="utf-8")
    return main
