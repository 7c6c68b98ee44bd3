"""Promise: two copies of a writer's points are equal when and only when their digests are, and the
first difference is named down to sequence and metric."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepline import _core, receipts
from stepline.receipts import Part, Receipt
from stepline.verification import (
    Verdict,
    merged,
    subtracted,
    verify_count,
    verify_spool,
    within,
)
from tests.support.spool_file import change_value, drop_last_value

CALLS = 3_000


class Stored:
    """A service whose store is another spool."""

    def __init__(self, path: Path | None, *, mark: int, rejected: list[Any] | None = None) -> None:
        self.path = path
        self.mark = mark
        self.rejected = rejected or []
        self.expired: list[tuple[int, int]] = []
        self.asked = 0

    def writer_digests(
        self,
        run_id: str,
        writer: bytes,
        first_seq: int,
        last_seq: int,
        width: int,
        *,
        by_metric: bool = False,
    ) -> Any:
        if self.path is None:
            error = _core.RpcError("NOT_FOUND")
            error.code = "NOT_FOUND"
            raise error
        self.asked += 1
        found: list[tuple[int, int, int, int, int]] = []
        last_seq = min(last_seq, self.mark)
        if first_seq <= last_seq:
            held = _core.spool_digests(
                str(self.path), first_seq, last_seq, width, by_metric=by_metric
            )
            if by_metric:
                found = [
                    (first_seq, _core.siphash64(name), *rest) for name, *rest in held["metrics"]
                ]
            else:
                found = [(first, 0, *rest) for first, *rest in held["ranges"]]
        return {
            "attempt": 1,
            "rank": 0,
            "committed_seq": self.mark,
            "digests": found,
            "rejected": self.rejected,
            "expired": self.expired,
        }


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """3,000 rows of two metrics in several segments, then an array of 500 points."""
    meta = json.dumps({"run_id": "r", "rank": 3, "server": "127.0.0.1:1"})
    writer = _core.Writer(str(tmp_path / "here"), meta, segment_bytes=32_768)
    for step in range(CALLS):
        writer.log({"a": step / 2, "b": float("nan") if step % 7 == 0 else -step}, step=step)
    steps = np.arange(500, dtype=np.int64)
    writer.log_array("c", steps, steps.astype(np.float64))
    writer.close()
    return Path(writer.path)


@pytest.fixture
def copy(spool: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(spool, tmp_path / "there" / spool.name))


def verified(spool: Path, service: Stored) -> Verdict:
    verdict = verify_spool(str(spool), service)
    assert verdict is not None
    return verdict


def test_equal_copies_are_equal_in_a_few_questions(spool: Path, copy: Path) -> None:
    service = Stored(copy, mark=CALLS + 500)
    verdict = verified(spool, service)
    assert (verdict.outcome, verdict.run_id, verdict.rank) == ("equal", "r", 3)
    assert (verdict.compared, verdict.points) == (CALLS + 500, 2 * CALLS + 500)
    assert (verdict.unsent, verdict.freed, verdict.differences) == (0, 0, [])
    assert service.asked <= 3


@pytest.mark.parametrize("seq", [1, 1_234, CALLS])
def test_one_changed_bit_is_found(spool: Path, copy: Path, seq: int) -> None:
    change_value(copy, seq, index=1)
    verdict = verified(spool, Stored(copy, mark=CALLS + 500))
    assert verdict.outcome == "different"
    (found,) = verdict.differences
    assert (found.first_seq, found.last_seq, found.metrics) == (seq, seq, ("b",))
    assert (found.here, found.there) == (2, 2)
    assert "has other contents" in found.text


def test_the_first_of_several_differences_is_named(spool: Path, copy: Path) -> None:
    change_value(copy, 2_000, index=0)
    change_value(copy, 40, index=0)
    (found,) = verified(spool, Stored(copy, mark=CALLS + 500)).differences
    assert (found.first_seq, found.metrics) == (40, ("a",))
    assert found.last_seq >= 2_000


def test_a_point_that_is_missing_at_the_service_is_named(spool: Path, copy: Path) -> None:
    drop_last_value(copy, 77)
    (found,) = verified(spool, Stored(copy, mark=CALLS + 500)).differences
    assert (found.first_seq, found.metrics, found.here, found.there) == (77, ("b",), 2, 1)


def test_what_is_not_stored_yet_is_incomplete(spool: Path, copy: Path) -> None:
    verdict = verified(spool, Stored(copy, mark=1_000))
    assert (verdict.outcome, verdict.compared, verdict.unsent) == ("incomplete", 1_000, 2_500)
    unknown = verified(spool, Stored(None, mark=0))
    assert (unknown.outcome, unknown.unsent) == ("incomplete", 3_500)


def test_rejected_ranges_are_explained_and_left_out(spool: Path, copy: Path) -> None:
    change_value(copy, 50, index=0)
    service = Stored(copy, mark=CALLS + 500, rejected=[(41, 60, "a name is too long")])
    verdict = verified(spool, service)
    assert (verdict.outcome, verdict.compared) == ("equal", CALLS + 480)
    assert verdict.rejected == [(41, 60, "a name is too long")]


def test_what_has_expired_is_counted_and_left_out(spool: Path, copy: Path) -> None:
    change_value(copy, 50, index=0)
    service = Stored(copy, mark=CALLS + 500)
    service.expired = [(41, 60)]
    verdict = verified(spool, service)
    assert (verdict.outcome, verdict.compared, verdict.expired) == ("equal", CALLS + 480, 20)
    assert "20 calls have expired" in verdict.notes[0]


def test_freed_segments_are_counted_and_the_rest_compared(spool: Path, copy: Path) -> None:
    (spool / "00000001.seg").unlink()
    first = _core.spool_first_seq(str(spool))
    assert first > 1
    verdict = verified(spool, Stored(copy, mark=CALLS + 500))
    assert (verdict.outcome, verdict.freed) == ("equal", first - 1)
    assert verdict.compared == CALLS + 500 - (first - 1)


def test_a_freed_segment_that_the_service_lost_is_noticed(spool: Path, copy: Path) -> None:
    for path in (spool, copy):
        (path / "00000001.seg").unlink()
    verdict = verified(spool, Stored(copy, mark=CALLS + 500))
    assert verdict.outcome == "incomplete"
    assert "are not stored" in verdict.notes[0]


@pytest.mark.parametrize("stored", [True, False])
def test_a_damaged_segment_is_lost_unless_it_is_stored(
    spool: Path, copy: Path, stored: bool
) -> None:
    segment = spool / "00000002.seg"
    data = bytearray(segment.read_bytes())
    data[1_000] ^= 1
    segment.write_bytes(data)
    if not stored:
        shutil.copy(segment, copy / segment.name)
    verdict = verified(spool, Stored(copy, mark=CALLS + 500))
    assert any("damaged at byte" in note for note in verdict.notes)
    assert verdict.outcome == ("equal" if stored else "incomplete")
    assert bool(verdict.lost) == (not stored)


def test_a_spool_that_is_gone_has_no_verdict(tmp_path: Path) -> None:
    assert verify_spool(str(tmp_path / "none"), Stored(None, mark=0)) is None


def test_a_writer_without_a_spool_is_counted(copy: Path) -> None:
    whole = verify_count("r", bytes(16), 0, Stored(copy, mark=CALLS + 500))
    assert (whole.outcome, whole.freed) == ("counted", CALLS + 500)
    (copy / "00000002.seg").unlink()
    assert verify_count("r", bytes(16), 0, Stored(copy, mark=CALLS + 500)).outcome == "incomplete"


def receipt(spool: Path, *ranges: tuple[int, int]) -> Receipt:
    """What an uploader would have written down of these sequences."""
    parts = []
    for first, last in ranges:
        ((_, points, _, total),) = _core.spool_digests(str(spool), first, last, last)["ranges"]
        parts.append(Part(first=first, last=last, points=points, sum=total))
    return Receipt(writer=spool.name, run_id="r", rank=3, parts=tuple(parts))


def test_a_writer_without_a_spool_is_compared_with_its_receipt(spool: Path, copy: Path) -> None:
    whole = receipt(spool, (1, 1_000), (1_001, CALLS + 500))
    service = Stored(copy, mark=CALLS + 500)
    verdict = verify_count("r", bytes(16), 3, service, whole)
    assert (verdict.outcome, verdict.compared, verdict.freed) == ("equal", CALLS + 500, 0)
    part = verify_count("r", bytes(16), 3, service, receipt(spool, (1, 1_000)))
    assert (part.outcome, part.compared, part.freed) == ("counted", 1_000, CALLS - 500)

    service.rejected = [(2_000, 2_000, "a name is too long")]
    some = verify_count("r", bytes(16), 3, service, whole)
    assert (some.compared, some.differences) == (1_000, [])

    change_value(copy, 1_717, index=0)
    verdict = verify_count("r", bytes(16), 3, Stored(copy, mark=CALLS + 500), whole)
    (found,) = verdict.differences
    assert (verdict.outcome, found.first_seq, found.last_seq) == ("different", 1_001, CALLS + 500)
    assert "something in the sequences 1001..3500 is not stored as it was sent" in found.text


def test_a_service_that_has_less_than_it_acknowledged_is_found_out(spool: Path, copy: Path) -> None:
    whole = receipt(spool, (1, 1_000), (1_001, CALLS + 500))
    verdict = verify_count("r", bytes(16), 3, Stored(copy, mark=1_200), whole)
    assert (verdict.outcome, verdict.lost) == ("incomplete", [(1_201, CALLS + 500)])
    assert "though it acknowledged 3500" in verdict.notes[0]


def test_a_receipt_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    folder.mkdir()
    for number, text in enumerate(
        ["", "[]", "{}", '{"version": 2}', '{"version": 1, "ranges": 5}']
    ):
        (folder / f"{number}.json").write_text(text)
    assert receipts.of_run(tmp_path, "r") == {}
    assert receipts.of_spool(str(tmp_path / "0")) is None


def test_ranges() -> None:
    assert merged([(4, 5), (1, 3), (9, 9)]) == [(1, 5), (9, 9)]
    assert within([(1, 5), (9, 9)], 3, 9) == [(3, 5), (9, 9)]
    assert subtracted((1, 10), [(1, 2), (5, 5)]) == [(3, 4), (6, 10)]
    assert subtracted((1, 3), [(0, 9)]) == []


def test_too_many_ranges_are_refused(spool: Path) -> None:
    with pytest.raises(_core.CoreError, match="too many ranges"):
        _core.spool_digests(str(spool), 1, 10_000_000, 1)
    with pytest.raises(_core.CoreError, match="too many ranges"):
        _core.spool_digests(str(spool), 1, 10, 0)
