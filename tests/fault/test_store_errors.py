"""A store that fails, and a store that is busy with itself.

Scenario: INSERTs fail before they take effect and after it, with errors that were foreseen and with
others, or hang; the window of deduplication tokens is far too small; merges and rollups are built
at the same time.
Guarantees: the same bytes go again with the same token until the outcome is known, so every point
is stored exactly once, whatever the store has said; sequences that the store has are trimmed even
when it has forgotten their token.
"""

from __future__ import annotations

import random
from pathlib import Path

from stepline_ingest.store import open_store
from tests.fault.stage import Stage, rounds
from tests.support.offline import fill, fill_and_send
from tests.support.proxy import CLEAR, Weather

ORDERS = ("pass", "fail before", "fail after", "crash after", "hang 0.05", "merge")


def test_errors_before_and_after_the_commit(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=6, share=0.3):
        run = stage.new_run("store-errors")
        stage.faults.order("insert", *chance.choices(ORDERS, k=chance.randint(1, 4)))
        steps = chance.choice((1, 500, 60_000))
        fill_and_send(stage.oracle, stage.spools, stage.service.grpc, run, steps)
    stage.judge()


def test_a_store_that_fails_for_longer_than_clients_are_kept_waiting(stage: Stage) -> None:
    # Beyond store_patience the clients are sent away and come back.
    stage.faults.order("insert", "fail after", "hang 2", "pass")
    run = stage.new_run("long-failure")
    fill_and_send(stage.oracle, stage.spools, stage.service.grpc, run, 500)
    stage.judge()


def test_merges_under_load(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=1, share=0.05):
        stage.faults.order("insert", *["merge", "pass"] * 6)
        for _ in range(8):
            run = stage.new_run("merges")
            fill_and_send(stage.oracle, stage.spools, stage.service.grpc, run, 1_500)
        stage.judge()


def test_more_groups_than_the_store_remembers_tokens(
    stage: Stage, tmp_path: Path, chance: random.Random
) -> None:
    """Each group is sent twice under one token, and each spool twice as a whole."""
    _remember_tokens(stage, 2)
    try:
        for _ in rounds(short=4, share=0.1):
            stage.faults.order("insert", *chance.choices(("fail after", "crash after"), k=3))
            stage.proxy.restart_count()
            stage.proxy.forecast = lambda number: (
                Weather(lose_acks_after=1) if number == 0 else CLEAR
            )
            run = stage.new_run("tokens")
            spool = fill(stage.spools, run, 500)
            with stage.sending(spool, stage.address):
                for _ in range(4):
                    other = stage.new_run("between")
                    fill_and_send(stage.oracle, tmp_path, stage.service.grpc, other, 1)
                stage.proxy.cut_all()
            stage.oracle.logged(run, 0, returned=500)
        stage.judge()
    finally:
        stage.faults.clear()
        _remember_tokens(stage, 10_000)


def _remember_tokens(stage: Stage, window: int) -> None:
    stage.service.terminate()
    store = open_store(None, stage.service.data)
    try:
        store.command(
            f"ALTER TABLE raw_points MODIFY SETTING non_replicated_deduplication_window = {window}"
        )
    finally:
        store.close()
    stage.service.start()
