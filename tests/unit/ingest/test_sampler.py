"""Promise: a query that the engine cannot end is counted, and the log says once whose it is."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from stepline_ingest.metrics import Metrics, Name
from stepline_ingest.metrics.sampler import Sampler
from stepline_ingest.store import Store, StoreError
from stepline_ingest.store.tenants import tenant_settings

ONE_LONG_ROW = "SELECT hasAll(range(300000), arrayMap(x -> x + 100000, range(150000)))"


def ask_for_long(store: Store) -> None:
    with pytest.raises(StoreError, match="Timeout exceeded"):
        store.query(ONE_LONG_ROW, settings={**tenant_settings("a"), "max_execution_time": 1})


def test_a_query_behind_its_limit_is_told(
    embedded: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    sampler = Sampler(embedded, tmp_path, metrics, interval=3600.0, grace=0)
    asking = threading.Thread(target=ask_for_long, args=(embedded,))
    asking.start()
    seen = set()
    while asking.is_alive():
        sampler.sample()
        seen.add(metrics.value(Name.OVERDUE_QUERIES))
    sampler.sample()
    sampler.stop()
    assert seen == {0, 1}
    assert metrics.value(Name.OVERDUE_QUERIES) == 0
    told = [record for record in caplog.records if "(project=a)" in record.message]
    assert [record.levelno for record in told] == [logging.WARNING]
