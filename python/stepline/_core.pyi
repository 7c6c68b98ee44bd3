"""The Rust extension. Private: the public names are those of `stepline`.

Bytes and plain structs cross this boundary. Columns are little-endian arrays in `bytes`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, final, type_check_only

from typing_extensions import Buffer

__all__ = [
    "BackupStream",
    "Batch",
    "BatchEncoder",
    "Connection",
    "CoreError",
    "DoctorStream",
    "ExportStream",
    "HistoryStream",
    "PanicException",
    "RpcError",
    "UploaderThread",
    "WatchStream",
    "Writer",
    "WriterSession",
    "__version__",
    "after_fork_in_child",
    "build_block",
    "drain",
    "drain_spools",
    "encode_batch",
    "new_writer_id",
    "siphash64",
    "spool_brief",
    "spool_digests",
    "spool_first_seq",
    "spool_left",
    "spool_outline",
    "spool_scan",
    "spool_status",
    "uploader_alive",
    "uploader_main",
    "write_block",
]

__version__: str

class CoreError(Exception):
    """Raised by every function here; `kind` is one of the strings listed at each function."""

    kind: str
    """invalid | io | full | corrupt | closed | unreachable | refused | internal"""

class PanicException(BaseException):
    """A fault of the core itself: nothing that it was given should raise it."""

class RpcError(CoreError):
    """A gRPC status. `code` is the status name, such as "NOT_FOUND"."""

    code: str
    message: str

# --- the trainer's side: rust/py/src/writer.rs over stepline_core::spool --------------------------

@final
class Writer:
    """Appends records to the spool of one writer. No thread, no socket; at most one `mmap` a
    segment.
    """

    def __new__(
        cls,
        root: str,
        meta_json: str,
        *,
        segment_bytes: int = ...,
        on_error: Literal["warn", "raise"] = "warn",
        on_tick: Callable[[], None] | None = None,
        write: Literal["auto", "mapped", "buffered"] = "auto",
        limit_bytes: int = 0,
        policy: Literal["refuse", "block", "drop_oldest"] = "refuse",
        longest_wait: float = 60.0,
    ) -> Writer:
        """Creates ROOT/<writer id>/ with spool.json and the first segment. The writer id is
        META_JSON's "writer" (32 hexadecimal digits), or a new one. What is absent or null in
        META_JSON has its default.

        A forked child that logs gets a spool of its own, made from the same meta with another
        writer id, at its first call.

        on_error: what a value that is no number means. "warn": it is left out and counted, with one
        RuntimeWarning for each metric and kind of problem; the others of the call are recorded.
        "raise": TypeError or ValueError before anything is recorded; a full disk raises
        CoreError("full").
        on_tick: called from log() at most every 5 seconds, at each new segment and at the first
        record of a forked child, without any lock. Its exceptions are swallowed after one warning.
        write: how records reach the files, see docs/spool.md. "auto" is "mapped", and "buffered" on
        network file systems.
        limit_bytes, policy: what the segments of the spool may take (0: no limit), and what happens
        there. longest_wait: seconds that a call waits with the policy "block".
        """
    def log(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """One record. Nested mappings are flattened with "/". Values: float, int (above 2**53 the
        nearest float), bool, and whatever has __float__ or __index__ and no dimensions. step
        None: the last step + 1, from 0.

        Arrays without dimensions go through `stepline.devices.read`. Those on a device are fetched
        by `stepline.devices.fetch` and become a record of their own, with the step and the time of
        this call, in the first later call that finds them done; the rest of the call is recorded at
        once. Such records keep the order of their calls.
        """
    def log_array(self, name: str, steps: Buffer, values: Buffer) -> None:
        """STEPS holds int64, VALUES float64, both flat and equally long. Leaves the counter of
        log() alone.
        """
    def control(self, payload_json: str) -> None:
        """Appends a control record: {"update": {...}} or {"finish": {...}}, sent to Runs.UpdateRun
        / FinishRun in order. Raises CoreError(invalid | full | io | closed).
        """
    def sync(self) -> None:
        """Everything logged so far survives power loss when this returns (msync + fsync)."""
    def collect(self, timeout: float | None = None) -> int:
        """Waits, at most TIMEOUT seconds, until the values that devices owe by now are recorded.
        Returns how many are owed then.
        """
    def close(self) -> None:
        """Seals the spool: no further record. The uploader removes it once all of it is stored.
        What devices owe is given up.
        """
    def last_seq(self) -> int: ...
    def stats(self) -> dict[str, int]:
        """points, records, bytes, refused (values left out because they were not numbers), gaps
        (points that found no room or were dropped at the limit), pending (values that devices owe
        or still owed at the end).
        """
    def latency(self) -> tuple[list[tuple[int, int]], int]:
        """(upper bound, calls) of each bucket of a histogram of log(), and the longest call, all in
        nanoseconds; one call in 31 is timed.
        """
    @property
    def buffered(self) -> bool:
        """Records are gathered in memory and written now and then: see docs/spool.md."""
    @property
    def path(self) -> str:
        """The spool directory; empty in a forked child that has logged nothing."""
    @property
    def writer_id(self) -> str:
        """32 hexadecimal digits; empty in a forked child that has logged nothing."""

def new_writer_id() -> str:
    """For the "writer" of a Writer's META_JSON."""

def after_fork_in_child() -> None:
    """Called by os.register_at_fork: every Writer forgets its mapping and opens a new spool at its
    next record.
    """

# --- the uploader: rust/py/src/uploader.rs over stepline_uploader ---------------------------------

@type_check_only
class SpoolStatus(TypedDict):
    path: str
    writer: str
    run_id: str
    project: str
    rank: int
    server: str
    mode: str
    """online | offline. An offline spool waits for `stepline sync`."""
    alive: bool
    """The process that writes it lives (it holds the lock of the spool)."""
    last_seq: int
    """Highest sequence in the spool."""
    acked_seq: int
    """Highest sequence that the service has stored, as far as is known here."""
    sent_seq: int
    """Highest sequence that was sent at least once."""
    state: str
    """waiting | connecting | streaming | unreachable | refused | done"""
    error: str
    bytes: int
    write: str
    """mapped | buffered"""
    updated_ms: int

def spool_status(path: str) -> SpoolStatus | None:
    """Of one spool directory; None when it is gone, which means that everything was stored."""

@type_check_only
class SpoolBrief(TypedDict):
    acked_seq: int
    sent_seq: int
    state: str
    error: str
    bytes: int

def spool_brief(path: str) -> SpoolBrief | None:
    """The part of `spool_status` that needs no look at the records, and so takes microseconds."""

def spool_left(path: str) -> int:
    """How many points of a spool are not acknowledged yet, counted by reading them; 0 when it is
    gone.
    """

@type_check_only
class SpoolDigests(TypedDict):
    ranges: list[tuple[int, int, int, int]]
    """(first sequence, points, sequences, sum of hashes) of each range that has points."""
    metrics: list[tuple[str, int, int, int]]
    """(name, points, sequences, sum of hashes) over all ranges."""
    lost: list[tuple[int, int]]
    """(first, last) of the sequences that were logged and cannot be read."""
    damage: list[str]

def spool_digests(
    path: str, first_seq: int, last_seq: int, width: int, *, by_metric: bool = False
) -> SpoolDigests:
    """Checksums of what a spool holds, in ranges of WIDTH sequences; both ends are included. The
    same numbers as Connection.writer_digests.
    """

def spool_first_seq(path: str) -> int:
    """The lowest sequence that the spool can still give: what was before it is stored."""

def spool_outline(path: str) -> tuple[int | None, int]:
    """(when the oldest record was logged that waits, in ms since the epoch, or None; points that
    found no room on the disk). Reads a few segments.
    """

def spool_scan(root: str) -> list[SpoolStatus]: ...
def uploader_alive(root: str) -> bool:
    """True when a process holds ROOT/uploader.lock."""

def uploader_main(root: str, *, idle_exit: float = 2.0) -> int:
    """Drains every spool under ROOT until nothing is left and no writer lives. Returns an exit
    code; 0 at once when another process holds the lock. Releases the GIL; ends early on SIGTERM.
    """

def drain(
    root: str,
    *,
    server: str | None = None,
    api_key: str | None = None,
    tls_ca: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    timeout: float | None = None,
) -> list[SpoolStatus]:
    """Sends what lies in ROOT (a spool root, or one spool directory) and returns what is left."""

def drain_spools(
    paths: Sequence[str],
    *,
    server: str | None = None,
    api_key: str | None = None,
    tls_ca: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    timeout: float | None = None,
) -> list[SpoolStatus]:
    """The same for the spools at PATHS, many at a time. Used by `stepline sync`."""

@final
class UploaderThread:
    """The same uploader for one spool inside this process."""

    def __new__(cls, spool: str) -> UploaderThread: ...
    def stop(self, timeout: float) -> bool: ...

@final
class Connection:
    """Unary calls and reading over gRPC. Every call blocks with the GIL released and raises
    RpcError or CoreError(unreachable).
    """

    def __new__(
        cls,
        server: str,
        *,
        api_key: str | None = None,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        timeout: float = 10.0,
    ) -> Connection:
        """Nothing is sent before the first call. The three files are PEM: whom to trust instead of
        the system's roots, and the certificate to show, with its key.
        """
    def create_run(self, request_json: str) -> tuple[int, dict[str, Any]]:
        """The fields of CreateRunRequest as JSON (writer as hex, resume as a lower-case word).
        Returns (attempt, run).
        """
    def update_run(self, request_json: str) -> None: ...
    def finish_run(self, request_json: str) -> None: ...
    def get_run(self, run_id: str) -> dict[str, Any]: ...
    def list_runs(self, fields: dict[str, Any]) -> dict[str, Any]:
        """FIELDS are those of ListRunsRequest. Returns runs, total, and groups."""

    def list_projects(self) -> list[dict[str, Any]]: ...
    def list_run_keys(self, fields: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
        """FIELDS are those of ListRunKeysRequest. Returns keys, and how many there are."""

    def list_config_changes(self, run_id: str) -> list[dict[str, Any]]: ...
    def delete_run(self, run_id: str) -> None: ...
    def get_context(
        self, run_id: str, *, attempt: int, rank: int | None, parts: list[str]
    ) -> list[dict[str, Any]]: ...
    def read_console(
        self,
        run_id: str,
        *,
        attempt: int,
        rank: int,
        cursor: bytes,
        limit: int,
        tail: int,
        contains: str,
    ) -> dict[str, Any]: ...
    def backup(self, name: str, base: str) -> BackupStream: ...
    def list_months(self, keep_seconds: int) -> tuple[list[dict[str, Any]], int]:
        """The fields of each Month, and how many seconds the service keeps points."""
    def list_metrics(self, fields: dict[str, Any]) -> dict[str, Any]:
        """FIELDS are those of ListMetricsRequest. Returns metrics, total, and groups as (prefix,
        count)."""

    def get_lineage(self, run_id: str) -> dict[str, Any]:
        """The fields of GetLineageReply; those that are absent are None."""

    def bring_back(self, run_id: str, attempt: int, step: int | None) -> list[dict[str, Any]]: ...
    def history(
        self,
        run_id: str,
        metric: str,
        rank: int,
        start: int | None,
        stop: int | None,
        all_attempts: bool,
    ) -> HistoryStream: ...
    def export(
        self,
        run_id: str,
        *,
        metrics: Sequence[str],
        ranks: Sequence[int],
        start: int | None,
        stop: int | None,
        all_attempts: bool,
        after: bytes,
    ) -> ExportStream: ...
    def chart(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """REQUEST has fields of ChartRequest: ranks as "band", "all", a number or ("stragglers",
        N), smoothing as (kind, parameter). Returns the fields of ChartLine, one dict a line,
        columns as bytes.
        """
    def watch(self, charts: Sequence[dict[str, Any]], interval_ms: int) -> WatchStream:
        """CHARTS are requests as above, with `patterns` besides."""
    def sql(self, query: str, format: str) -> bytes: ...
    def create_key(
        self, scope: str, project: str, name: str, expires_ms: int | None
    ) -> tuple[dict[str, Any], str]:
        """SCOPE is ingest, read or admin. Returns the fields of Key with the scope as that word,
        and the key itself.
        """
    def list_keys(self) -> list[dict[str, Any]]: ...
    def revoke_key(self, id: str) -> dict[str, Any]: ...
    def list_writers(self, run_id: str) -> list[tuple[bytes, int, int]]:
        """(writer, attempt, rank) of all writers of a run."""
    def writer_digests(
        self,
        run_id: str,
        writer: bytes,
        first_seq: int,
        last_seq: int,
        width: int,
        *,
        by_metric: bool = False,
    ) -> WriterDigests: ...
    def doctor(self) -> DoctorStream: ...
    def close(self) -> None: ...

_Expired: TypeAlias = tuple[str, int, int, str, int, int, int, int, int]
"""The fields of ExpiredPoints in their order."""

@type_check_only
class WriterDigests(TypedDict):
    attempt: int
    rank: int
    committed_seq: int
    digests: list[tuple[int, int, int, int, int]]
    """(first sequence, metric id, points, sequences, sum of hashes)"""
    rejected: list[tuple[int, int, str]]
    """(first, last, reason)"""
    expired: list[tuple[int, int]]
    """(first, last)"""

@final
class DoctorStream:
    """The events of an audit: dicts with the fields of DoctorStep, DoctorFinding, DoctorReport."""

    def __iter__(self) -> DoctorStream: ...
    def __next__(self) -> dict[str, Any]: ...

@final
class WatchStream:
    """Updates: dicts with the fields of WatchUpdate; a line is (chart, ChartLine or None, whole,
    gone).
    """

    def __iter__(self) -> WatchStream: ...
    def __next__(self) -> dict[str, Any]: ...

@final
class BackupStream:
    def __iter__(self) -> BackupStream: ...
    def __next__(self) -> tuple[int, int, str, str]:
        """(bytes done, bytes in all, path, moment); the last two are empty but in the last one"""

@final
class HistoryStream:
    def __iter__(self) -> HistoryStream: ...
    def __next__(self) -> tuple[int, bytes, bytes, bytes, bytes, list[_Expired]]:
        """(rows, step int64, time_ms int64, value float64, attempt uint32 where it was asked
        for, what has expired)
        """

@final
class ExportStream:
    def __iter__(self) -> ExportStream: ...
    def __next__(
        self,
    ) -> tuple[list[tuple[str, int, int, int, str]], bytes, bytes, bytes, list[_Expired], bytes]:
        """(slices as (metric, rank, attempt, rows, run or nothing), step int64, time_ms int64,
        value float64, what has expired, cursor)
        """

# --- the service's side: rust/py/src/ingest.rs over stepline_core::{batch, block} -----------------

@final
class WriterSession:
    """The decoding state of one stream: names and key sets that were sent so far."""

    def __new__(
        cls,
        *,
        writer: bytes,
        run: int,
        attempt: int,
        rank: int,
        max_batch_bytes: int,
        max_batch_points: int,
        max_decoded_bytes: int,
        max_name_bytes: int,
        max_metrics: int,
    ) -> WriterSession: ...
    def decode_columnar(self, first_seq: int, last_seq: int, data: Buffer) -> Batch:
        """Declared sizes are checked before anything is allocated. DATA that is `bytes` is not
        copied.

        Raises CoreError: kind "corrupt" (damaged on the way, or definitions are missing: send
        again), "unsupported" (a format version that this build does not know), "invalid" (never
        acceptable).
        """
    def decode_plain(self, first_seq: int, last_seq: int, data: Buffer) -> Batch:
        """DATA is a serialized stepline.v1.PlainBatch."""
    def forget_names(self, batch: Batch) -> None:
        """What BATCH has in `new_metrics` is not stored: a plain batch that has such a name brings
        it again. A name that a columnar batch defines stays, as later ones mean it by its
        number."""

@final
class Batch:
    """Decoded points, still columnar."""

    first_seq: int
    last_seq: int
    points: int
    nbytes: int
    """Memory held."""
    new_metrics: list[tuple[int, str]]
    """(siphash64(name), name) of the names first seen in this session."""

def build_block(batches: Sequence[tuple[Batch, int]], received: int) -> tuple[list[bytes], int]:
    """One ClickHouse Native block of all points whose sequence is above the int beside each batch.

    Returns the pieces of the block, to be written one after the other, and the number of rows.
    RECEIVED is the `received` column (seconds since the epoch). Chunks are emitted in the order of
    the table's key, so that the engine finds them nearly sorted. The GIL is released.
    """

def write_block(batches: Sequence[tuple[Batch, int]], received: int, fd: int) -> int:
    """The same block, written to the open file FD from its offset on; returns the number of rows.
    Nothing of the size of the block is allocated. The same batches give the same bytes. The GIL
    is released.
    """

def siphash64(text: str) -> int:
    """SipHash-2-4 with a zero key, the same as ClickHouse's sipHash64(text)."""

def encode_batch(records: Sequence[tuple[int, int, int, Mapping[str, float]]]) -> bytes:
    """For tests: records of (seq, step, time_ms, {name: value}) as the first columnar batch of a
    stream.
    """

@final
class BatchEncoder:
    """For load tests: the columnar batches of one stream, one after the other."""

    def __new__(cls) -> BatchEncoder: ...
    def encode(self, records: Sequence[tuple[int, int, int, Mapping[str, float]]]) -> bytes: ...
