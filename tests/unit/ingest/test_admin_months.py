"""Promise: what is asked of the months of a store is answered, or refused with what is possible."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
import pytest

from stepline_ingest.admin import AdminService
from stepline_ingest.gen.stepline.v1 import admin_pb2
from stepline_ingest.retention.months import DAY, MAX_KEEP
from stepline_ingest.store import Store
from tests.support.points import Point, block


class Refused(Exception):
    """What abort() was given."""


class Context:
    async def abort(self, code: grpc.StatusCode, details: str, *_: Any) -> NoReturn:
        raise Refused(code, details)


@pytest.fixture
def admin(embedded: Store) -> AdminService:
    points = [Point(run=1, metric=1, step=1, value=1.0, seq=1)]
    embedded.insert_points([block(points)], rows=1, token="t")
    threads = ThreadPoolExecutor(1)
    return AdminService(embedded, None, threads, threads)


@pytest.mark.parametrize("keep", [DAY, MAX_KEEP])
async def test_months_say_when_they_expire(admin: AdminService, keep: int) -> None:
    reply = await admin.ListMonths(admin_pb2.ListMonthsRequest(keep_seconds=keep), Context())
    assert [month.expires_ms > 0 for month in reply.months] == [True]


@pytest.mark.parametrize("keep", [1, MAX_KEEP + 1, 2**63 - 1])
async def test_no_time_is_beyond_what_can_be_told(admin: AdminService, keep: int) -> None:
    with pytest.raises(Refused, match=r"INVALID_ARGUMENT.*keep_seconds"):
        await admin.ListMonths(admin_pb2.ListMonthsRequest(keep_seconds=keep), Context())
