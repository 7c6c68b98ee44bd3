"""`stepline serve`: the arguments, the log, the exit code."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from stepline_ingest import logs
from stepline_ingest.config import (
    GRPC_PORT,
    HTTP_PORT,
    SQL_PORT,
    STORE_VARIABLE,
    ServeConfig,
)
from stepline_ingest.errors import StartupError, UsageError
from stepline_ingest.retention import parse_age
from stepline_ingest.server import run
from stepline_ingest.tls import TlsFiles

log = logging.getLogger(__name__)

_TLS_OPTIONS = {
    "cert": "the certificate of all ports, and those that lead to its root",
    "key": "the key of the certificate",
    "client-ca": "ask clients for certificates that one of these signed",
}


def serve(argv: Sequence[str]) -> int:
    """Runs the service until SIGTERM or SIGINT. Returns the exit code: 0 when everything received
    is stored, 1 when it could not start, a part of it broke or the drain ran out of time, 2 for
    arguments that make no sense."""
    args = _parser().parse_args(argv)
    logs.setup(level=args.log_level, form=args.log_format)
    faulthandler.enable()
    # SIGUSR1 shows what every thread does, and disturbs nothing.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        config = ServeConfig(
            data=args.data.expanduser(),
            host=args.host,
            grpc_port=args.grpc_port,
            http_port=args.http_port,
            sql_port=args.sql_port,
            store=args.store,
            insecure=args.insecure,
            tls=_tls_files(args),
            hang_limit=args.hang_limit,
            require_keys=args.require_keys,
            backup_dir=args.backup_dir.expanduser().resolve() if args.backup_dir else None,
            keep_points=_age(args.keep_points),
            take_in=not args.no_sync,
            allow_hosts=tuple(args.allow_host),
        )
        config.check()
        if config.open_to_others:
            log.warning(
                "--insecure without --require-keys: other machines can reach %s, and until the "
                "first key was made whoever comes may do everything, and make that key",
                config.host,
                extra={"event": "open_to_others"},
            )
        return asyncio.run(run(config))
    except StartupError as error:
        sys.stderr.write(f"stepline serve: {error}\n")
        return 2 if isinstance(error, UsageError) else 1


def _age(text: str | None) -> int:
    """Raises UsageError."""
    try:
        return parse_age(text) if text is not None else 0
    except ValueError as error:
        raise UsageError(f"--keep-points {error}") from None


def _tls_files(args: argparse.Namespace) -> TlsFiles | None:
    """Raises UsageError for a pair of which one is missing."""
    cert, key, client_ca = args.tls_cert, args.tls_key, args.tls_client_ca
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise UsageError("--tls-cert and --tls-key belong together: pass both")
    return TlsFiles(cert=cert, key=key, client_ca=client_ca)


def _variable(name: str) -> str:
    return f"STEPLINE_SERVE_TLS_{name.upper().replace('-', '_')}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stepline serve",
        description="Receives points over gRPC, keeps them in ClickHouse, answers queries.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="directory of the embedded store and of the lock; made when it is not there",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--grpc-port",
        type=int,
        default=GRPC_PORT,
        help="for clients; 0 for any free port (%(default)s)",
    )
    parser.add_argument(
        "--http-port", type=int, default=HTTP_PORT, help="for people and probes (%(default)s)"
    )
    parser.add_argument(
        "--sql-port",
        type=int,
        default=SQL_PORT,
        help="ClickHouse's HTTP interface, read-only (%(default)s)",
    )
    parser.add_argument(
        "--store",
        metavar="DSN",
        default=os.environ.get(STORE_VARIABLE) or None,
        help="clickhouse://USER:PASSWORD@HOST:PORT/DATABASE instead of the embedded store "
        f"(default: ${STORE_VARIABLE}, which others on the host cannot read)",
    )
    for name, text in _TLS_OPTIONS.items():
        parser.add_argument(
            f"--tls-{name}",
            type=Path,
            metavar="FILE",
            default=os.environ.get(_variable(name)) or None,
            help=f"PEM: {text} (default: ${_variable(name)})",
        )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="listen without TLS on an address that other machines can reach, and ask for keys "
        "only once there are some",
    )
    parser.add_argument(
        "--require-keys",
        action="store_true",
        help="ask for API keys from the start; without it they are asked for as soon as "
        "`stepline key create` has made one, and off loopback",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers and SQL clients may call this service while it asks for no "
        "keys; addresses, localhost, names without a dot and --host always may",
    )
    parser.add_argument(
        "--no-sync",
        action="store_true",
        help="leave the spools alone that wait on this host for this address ($STEPLINE_DIR or "
        "~/.local/state/stepline)",
    )
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning", "error"),
        help="on standard error (%(default)s)",
    )
    parser.add_argument(
        "--log-format",
        default="text",
        choices=logs.FORMATS,
        help="text for people, json for machines, one event a line (%(default)s)",
    )
    parser.add_argument(
        "--backup-dir",
        type=Path,
        metavar="DIR",
        help="where `stepline backup --server` puts its folders; without it this is refused",
    )
    parser.add_argument(
        "--keep-points",
        metavar="AGE",
        help="replace points by their rollups when the month in which they were received is older "
        "than AGE (90d, 26w, 2y); `stepline expire --dry-run` says what would go (default: never)",
    )
    parser.add_argument(
        "--hang-limit",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="end the process, with exit code 70 and the stacks of its threads, when its event "
        "loop or its engine gives no sign of life for so long; 0 for never (%(default)s)",
    )
    return parser
