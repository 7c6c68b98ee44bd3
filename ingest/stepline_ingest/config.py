"""Everything `stepline serve` is told."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path

from stepline_ingest.backup import BackupError, check_place
from stepline_ingest.errors import StartupError, UsageError
from stepline_ingest.limits import Limits
from stepline_ingest.tls import TlsFiles

GRPC_PORT = 7424
HTTP_PORT = 7425
SQL_PORT = 7426
MIN_HANG_LIMIT = 5.0
STORE_VARIABLE = "STEPLINE_SERVE_STORE"
"""The default of `store`; others on the host can see a command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """One service. Port 0 means any free one."""

    data: Path
    """Holds the embedded store, and the lock that says whose it is."""
    host: str = "127.0.0.1"
    grpc_port: int = GRPC_PORT
    http_port: int = HTTP_PORT
    sql_port: int = SQL_PORT
    store: str | None = None
    """clickhouse://USER:PASSWORD@HOST:PORT/DATABASE; None for the embedded store under `data`."""
    insecure: bool = False
    """Listen off loopback although nothing is encrypted, and to whoever comes while no key was
    made."""
    tls: TlsFiles | None = None
    """Certificates of all three ports; None for plaintext."""
    require_keys: bool = False
    """Ask for keys even on loopback and before the first one was made."""
    backup_dir: Path | None = None
    """Where `stepline backup --server` puts backups; None for nowhere."""
    keep_points: int = 0
    """Seconds after which points are replaced by their rollups, month by month; 0 for never."""
    take_in: bool = True
    """Send what waits in the spools of this host for this address."""
    allow_hosts: tuple[str, ...] = ()
    """Names, besides the obvious ones, by which browsers call the HTTP ports while no key is asked
    for."""
    hang_limit: float = 120.0
    """Seconds without a sign of life from the event loop or the engine after which the process ends
    itself; 0 for never."""
    limits: Limits = field(default_factory=Limits)

    def check(self) -> None:
        """Raises UsageError for what makes no sense, StartupError for what cannot be used."""
        for name, port in self.ports.items():
            if not 0 <= port <= 65535:
                raise UsageError(f"--{name}-port {port}: a port lies between 0 and 65535")
        given = [port for port in self.ports.values() if port]
        if len(set(given)) < len(given):
            raise UsageError(
                f"--grpc-port {self.grpc_port}, --http-port {self.http_port}, --sql-port "
                f"{self.sql_port}: "
                "each needs a port of its own"
            )
        if self.hang_limit < 0 or 0 < self.hang_limit < MIN_HANG_LIMIT:
            raise UsageError(
                f"--hang-limit {self.hang_limit:g}: give at least {MIN_HANG_LIMIT:g} seconds, or 0 "
                "to switch the watchdog off"
            )
        if self.store is not None and not self.store.startswith(
            ("clickhouse://", "clickhouses://")
        ):
            raise UsageError(
                "--store names no ClickHouse server: write "
                "clickhouse://USER:PASSWORD@HOST:PORT/DATABASE"
            )
        if self.keep_points and "cluster=" in (self.store or ""):
            raise UsageError(
                "--keep-points works on the embedded store and on one server, not on a cluster: "
                "leave it away, and delete runs that nobody needs"
            )
        if self.tls is None and not self.insecure and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} can be reached from other machines, and nothing would be "
                "encrypted: pass --tls-cert and --tls-key, or use --host 127.0.0.1 and a tunnel, "
                "or pass --insecure in a network that you trust"
            )
        if self.backup_dir is not None:
            try:
                check_place(self.backup_dir)
            except BackupError as error:
                raise StartupError(f"--backup-dir: {error}") from None

    @property
    def keys_required(self) -> bool:
        """Whether every call needs a key although none may have been made yet."""
        return self.require_keys or not (self.insecure or is_loopback(self.host))

    @property
    def open_to_others(self) -> bool:
        """Whether other machines can reach it, and need no key until one was made."""
        return not self.keys_required and not is_loopback(self.host)

    @property
    def own_names(self) -> frozenset[str]:
        """By which the service may be called; see access/origin.py."""
        names = (self.host, socket.gethostname(), *self.allow_hosts)
        return frozenset(name.lower().removesuffix(".") for name in names)

    @property
    def ports(self) -> dict[str, int]:
        return {"grpc": self.grpc_port, "http": self.http_port, "sql": self.sql_port}


def is_loopback(host: str) -> bool:
    """True when only this machine can reach HOST. A name other than localhost is not trusted to
    stay at home."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def address(host: str, port: int) -> str:
    """HOST:PORT, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
