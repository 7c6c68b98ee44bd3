"""The gRPC server: its options and its port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import grpc

from stepline_ingest.config import address
from stepline_ingest.errors import StartupError
from stepline_ingest.limits import Limits
from stepline_ingest.listening import cannot_listen
from stepline_ingest.metrics import metrics
from stepline_ingest.metrics.calls import CallMeter


def new_server(limits: Limits, *interceptors: grpc.aio.ServerInterceptor) -> grpc.aio.Server:
    return grpc.aio.server(
        # The meter outermost, so that what the others refuse is counted too.
        interceptors=(CallMeter(metrics, limits), *interceptors),
        options=(
            # With it, two services on one port would both start and share the connections.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", limits.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.compression_enabled_algorithms_bitset", 1),
            # A trainer whose host died must not hold its writer for hours.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # Clients ping too; the default of five minutes would hang up on them.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ),
    )


def bind(
    server: grpc.aio.Server,
    host: str,
    port: int,
    credentials: grpc.ServerCredentials | None = None,
) -> int:
    """Binds the port that clients use, for TLS where there are CREDENTIALS; returns its number."""
    try:
        _probe(host, port)
        if credentials is None:
            bound = server.add_insecure_port(address(host, port))
        else:
            bound = server.add_secure_port(address(host, port), credentials)
    except (OSError, RuntimeError) as error:
        raise cannot_listen(host, port, error, option="--grpc-port") from error
    if not bound:
        raise StartupError(
            f"cannot listen on {address(host, port)}: pass another --host or --grpc-port"
        )
    return bound


def bind_inner(server: grpc.aio.Server, directory: Path) -> str:
    """Binds a socket in DIRECTORY that only this user can open, for the HTTP port of this process;
    returns what to connect to. It needs no TLS, and asks for keys as the other port does."""
    path = directory / "gateway.sock"
    short = path
    try:
        # Over a server nothing else lives there.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"cannot make {directory} ({error.strerror}): pass --data") from error
    if Path("/proc/self/fd").is_dir():
        # The path of a socket has room for 107 bytes. The descriptor lives as long as the process.
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        short = Path(f"/proc/self/fd/{folder}") / path.name
    try:
        bound = server.add_insecure_port(f"unix:{short}")
        if bound:
            path.chmod(0o600)
            return f"unix:{short}"
        reason = "no socket was made"
    except (OSError, RuntimeError) as error:
        reason = str(error)
    raise StartupError(
        f"cannot make the socket {path} ({reason}): put the data directory on a local disk"
    )


def _probe(host: str, port: int) -> None:
    """Raises OSError with the reason. gRPC's own error does not name one, and writes lines of its
    own to standard error."""
    family, kind, protocol, _, where = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
