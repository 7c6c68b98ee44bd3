"""Promise: a key opens what its scope says, for as long as it is valid, and no flood of wrong keys
reaches the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest

from stepline_ingest import access
from stepline_ingest.access.grpc_guard import secret_in
from stepline_ingest.access.guard import Guard
from stepline_ingest.access.key import PREFIX, Key, Scope, digest, new_secret
from stepline_ingest.access.keyring import KeyRing
from stepline_ingest.errors import ServiceError
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal
from stepline_ingest.pace import STRANGERS, Pace, hold_back
from stepline_ingest.store.errors import StoreError


class Table:
    """Keys, and how often they were asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.loads = 0
        self.failing = False
        self.failure: Exception = StoreError("down")

    def load(self) -> list[Key]:
        self.loads += 1
        if self.failing:
            raise self.failure
        return list(self.keys.values())

    def add(self, scope: Scope = Scope.INGEST, project: str = "p", **more: int) -> str:
        secret = new_secret()
        if scope is Scope.ADMIN:
            project = ""
        key = Key(
            digest=digest(secret), scope=scope, project=project, name="", created_ms=1, **more
        )
        self.keys[key.digest] = key
        return secret

    def revoke(self, secret: str) -> None:
        found = self.keys[digest(secret)]
        self.keys[found.digest] = replace(found, revoked_ms=1)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ring(table: Table, clock: Clock) -> AsyncIterator[KeyRing]:
    with ThreadPoolExecutor(1) as executor:
        yield KeyRing(table, executor, max_age=2.0, min_age=0.5, patience=60.0, clock=clock)


def guard(ring: KeyRing, *, required: bool = False, now_ms: int = 1_000) -> Guard:
    return Guard(ring, required=required, now_ms=lambda: now_ms)


async def refusal(admission: object) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await admission  # type: ignore[misc]
    assert ":" in caught.value.message, "a refusal names the remedy"
    assert access.caller() is None
    return caught.value


async def test_nothing_is_asked_before_the_first_key(ring: KeyRing, table: Table) -> None:
    for secret in (None, "anything"):
        await guard(ring).admit(secret, Scope.ADMIN)
        assert access.project() is None
    error = await refusal(guard(ring, required=True).admit(None, Scope.READ))
    assert error.code is grpc.StatusCode.UNAUTHENTICATED


async def test_the_first_key_closes_the_service_for_good(
    ring: KeyRing, table: Table, clock: Clock
) -> None:
    await guard(ring).admit(None, Scope.READ)
    secret = table.add()
    clock.now += 2.1
    assert (await refusal(guard(ring).admit(None, Scope.READ))).code.name == "UNAUTHENTICATED"
    table.revoke(secret)
    clock.now += 2.1
    assert (await refusal(guard(ring).admit(None, Scope.READ))).code.name == "UNAUTHENTICATED"


@pytest.mark.parametrize("held", list(Scope))
@pytest.mark.parametrize("asked", list(Scope))
async def test_scopes(ring: KeyRing, table: Table, held: Scope, asked: Scope) -> None:
    secret = table.add(held)
    if held is asked or held is Scope.ADMIN:
        await guard(ring).admit(secret, asked)
        assert access.project() == (None if held is Scope.ADMIN else "p")
        return
    error = await refusal(guard(ring).admit(secret, asked))
    assert error.code is grpc.StatusCode.PERMISSION_DENIED
    assert asked.value in error.message


async def test_what_is_public_needs_no_key_and_has_no_project(ring: KeyRing, table: Table) -> None:
    table.add()
    table.failing = True
    await guard(ring, required=True).admit(None, None)
    assert access.caller() is None


async def test_expired_and_revoked(ring: KeyRing, table: Table) -> None:
    expiring = table.add(expires_ms=500)
    revoked = table.add()
    table.revoke(revoked)
    await guard(ring, now_ms=499).admit(expiring, Scope.INGEST)
    error = await refusal(guard(ring, now_ms=500).admit(expiring, Scope.INGEST))
    assert "expired" in error.message
    error = await refusal(guard(ring).admit(revoked, Scope.INGEST))
    assert "revoked" in error.message
    assert error.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_revocation_elsewhere_works_within_the_age(
    ring: KeyRing, table: Table, clock: Clock
) -> None:
    secret = table.add()
    watch = guard(ring)
    await watch.admit(secret, Scope.INGEST)
    key = access.caller()
    assert key is not None
    table.revoke(secret)
    await watch.admit(secret, Scope.INGEST)
    clock.now += 2.1
    await refusal(watch.admit(secret, Scope.INGEST))
    with pytest.raises(ServiceError):
        await watch.recheck(key)


async def test_a_change_made_here_works_at_once(ring: KeyRing, table: Table) -> None:
    secret = table.add()
    await guard(ring).admit(secret, Scope.INGEST)
    table.revoke(secret)
    ring.forget()
    await refusal(guard(ring).admit(secret, Scope.INGEST))


async def test_a_read_under_way_does_not_hide_a_change(table: Table, clock: Clock) -> None:
    with ThreadPoolExecutor(1) as executor:
        ring = KeyRing(table, executor, max_age=2.0, min_age=0.5, patience=60.0, clock=clock)
        secret = table.add()
        early = asyncio.create_task(ring.find(secret))
        await asyncio.sleep(0)  # its query is on its way
        table.revoke(secret)
        ring.forget()
        late = await ring.find(secret)
        assert late is not None
        assert late.revoked_ms is not None
        await early


async def test_a_flood_of_wrong_keys_costs_the_store_two_queries_a_second(
    ring: KeyRing, table: Table, clock: Clock
) -> None:
    table.add()
    watch = guard(ring)
    for number in range(200):
        clock.now += 0.01
        await refusal(watch.admit(f"{PREFIX}{number}", Scope.INGEST))
    assert table.loads <= 5
    before = table.loads
    many = [watch.admit(f"{PREFIX}x{n}", Scope.INGEST) for n in range(100)]
    clock.now += 5
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert all(isinstance(answer, ServiceError) for answer in answers)
    assert table.loads - before == 1, "those who ask together share one query"


async def test_a_new_key_is_found_within_half_a_second(
    ring: KeyRing, table: Table, clock: Clock
) -> None:
    table.add()
    await refusal(guard(ring).admit("wrong", Scope.INGEST))
    secret = table.add()
    clock.now += 0.6
    await guard(ring).admit(secret, Scope.INGEST)


@pytest.mark.parametrize("failure", [StoreError("down"), ValueError("a row that is none")])
async def test_known_keys_outlive_a_short_failure_of_the_store(
    ring: KeyRing, table: Table, clock: Clock, failure: Exception
) -> None:
    secret = table.add()
    table.failure = failure
    await guard(ring).admit(secret, Scope.INGEST)
    table.failing = True
    clock.now += 30
    await guard(ring).admit(secret, Scope.INGEST)
    clock.now += 60
    with pytest.raises(ServiceError) as caught:
        await guard(ring).admit(secret, Scope.INGEST)
    assert caught.value.is_retryable
    table.failing = False
    clock.now += 3
    await guard(ring).admit(secret, Scope.INGEST)


async def test_a_check_of_open_streams_that_fails_is_no_end_of_checking(
    ring: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def recheck(self, check: object) -> None:
            raise RuntimeError("what nobody foresaw")

    await guard(ring).recheck_streams(Broken())
    assert "what nobody foresaw" in caplog.text


def test_the_key_of_a_call() -> None:
    assert secret_in([("user-agent", "x"), ("authorization", "Bearer abc ")]) == "abc"
    assert secret_in([("authorization", "bearer abc")]) == "abc"
    for metadata in ([], [("authorization", "Basic abc")], [("authorization", "Bearer  ")]):
        assert secret_in(metadata) is None


def test_a_key_is_256_random_bits_and_recognisable() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    for secret in (first, second):
        assert secret.startswith(PREFIX)
        assert len(bytes.fromhex(secret.removeprefix(PREFIX))) == 32


def test_a_key_does_not_hold_its_text(table: Table) -> None:
    secret = table.add()
    (key,) = table.keys.values()
    assert secret not in repr(key)
    assert secret.removeprefix(PREFIX) not in repr(key)


async def test_refusals_are_told_at_the_pace_of_the_project_of_the_key(
    ring: KeyRing, table: Table
) -> None:
    """Strangers share one, and an admin key has none."""

    class Counted(Pace):
        def __init__(self) -> None:
            super().__init__(Limits())
            self.charged: list[str] = []

        async def hold(self, project: str, refusals: int = 1, *, on_stream: bool = False) -> None:
            self.charged.append(project)

    pace = Counted()
    keyed = Guard(ring, required=True, pace=pace, now_ms=lambda: 1_000)
    good, admin = table.add(Scope.INGEST, "p"), table.add(Scope.ADMIN)
    for secret, scope in (
        (good, Scope.INGEST),
        (good, Scope.ADMIN),
        (admin, Scope.READ),
        ("unknown", Scope.READ),
        (None, Scope.READ),
        (None, None),
    ):
        with contextlib.suppress(ServiceError):
            await keyed.admit(secret, scope)
        await hold_back(Refusal.INVALID)
    assert pace.charged == ["p", "p", STRANGERS, STRANGERS]
