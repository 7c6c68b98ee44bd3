"""Promise: on a cluster every replica gets the same tables, with engines that replicate, and an
acknowledged point is on a majority of them."""

from __future__ import annotations

import re

import pytest

from stepline_ingest.schema import SchemaError, migrations
from stepline_ingest.schema.migrate import ddl
from stepline_ingest.store import StoreError
from stepline_ingest.store.dsn import parse_dsn

STATEMENTS = [
    pytest.param(statement, id=f"{migration.version:04d}-{number}")
    for migration in migrations()
    for number, statement in enumerate(migration.statements())
]

# What the frozen migrations become.
GOLDEN = """\
CREATE TABLE IF NOT EXISTS raw_points ON CLUSTER 'main' ... ENGINE = ReplicatedMergeTree
CREATE TABLE IF NOT EXISTS raw_metrics ON CLUSTER 'main' ... ENGINE = ReplicatedReplacingMergeTree
CREATE TABLE IF NOT EXISTS raw_runs ON CLUSTER 'main' ... ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS raw_attempts ON CLUSTER 'main' ... ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS raw_finishes ON CLUSTER 'main' ... ENGINE = ReplicatedReplacingMergeTree(version)
CREATE TABLE IF NOT EXISTS raw_writers ON CLUSTER 'main' ... ENGINE = ReplicatedReplacingMergeTree
CREATE TABLE IF NOT EXISTS raw_rejects ON CLUSTER 'main' ... ENGINE = ReplicatedReplacingMergeTree(received)
CREATE OR REPLACE VIEW runs ON CLUSTER 'main' AS
CREATE OR REPLACE VIEW attempts ON CLUSTER 'main' AS
CREATE OR REPLACE VIEW metrics ON CLUSTER 'main' AS
CREATE OR REPLACE VIEW points ON CLUSTER 'main' AS
CREATE OR REPLACE VIEW series ON CLUSTER 'main' AS
"""  # noqa: E501


def outline(statement: str) -> str:
    """Its first line, and its engine."""
    first = statement.splitlines()[0]
    engine = re.search(r"^ENGINE = .*$", statement, re.MULTILINE)
    return f"{first} ... {engine[0]}" if engine else first


def test_the_frozen_migrations():
    found = [
        outline(ddl(statement, "main"))
        for migration in migrations()[:3]
        for statement in migration.statements()
    ]
    assert found == GOLDEN.splitlines()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_migration_can_be_run_on_a_cluster(statement):
    alone, replicated = ddl(statement), ddl(statement, "main")
    assert "ON CLUSTER" not in alone
    assert "Replicated" not in alone
    without = replicated.replace(" ON CLUSTER 'main'", "", 1).replace("= Replicated", "= ")
    assert without == alone, "it differs in nothing else"


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_engine_can_read_it(shared, statement):
    formatted = shared.query("SELECT formatQuery({text:String})", {"text": ddl(statement, "main")})
    assert "ON CLUSTER main" in str(formatted[0][0]) or statement.startswith("INSERT")


def test_a_statement_of_another_kind_is_refused():
    with pytest.raises(SchemaError, match="cannot be run on a cluster"):
        ddl("OPTIMIZE TABLE raw_points", "main")


def test_a_cluster_has_a_name():
    assert parse_dsn("clickhouse://db/x?cluster=main").cluster == "main"
    assert parse_dsn("clickhouse://db/x").cluster is None
    with pytest.raises(StoreError, match="name of a cluster"):
        parse_dsn("clickhouse://db/x?cluster=a'b")
