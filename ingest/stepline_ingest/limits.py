"""Every limit of the service, in one place."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20

LARGE_REQUESTS: dict[str, int] = {
    "/stepline.v1.Ingest/Push": 24 * MIB,
    "/stepline.v1.Runs/CreateRun": 24 * MIB,
    "/stepline.v1.Runs/UpdateRun": 24 * MIB,
    "/stepline.v1.Capture/PutContext": 8 * MIB,
    "/stepline.v1.Capture/AppendConsole": 4 * MIB,
    "/stepline.v1.Query/Export": 6 * MIB,
    "/stepline.v1.Query/Chart": 4 * MIB,
    "/stepline.v1.Live/Watch": 2 * MIB,
}
"""Bytes of a request of the calls that need more than `max_request_bytes`: what carries configs,
batches and printed text; an export that names a million ranks; charts of many long names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may send, and what the service holds at a time.

    Declared sizes are checked before anything is decoded, and the decoder itself is capped: gRPC's
    own limit on messages does not see what a compressed batch unpacks to.
    """

    # --- a message, a batch ---

    max_message_bytes: int = 24 * MIB
    """Of any gRPC request. Large enough for a config at its limit; batches have limits of their
    own."""
    max_request_bytes: int = 1 * MIB
    """Of a request of the calls that LARGE_REQUESTS does not name. As objects, small parts take
    thirty times what they take on the wire, and nothing else runs while they are made."""
    max_batch_bytes: int = 4 * MIB
    """One batch as it travels, in either encoding. A batch of ordinary rows is far smaller; the
    first one of a very wide run carries its names."""
    max_rejected_bytes: int = 64 * KIB
    """What is kept of a batch beyond that: no client of ours sends one, and who sends such batches
    all day must not make the service write them all day."""
    max_batch_points: int = 200_000
    max_decoded_bytes: int = 16 * MIB
    """One batch in memory."""

    # --- a stream ---

    window_batches: int = 32
    """Unacknowledged batches of one writer."""
    window_bytes: int = 16 * MIB
    """Unacknowledged bytes of one writer, as they travel."""
    hello_timeout: float = 30.0
    """Seconds that a new stream waits for the batches of its predecessor to be settled."""

    # --- all streams together ---

    max_inflight_bytes: int = 256 * MIB
    """Batches received and not yet settled. When it is used up, the service reads no further until
    something is settled."""
    max_tenant_bytes: int = 128 * MIB
    """The same for the runs of one project, so that one alone cannot keep the others waiting."""
    max_waiting_bytes: int = 64 * MIB
    """Batches that have arrived and wait for room. What comes beyond is refused undecoded."""
    room_patience: float = 10.0
    """Seconds that a batch waits for room before it is refused undecoded."""

    # --- a run ---

    max_name_bytes: int = 1 * KIB
    """A metric name; also the name, project, group and job type of a run, a tag, a host, a launch
    id."""
    max_metrics_per_run: int = 1_000_000
    max_config_bytes: int = 16 * MIB
    """The config or the summary of a run as JSON."""
    max_json_depth: int = 200
    """Lists and objects of a config, a summary or a context in each other; the client refuses the
    same."""
    max_json_parts: int = 250_000
    """The same in all: as objects of Python small ones take twenty times what they take as text."""
    max_json_values: int = 250_000
    """The same of values, which short ones take as well, and time while they are parsed and
    written."""
    max_json_digits: int = 256 * KIB
    """Of the numbers among them that have more than 640 digits: their time grows with the square of
    their length."""
    max_definitions: int = 5_000
    """Metrics and patterns of which a config says something (`define_metric()`); the first ones
    count."""
    max_patterns: int = 200
    """Of those, patterns: each is compared with each name."""
    max_notes_bytes: int = 1 * MIB
    max_tags: int = 1_000
    max_ranks: int = 1 << 20
    """Of an attempt."""
    max_listed_runs: int = 1_000
    """Runs in one answer of ListRuns."""
    max_hinted_runs: int = 10_000
    """The newest runs of a project, among which those are looked for that a wrong id may have
    meant."""
    max_hints: int = 20
    """Wrong ids for which that is done before these runs are read again."""
    hint_seconds: float = 10.0
    """After which they are read again."""
    max_listed_bytes: int = 16 * MIB
    """Of their configs and summaries; at least one run is shown, and the others are on the next
    page."""
    max_cached_runs: int = 10_000
    """Runs kept in memory to spare the store a look-up."""
    max_cached_bytes: int = 128 * MIB
    """Of what they take as objects, with their texts, attempts and ends; at least one is kept."""
    max_cached_writers: int = 200_000
    """Writers whose place is kept in memory."""
    max_seq: int = 1 << 44
    """Of a writer: rollups pack it with the rank, to know which of two equal steps came last."""

    # --- what surrounds the points of a run ---

    max_context_bytes: int = 2 * MIB
    """One part of the context of a process, as JSON."""
    max_context_parts: int = 10_000
    """Parts in one answer of GetContext."""
    max_console_line_bytes: int = 64 * KIB
    max_console_lines: int = 10_000
    """Lines in one request, and in one answer."""
    max_console_writers: int = 10_000
    """Processes of one rank whose lines are read page by page: a cursor names each."""

    # --- attempts ---

    lease_seconds: float = 60.0
    """An attempt of which nobody has said for so long that it lives has crashed."""
    heartbeat_seconds: float = 15.0
    """Hosts say so often which of their writers live."""
    grace_seconds: float = 120.0
    """The same after this service has begun: hosts have to find it again."""
    max_signs: int = 100_000
    """Writers of one heartbeat."""
    max_layers: int = 10_000
    """Of a run: what its attempts, its fork, and what was brought back cover."""
    max_error_bytes: int = 4 * KIB
    """The type or the message of an exception; what is longer is cut."""

    # --- keys ---

    max_keys: int = 10_000
    """Keys of one store, revoked ones included; every service keeps a copy of them."""
    key_max_age: float = 2.0
    """Seconds after which a key is looked up again: a revoked one works no longer than that."""
    key_min_age: float = 0.5
    """Seconds between two looks at the store for keys that are not known: a flood of wrong keys
    costs it no more than that."""
    key_patience: float = 60.0
    """Seconds that known keys go on working while the store does not answer."""

    # --- refusals: of a project where keys are asked for, and of all without a good key ---

    refusals_per_second: float = 1.0
    """Told without a pause. Who asks again as soon as it was refused is slowed to this."""
    refusal_burst: int = 20
    """As many are told at once before that."""
    refusal_delay: float = 6.0
    """Seconds that one is held back at most, and what is begun meanwhile: clients wait for answers,
    and must hear the reason."""
    stream_refusal_delay: float = 30.0
    """The same of a stream that is open, and the pause before it is read again: clients wait longer
    for acks than for answers."""
    max_delayed_refusals: int = 256
    """Held back at a time; beyond that they are told at once."""

    # --- a group of batches, committed by one INSERT ---

    group_rows: int = 1_000_000
    group_bytes: int = 64 * MIB
    """Memory of the batches of a group."""
    group_target_rows: int = 600_000
    """A group of this size does not linger: the cost of an INSERT is spread well enough."""
    group_ahead_rows: int = 900_000
    """A group of this size is closed and built while the INSERT of the one before it runs."""
    min_linger: float = 0.002
    """Seconds that a batch waits for company when the service is idle."""
    max_linger: float = 0.15
    """The same under load: fewer, larger parts cost the engine less."""
    store_patience: float = 10.0
    """Seconds of a failing store after which clients are told to come back later."""
    retry_min: float = 0.05
    retry_max: float = 5.0
    """Bounds of the pause between two attempts at the store, in seconds; with full jitter."""

    # --- reading ---

    max_query_bytes: int = 256 * KIB
    """The text of an SQL query; the engine formats no longer one."""
    max_form_bytes: int = 1 * MIB
    """What the SQL port reads of a request: the text of a query, and its parameters."""
    max_searched_bytes: int = 16 * KIB
    """A text, a pattern or a regular expression that is looked for in names."""
    max_exported_patterns: int = 10_000
    """Names and patterns of one export."""
    max_exported_pattern_bytes: int = 1 * MIB
    """Of all of them together: they become one regular expression."""
    max_exported_ranks: int = 1_000_000
    """Ranks that one export names; the engine takes no longer list."""
    query_seconds: int = 60
    """Engine time of one request; a longer one is ended."""
    query_memory_bytes: int = 4 << 30
    """Memory of the engine for one request."""
    slow_query_seconds: float = 5.0
    """A query that takes longer is named in the log."""
    query_threads: int = 16
    """Queries that run at a time; those of one project take half of them at most, and a third when
    another one does the same."""
    lookup_threads: int = 8
    """The same for what creates, finds and changes runs."""

    # --- the HTTP ports ---

    max_http_connections: int = 512
    """Of each port. A browser opens six."""
    max_http_line_bytes: int = 64 * KIB
    """A request line, as GET carries its message there; a header takes 16 KiB."""
    max_http_calls: int = 256
    """Calls of the gateway at a time, streams included."""
    max_http_body_bytes: int = 64 * MIB
    """Bodies of requests in memory, all together."""
    max_json_bytes: int = 8 * MIB
    """A message in JSON, which takes many times its size while it is parsed."""
    json_factor: int = 2
    """A message in JSON may be so many times as large as the same in protobuf may be."""
    gateway_threads: int = 4
    """Messages that are turned into JSON or from it at a time; those of one project take half of
    them at most."""
    max_http_reply_bytes: int = 64 * MIB
    """One message of an answer."""
    http_patience: float = 30.0
    """Seconds that a body may take to arrive, and that a connection may stay without a request."""
    http_stall: float = 60.0
    """Seconds that a reader may take nothing before its connection is cut."""

    # --- watching ---

    max_watchers: int = 1_000
    """Streams of updates that are open."""
    max_watched_buckets: int = 2_000_000
    """Buckets of watched charts that are held, at some 150 bytes each."""
    max_chart_buckets: int = 250_000
    """The same of one chart."""
    live_threads: int = 4
    """Watched charts that are read at a time; those of one project take half of them at most."""

    # --- points that expire ---

    expiry_interval: float = 600.0
    """Seconds between two looks for months that are old enough."""
    expiry_delay: float = 600.0
    """Seconds after the start, and after the clock was set, in which none expires."""

    # --- stopping ---

    drain_timeout: float = 6.0
    """Seconds in which groups in flight are committed and their acks sent."""

    def of_a_request(self, method: str) -> int:
        """The bytes that a request of METHOD, by its full name, may have."""
        return min(LARGE_REQUESTS.get(method, self.max_request_bytes), self.max_message_bytes)

    def of_a_query(self) -> dict[str, int]:
        """The settings that hold the engine to the limits of one request."""
        return {
            "priority": 1,
            "max_execution_time": self.query_seconds,
            "max_memory_usage": self.query_memory_bytes,
        }
