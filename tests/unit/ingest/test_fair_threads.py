"""Promise: calls of one tenant, however many and however long, keep no other tenant waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future

import pytest

from stepline_ingest.coalesce import Coalescer
from stepline_ingest.fair_threads import FairThreads

PATIENCE = 60


class Callers:
    """FairThreads whose tenant is whom the test says, and calls that end when told to."""

    def __init__(self, threads: int) -> None:
        self.tenant = ""
        self.threads = FairThreads(threads, "test", tenant=lambda: self.tenant)
        self.began: list[str] = []
        self.may_end = threading.Event()
        self._changed = threading.Condition()

    def hold(self, tenant: str, count: int = 1) -> list[Future[str]]:
        """COUNT calls that last until `may_end`."""
        self.tenant = tenant
        return [self.threads.submit(self._held, tenant) for _ in range(count)]

    def call(self, tenant: str, what: str) -> Future[str]:
        self.tenant = tenant
        return self.threads.submit(lambda: what)

    def wait_begun(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.began) >= count, PATIENCE)

    def _held(self, tenant: str) -> str:
        with self._changed:
            self.began.append(tenant)
            self._changed.notify_all()
        assert self.may_end.wait(PATIENCE)
        return tenant


@pytest.fixture
def callers() -> Iterator[Callers]:
    made = Callers(8)
    yield made
    made.may_end.set()
    made.threads.shutdown(cancel_futures=True)


def test_there_is_a_thread_at_once_for_who_comes_next(callers: Callers) -> None:
    """Tenants with a hundred endless calls each get 4, 2 and 1 of 8 threads; the next one's call is
    answered while all of those last."""
    for tenant, count in (("a", 4), ("b", 6), ("c", 7)):
        callers.hold(tenant, 100)
        callers.wait_begun(count)
        assert callers.call(f"after-{tenant}", "answered").result(PATIENCE) == "answered"
        assert len(callers.began) == count


def test_tenants_take_turns() -> None:
    callers = Callers(1)
    callers.hold("a")
    callers.wait_begun(1)
    order: list[str] = []
    futures: list[Future[None]] = []
    for tenant in "aaabbc":
        callers.tenant = tenant
        futures.append(callers.threads.submit(order.append, tenant))
    callers.may_end.set()
    for future in futures:
        future.result(PATIENCE)
    assert order == ["a", "b", "c", "a", "b", "a"]
    callers.threads.shutdown()


def test_calls_of_one_tenant_begin_in_their_order() -> None:
    threads = FairThreads(2, "test", tenant=lambda: "a")  # one thread for it
    order: list[int] = []
    futures = [threads.submit(order.append, number) for number in range(200)]
    for future in futures:
        future.result(PATIENCE)
    assert order == list(range(200))
    threads.shutdown()


def test_what_a_call_raises_is_raised(callers: Callers) -> None:
    def fail() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        callers.threads.submit(fail).result(PATIENCE)
    assert callers.call("a", "goes on").result(PATIENCE) == "goes on"


def test_a_waiting_call_can_be_cancelled(callers: Callers) -> None:
    callers.hold("a", 4)
    callers.wait_begun(4)
    waits, follows = callers.call("a", "never"), callers.call("a", "later")
    assert waits.cancel()
    callers.may_end.set()
    assert follows.result(PATIENCE) == "later"
    assert waits.cancelled()


def test_a_cancelled_call_costs_its_tenant_no_turn() -> None:
    callers = Callers(3)
    callers.hold("a", 3)  # one of them waits
    callers.wait_begun(2)
    ends = threading.Event()
    callers.tenant = "b"
    last = callers.threads.submit(ends.wait, PATIENCE)
    cancelled, lives = callers.call("c", "never"), callers.call("c", "answered")
    assert cancelled.cancel()
    ends.set()
    assert last.result(PATIENCE)
    try:
        assert lives.result(PATIENCE) == "answered"
    finally:
        callers.may_end.set()
        callers.threads.shutdown()


async def test_what_is_done_for_several_tenants_is_in_no_line_of_theirs(callers: Callers) -> None:
    callers.hold("a", 100)
    callers.wait_begun(4)
    loop = asyncio.get_running_loop()

    async def insert(rows: Sequence[str]) -> None:
        await loop.run_in_executor(callers.threads, lambda: rows)

    await asyncio.wait_for(Coalescer(insert).add("of a"), PATIENCE)


def test_shutdown_finishes_what_began_and_cancels_what_waits(callers: Callers) -> None:
    begun = callers.hold("a", 4)
    callers.wait_begun(4)
    waits = callers.call("a", "never")
    callers.threads.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        waits.result(PATIENCE)
    with pytest.raises(RuntimeError, match="after shutdown"):
        callers.call("b", "too late")
    callers.may_end.set()
    assert [future.result(PATIENCE) for future in begun] == ["a"] * 4


def test_shutdown_without_cancelling_does_what_waits(callers: Callers) -> None:
    callers.hold("a", 4)
    callers.wait_begun(4)
    waits = callers.call("a", "done")
    callers.threads.shutdown(wait=False)
    callers.may_end.set()
    assert waits.result(PATIENCE) == "done"
    callers.threads.shutdown()
