"""The page for Prometheus: well-formed, named by convention, documented."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stepline_ingest.errors import ServiceError, abort, later
from stepline_ingest.gen.stepline.v1 import query_pb2, runs_pb2
from stepline_ingest.metrics import Kind, Metrics, Name, QueryKind, Refusal, RejectReason, metrics
from stepline_ingest.metrics.calls import _run_of
from stepline_ingest.metrics.names import PROCESS_NAMES

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


def families(page: bytes) -> dict[str, object]:
    return {family.name: family for family in text_string_to_metric_families(page.decode())}


def base(name: str) -> str:
    """What the parser calls the family of a counter."""
    return name.removesuffix("_total")


def test_every_name_is_on_the_page() -> None:
    found = families(Metrics().page())
    for name in Name:
        family = found[base(name.spec.name)]
        assert family.type == name.spec.kind.value
        assert family.documentation == name.spec.help
    assert {base(name.spec.name) for name in Name} | {base(n) for n in PROCESS_NAMES} == set(found)


@pytest.mark.parametrize("name", Name, ids=lambda name: name.name)
def test_names_follow_the_conventions(name: Name) -> None:
    spec = name.spec
    assert re.fullmatch(r"stepline(_[a-z]+)+", spec.name)
    assert (spec.kind is Kind.COUNTER) == spec.name.endswith("_total")
    assert spec.help.endswith(".")
    assert not re.search(r"_(ms|millis|us|kb|mb|percent)(_|$)", spec.name), "base units only"
    if spec.kind is Kind.HISTOGRAM:
        assert spec.buckets == tuple(sorted(set(spec.buckets)))
        assert spec.name.endswith(("_seconds", "_points", "_batches"))


def test_the_documents_list_exactly_these() -> None:
    listed = re.findall(
        r"^\| `((?:stepline|process)_[a-z_]+)`", OPERATIONS.read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted([*(name.spec.name for name in Name), *PROCESS_NAMES])


def test_reasons_are_shown_before_anything_happened() -> None:
    page = Metrics().page().decode()
    for reason in Refusal:
        assert f'stepline_refusals_total{{reason="{reason.value}"}} 0.0' in page


def test_counting() -> None:
    one = Metrics()
    one.received(nbytes=100)
    one.decoded(7)
    one.stored(nbytes=100, seconds=0.02)
    one.group(points=7, batches=1, seconds=0.01)
    one.rejected(RejectReason.TOO_LARGE)
    one.queried(QueryKind.CHART, 0.1)
    one.call_ended("Query/Chart", "OK")
    one.set(Name.PARTS, 3, "raw_points")
    one.watch(Name.STREAMS, lambda: 5)
    assert one.value(Name.BYTES_RECEIVED) == 100
    assert one.value(Name.POINTS_STORED) == 7
    assert one.value(Name.BATCHES_REJECTED, "too_large") == 1
    assert one.value(Name.QUERY_SECONDS, "chart") == 1
    assert one.value(Name.ACK_SECONDS) == 1
    assert one.value(Name.CALLS, "Query/Chart", "OK") == 1
    assert one.value(Name.PARTS, "raw_points") == 3
    assert one.value(Name.STREAMS) == 5


async def test_every_refusal_is_counted() -> None:
    class Context:
        async def abort(self, code: grpc.StatusCode, details: str, metadata: object) -> None:
            raise RuntimeError(details)

    before = metrics.value(Name.REFUSALS, "window"), metrics.value(Name.REFUSALS, "store_fails")
    for error in (
        ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", refusal=Refusal.WINDOW),
        later("the store fails"),
    ):
        with pytest.raises(RuntimeError):
            await abort(Context(), error)
    after = metrics.value(Name.REFUSALS, "window"), metrics.value(Name.REFUSALS, "store_fails")
    assert after == (before[0] + 1, before[1] + 1)


def test_every_code_has_a_reason() -> None:
    for code in grpc.StatusCode:
        assert ServiceError(code, "no").refusal in Refusal


def test_what_is_kept_of_a_request_is_short() -> None:
    """It is kept while a refusal is held back, and the ids are not checked yet."""
    kept = _run_of(runs_pb2.GetRunRequest(run_id="\U0001f600" * 1_000_000))
    assert len(kept) < 100
    kept = _run_of(query_pb2.ChartRequest(run_ids=["r" * 1_000_000] * 10))
    assert len(kept) < 300
