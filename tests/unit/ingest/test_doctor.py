"""Promise: the doctor names each way in which stored data can contradict itself, and no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepline_ingest.doctor import Finding, Kind, Report, audit, examine, open_for_audit, rebuild
from stepline_ingest.doctor.pieces import LAST_ID, Piece, cut
from stepline_ingest.doctor.sequences import merged, missing, shown, within
from stepline_ingest.metrics import Metrics, Name
from stepline_ingest.metrics.sampler import Sampler
from stepline_ingest.schema import tiers
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store
from stepline_ingest.store.errors import StoreError
from tests.support.audited import METRICS, Sample, moved
from tests.support.points import RECEIVED
from tests.support.processes import wait_until
from tests.support.unprivileged import needs_rights, stepline


def kinds(report: Report) -> set[Kind]:
    return {finding.kind for finding in report.findings}


def test_a_sound_store_is_clean(store: Store) -> None:
    Sample().build(store)
    report = audit(store)
    assert report.findings == []
    assert (report.points, report.runs, report.writers, report.rejected) == (1_180, 1, 2, 10)
    build_rollups(store)
    assert audit(store).clean


def test_an_empty_store_is_clean_and_a_store_of_something_else_is_named(embedded: Store) -> None:
    assert audit(embedded).clean
    embedded.command("DROP TABLE schema_migrations")
    assert kinds(audit(embedded)) == {Kind.SCHEMA}


def test_a_hole_is_named_with_its_writer_and_its_ranges(embedded: Store) -> None:
    sample = Sample()
    sample.build(embedded)
    sample.put(embedded, sample.points([301, 302, 305]), token="hole")
    (found,) = audit(embedded).findings
    assert (found.kind, found.run, found.attempt, found.rank) == (Kind.HOLE, "audited", 1, 0)
    assert found.writer == f"{sample.writer:032x}"
    assert (found.first_seq, found.last_seq) == (303, 304)
    assert "2 of 305 sequences" in found.message
    assert "303..304" in found.message


Harm = Callable[[Store, Sample], None]


def change(table: str, what: str) -> Harm:
    """ALTERs the rows of the run; WHAT ends with a condition."""
    return lambda store, sample: store.command(
        f"ALTER TABLE {table} {what} AND run = {sample.run}", {"mutations_sync": 1}
    )


def again(store: Store, sample: Sample) -> None:
    sample.put(store, sample.points([17, 18]), token="again")


def again_with_another_value(store: Store, sample: Sample) -> None:
    sample.put(store, moved(sample.points([17], metrics=METRICS[:1]), value=9.0), token="again")


def again_at_another_step(store: Store, sample: Sample) -> None:
    sample.put(store, moved(sample.points([17], metrics=METRICS[:1]), step=-4), token="again")


def reject_hides_a_hole(store: Store, sample: Sample) -> None:
    """As many sequences recorded as rejected as are missing, in another place."""
    change("raw_points", "DELETE WHERE seq BETWEEN 150 AND 154 AND rank = 0")(store, sample)
    sample.put_reject(store, 160, 164)


def two_places(store: Store, sample: Sample) -> None:
    shared = sample.points(range(1, 4), rank=1, writer=sample.writer)
    sample.put(store, shared, token="shared")


def far_away(store: Store, sample: Sample) -> None:
    sample.put(store, sample.points([1 << 50]), token="far")


def layer(store: Store, sample: Sample, ordinal: int, source: int, **fields: object) -> None:
    """One more layer of what the run shows; its attempt 1 of SOURCE at all steps, unless FIELDS say
    otherwise."""
    row: dict[str, object] = {"run": sample.run, "ordinal": ordinal, "source": source, "attempt": 1}
    row |= {"first_step": -(2**63), "last_step": 2**63 - 1, "own": source == sample.run}
    row |= {"told": None, "begins": source == sample.run, "version": 1, **fields}
    store.insert_rows("raw_layers", tuple(row), [tuple(row.values())])


def layers(*sources: Callable[[Sample], int], **fields: object) -> Harm:
    def put(store: Store, sample: Sample) -> None:
        for ordinal, source in enumerate(sources):
            layer(store, sample, ordinal, source(sample), **(fields if not ordinal else {}))

    return put


def own(sample: Sample) -> int:
    return sample.run


def other(sample: Sample) -> int:
    return Sample(f"{sample.run_id}-other").run


def forked_in_a_circle(store: Store, sample: Sample) -> None:
    """From a run that was forked from it; a third one was forked from both and is not to blame."""
    friend, third = Sample(f"{sample.run_id}-other"), Sample(f"{sample.run_id}-third")
    for fork in (friend, third):
        fork.build(store)
        layer(store, fork, 0, sample.run)
        layer(store, fork, 1, fork.run)
    layer(store, sample, 0, friend.run)
    layer(store, sample, 1, sample.run)


def begun_and_interrupted(store: Store, sample: Sample) -> None:
    """What the death of a service leaves: the layer of an attempt that is not there yet."""
    layer(store, sample, 0, sample.run)
    layer(store, sample, 1, sample.run, attempt=2)


DAMAGE: dict[str, tuple[Harm, set[Kind], str]] = {
    "rows deleted": (
        change("raw_points", "DELETE WHERE seq = 42 AND rank = 0"),
        {Kind.HOLE},
        "1 of 300 sequences",
    ),
    "the first rows deleted": (
        change("raw_points", "DELETE WHERE seq < 3 AND rank = 0"),
        {Kind.HOLE},
        "1..2",
    ),
    "rows inserted again": (again, {Kind.DOUBLE}, "17 2 times"),
    "the same with another value": (again_with_another_value, {Kind.DOUBLE}, "different contents"),
    "the same at another step": (again_at_another_step, {Kind.DOUBLE}, "different contents"),
    "a reject hides a hole": (
        reject_hides_a_hole,
        {Kind.HOLE, Kind.REJECTED_BUT_STORED},
        "150..154",
    ),
    "one writer on two ranks": (
        two_places,
        {Kind.SHARED_WRITER, Kind.REFERENCE},
        "several places",
    ),
    "a name that is not the metric's": (
        change("raw_metrics", "UPDATE name = 'train/lost' WHERE name = 'train/loss'"),
        {Kind.NAME},
        "train/lost",
    ),
    "names that are gone": (change("raw_metrics", "DELETE WHERE 1"), {Kind.NAME}, "no name"),
    "a run id that is not the run's": (
        change("raw_runs", "UPDATE run_id = '(other)' WHERE 1"),
        {Kind.NAME},
        "(other)",
    ),
    "a run that is gone": (
        change("raw_runs", "DELETE WHERE 1"),
        {Kind.REFERENCE},
        "not its run",
    ),
    "an attempt that is gone": (
        change("raw_attempts", "DELETE WHERE 1"),
        {Kind.REFERENCE},
        "the run has no attempt",
    ),
    "writers that are gone": (
        change("raw_writers", "DELETE WHERE 1"),
        {Kind.REFERENCE},
        "the entry of the writer",
    ),
    "rejects that are gone": (change("raw_rejects", "DELETE WHERE 1"), {Kind.HOLE}, "101..110"),
    "an impossible sequence": (far_away, {Kind.BAD_SEQUENCE}, "count from 1"),
    "a layer of an attempt that is not there": (
        layers(own, own, attempt=7, begins=False),
        {Kind.LINEAGE},
        "layer 0 shows attempt 7",
    ),
    "a layer of a run that is not there": (
        layers(other, own),
        {Kind.LINEAGE},
        "which is not there",
    ),
    "a layer without steps": (
        layers(own, first_step=5, last_step=4),
        {Kind.LINEAGE},
        "from step 5 to 4",
    ),
    "a layer that is gone": (
        lambda store, sample: layer(store, sample, 1, sample.run),
        {Kind.LINEAGE},
        "1 layers are there of 2",
    ),
    "a layer that is its own and another's": (
        layers(own, own, own=False),
        {Kind.LINEAGE},
        "at once",
    ),
    "runs that were forked from each other": (
        forked_in_a_circle,
        {Kind.LINEAGE},
        "forked from it",
    ),
    "a fork of a run that is gone": (
        change("raw_runs", "UPDATE fork_run_id = 'nobody', fork_step = 5 WHERE 1"),
        {Kind.REFERENCE, Kind.LINEAGE},
        "it was forked from nobody@5, but there is no such run",
    ),
    "an interrupted start": (begun_and_interrupted, set(), ""),
    "nothing": (lambda store, sample: None, set(), ""),
}


def test_each_kind_of_damage_is_named_where_it_is(embedded: Store) -> None:
    """One run for each kind of damage, side by side; the other runs stay free of blame."""
    samples = {what: Sample(f"run-{number}") for number, what in enumerate(DAMAGE)}
    for what, sample in samples.items():
        sample.build(embedded)
        DAMAGE[what][0](embedded, sample)
    report = audit(embedded)
    for what, sample in samples.items():
        _, expected, text = DAMAGE[what]
        names = (*sample.names, "run (other)") if text == "(other)" else sample.names
        texts = {f: str(f) for f in report.findings if any(name in str(f) for name in names)}
        assert {finding.kind for finding in texts} == expected, (what, list(texts.values()))
        assert not expected or any(text in said for said in texts.values()), (what, texts)
    assert all(finding.remedy for finding in report.findings)


def test_what_is_left_of_a_deleted_run_is_no_finding(embedded: Store) -> None:
    sample = Sample()
    sample.build(embedded)
    change("raw_points", "DELETE WHERE seq = 42")(embedded, sample)
    change("raw_attempts", "DELETE WHERE 1")(embedded, sample)
    change("raw_runs", "DELETE WHERE 1")(embedded, sample)
    assert not audit(embedded).clean
    columns = ("run", "run_id", "project", "deleted")
    embedded.insert_rows("raw_deletions", columns, [(sample.run, sample.run_id, "p", 1)])
    assert audit(embedded).clean


def part_directories(store: Store) -> dict[str, Path]:
    found = store.query(
        "SELECT name, path FROM system.parts WHERE database = currentDatabase() "
        "AND table = 'raw_points' AND active"
    )
    return {str(name): Path(str(path)) for name, path in found}


def swap_rollups(store: Store, projections: tuple[str, ...], *, of_the_later: bool) -> None:
    """Two parts, of sequences 1 to 100 and of 101 to 130; PROJECTIONS of one of them are replaced,
    behind the engine's back, by those of the other."""
    sample = Sample()
    sample.put_run(store)
    sample.put_writer(store)
    # Of two months, which never merge.
    sample.put(store, sample.points(range(1, 101)), token="a")
    later = moved(sample.points(range(101, 131)), received=RECEIVED + 40 * 86_400)
    sample.put(store, later, token="b")
    build_rollups(store)
    (_, harmed), (_, source) = sorted(part_directories(store).items(), reverse=of_the_later)
    partition = harmed.name.split("_")[0]
    store.command(f"ALTER TABLE raw_points DETACH PARTITION ID '{partition}'")
    detached = harmed.parent / "detached" / harmed.name
    for projection in projections:
        shutil.rmtree(detached / f"{projection}.proj")
        shutil.copytree(source / f"{projection}.proj", detached / f"{projection}.proj")
    store.command(f"ALTER TABLE raw_points ATTACH PARTITION ID '{partition}'")


def test_rollups_that_lie_are_named(embedded: Store) -> None:
    replaced = (tiers.SERIES, tiers.LEDGER, tiers.name(128))
    swap_rollups(embedded, replaced, of_the_later=False)
    report = audit(embedded)
    assert kinds(report) == {Kind.ROLLUP, Kind.PART}
    for projection in tiers.projections():
        named = any(f"projection {projection} " in str(finding) for finding in report.findings)
        assert named == (projection in replaced), projection


def test_a_mark_that_is_not_the_highest_sequence_is_named(embedded: Store) -> None:
    swap_rollups(embedded, (tiers.LEDGER,), of_the_later=True)
    report = audit(embedded)
    assert kinds(report) == {Kind.MARK, Kind.PART}
    (mark,) = (finding for finding in report.findings if finding.kind is Kind.MARK)
    assert "up to sequence 100, " in mark.message
    assert "up to 130" in mark.message


def test_ties_between_a_process_and_its_fork_are_no_difference(embedded: Store) -> None:
    sample, child = Sample(), Sample().writer + 9
    sample.put_run(embedded)
    sample.put_writer(embedded)
    sample.put_writer(embedded, writer=child)
    sample.put(embedded, sample.points(range(1, 50)), token="parent")
    twin = moved(sample.points(range(1, 50), writer=child), value=-1.0)
    sample.put(embedded, twin, token="child")
    build_rollups(embedded)
    assert audit(embedded).clean


def test_damaged_files_are_named(embedded: Store) -> None:
    embedded.command("SYSTEM STOP MERGES raw_points")
    Sample().build(embedded)
    _, path = max(part_directories(embedded).items())
    column = next(f for f in (path / "data.bin", path / "value.bin") if f.exists())
    content = bytearray(column.read_bytes())
    content[len(content) // 2] ^= 0x40
    column.write_bytes(content)
    report = audit(embedded)
    assert Kind.PART in kinds(report)


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.unlink()
    path.write_bytes(content)


@pytest.fixture
def closed(embedded: Store, tmp_path: Path) -> Path:
    """The directory of a sound store with rollups, which nobody has open. The parts that its parts
    of points were made from are still there."""
    Sample().build(embedded)
    build_rollups(embedded)
    embedded.close()
    return tmp_path / "data"


def point_parts(directory: Path) -> list[Path]:
    """Those whose rollups were built last come first: PARTITION_FIRST_LAST_LEVEL_MUTATION."""

    def made(path: Path) -> list[int]:
        _, first, last, level, *mutation = map(int, path.name.split("_"))
        return [*(mutation or [0]), level, last - first]

    found = [path.parent for path in directory.glob("chdb/store/*/*/2*/data.bin")]
    return sorted(found, key=made, reverse=True)


def audited(directory: Path) -> Report:
    store = open_for_audit(None, directory)
    try:
        return audit(store)
    finally:
        store.close()


@pytest.mark.parametrize("name", ["data.bin", "tier32768.proj/data.bin", "count.txt"])
def test_no_flipped_byte_ends_the_audit(closed: Path, tmp_path: Path, name: str) -> None:
    """Of the checksum, the codec and the sizes of a block, and of what is in it."""
    offsets = (0, 1) if name == "count.txt" else (3, 16, 17, 20, 24, 40)
    for offset in offsets:
        copy = tmp_path / str(offset)
        shutil.copytree(closed, copy, symlinks=True)
        flip(point_parts(copy)[0] / name, offset)
        report = audited(copy)
        assert report.findings, offset
        assert not [f for f in report.findings if "Stack trace" in f.message]


def doctor(directory: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the command line."""
    command = [sys.executable, "-m", "stepline.cli", "doctor", "--data", str(directory), "--json"]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout or "{}")


def test_a_damaged_rollup_is_told_from_damaged_points_and_built_again(closed: Path) -> None:
    flip(point_parts(closed)[0] / "tier128.proj" / "data.bin", 40)
    report = audited(closed)
    assert kinds(report) == {Kind.ROLLUP}
    assert any("projection tier128 of part" in finding.message for finding in report.findings)
    assert {finding.rollup for finding in report.findings} == {"tier128"}
    code, found = doctor(closed, "--rebuild")
    assert (code, found["clean"], found["rebuilt"]) == (0, True, ["tier128"])
    assert doctor(closed, "--rebuild")[1]["rebuilt"] == []
    assert audited(closed).clean


def test_a_wrong_mark_is_right_again_when_it_is_built_again(embedded: Store) -> None:
    swap_rollups(embedded, (tiers.LEDGER,), of_the_later=True)
    found = [finding for finding in audit(embedded).findings if finding.kind is Kind.MARK]
    assert rebuild(embedded, found) == [tiers.LEDGER]
    assert audit(embedded).clean


def test_rollups_are_not_built_from_damaged_points(closed: Path) -> None:
    """The engine would try again for ever."""
    part = point_parts(closed)[0]
    flip(part / "tier128.proj" / "data.bin", 40)
    flip(part / "data.bin", 40)
    assert doctor(closed, "--rebuild") == (2, {})
    assert Kind.MUTATION not in kinds(audited(closed))


def test_a_mutation_that_cannot_end_is_named_and_goes_first(embedded: Store) -> None:
    Sample().build(embedded)
    build_rollups(embedded)
    change = "UPDATE value = throwIf(1, 'no room') WHERE 1"
    embedded.command(f"ALTER TABLE raw_points {change}", {"mutations_sync": 0})
    wait_until(lambda: Kind.MUTATION in kinds(audit(embedded)), what="the mutation has failed")
    (found,) = audit(embedded).findings
    assert "no room" in found.message
    assert "does not end" in found.message
    rollup = Finding(kind=Kind.ROLLUP, message="", rollup="tier128")
    with pytest.raises(StoreError, match="findings of the kind mutation"):
        rebuild(embedded, [found, rollup])


def test_a_part_set_aside_is_left_over_when_others_have_its_rows(closed: Path) -> None:
    (point_parts(closed)[0] / "columns_substreams.txt").write_text("nothing")
    (found,) = audited(closed).findings
    assert found.kind is Kind.LEFTOVER
    folder = Path(found.message.rpartition(": ")[2])
    assert folder.is_dir()
    shutil.rmtree(folder)
    assert audited(closed).clean


def test_a_part_set_aside_is_lost_when_nobody_else_has_its_rows(closed: Path) -> None:
    for part in closed.glob(f"chdb/store/*/{point_parts(closed)[0].parent.name}/2*"):
        (part / "columns_substreams.txt").write_text("nothing")
    report = audited(closed)
    assert Kind.PART in kinds(report)
    assert Kind.LEFTOVER not in kinds(report)


def test_a_service_says_that_it_goes_on_without_a_damaged_part(
    closed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (point_parts(closed)[0] / "columns_substreams.txt").write_text("nothing")
    store, metrics = open_store(None, closed), Metrics()
    sampler = Sampler(store, closed, metrics, interval=3600.0)
    wait_until(lambda: metrics.value(Name.SAMPLE_TIME) > 0, what="the engine was asked for figures")
    sampler.stop()
    store.close()
    assert metrics.value(Name.PARTS_SET_ASIDE) == 1
    assert "damaged parts, 1 in all" in caplog.text


@needs_rights
def test_what_this_user_cannot_read_is_no_finding(closed: Path) -> None:
    closed.chmod(0)
    for command in ("doctor", "expire --keep-points 90d", f"backup {closed.parent / 'b'}"):
        done = stepline(*command.split(), "--data", closed)
        assert done.returncode == (2 if command == "doctor" else 1)
        assert "run this as the user of the service" in done.stderr
        assert "Traceback" not in done.stderr
    closed.chmod(0o700)


def test_a_reader_that_goes_does_not_change_the_verdict(closed: Path) -> None:
    flip(point_parts(closed)[0] / "tier128.proj" / "data.bin", 40)
    command = [sys.executable, "-m", "stepline.cli", "doctor", "--data", str(closed)]
    for options in ([], ["--json"]):
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as doctor:
            assert doctor.stdout is not None
            doctor.stdout.close()
            assert doctor.wait() == 1


def test_the_store_is_audited_in_pieces(embedded: Store) -> None:
    sample = Sample()
    sample.build(embedded)
    sample.put(embedded, sample.points([17]), token="double")
    sample.put(embedded, sample.points([309], rank=1), token="hole")
    found = {
        event.kind
        for event in examine(embedded, piece_points=10, slice_points=100)
        if isinstance(event, Finding)
    }
    assert found == {Kind.DOUBLE, Kind.HOLE}


def test_pieces_hold_whole_runs_or_whole_metrics() -> None:
    sizes = [(1, 5, 10), (1, 6, 10), (2, 5, 30), (3, 1, 60), (3, 2, 60), (3, 9, 250), (4, 1, 1)]
    assert list(cut(sizes, 100)) == [
        Piece(1, 2, 0, LAST_ID, 50),
        Piece(3, 3, 1, 1, 60),
        Piece(3, 3, 2, 2, 60),
        Piece(3, 3, 9, 9, 250),
        Piece(4, 4, 0, LAST_ID, 1),
    ]
    assert list(cut([], 100)) == []


def test_ranges_of_sequences() -> None:
    assert merged([(5, 6), (1, 2), (3, 3), (9, 8), (6, 9)]) == [(1, 3), (5, 9)]
    assert within([(1, 3), (5, 9)], 3, 6) == [(3, 3), (5, 6)]
    assert missing([1, 2, 5, 6], [(3, 3)], 1, 8) == [(4, 4), (7, 8)]
    assert missing([], [], 4, 4) == [(4, 4)]
    assert shown([(n, n + n % 2) for n in range(1, 30, 3)]).endswith("and 2 more")
