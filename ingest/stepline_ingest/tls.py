"""TLS of the three ports, from PEM files that may be renewed while the service runs.

Invariants
- A pair of certificate and key is used only after it has served a handshake in memory: so it fits
  together, it is valid now, and the engine of TLS takes it.
- The files are looked at when a client connects, at most once a second. What is wrong with renewed
  files is logged, and the pair that works goes on being used.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from stepline_ingest.errors import StartupError

log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What `stepline serve` was told."""

    cert: Path
    """PEM: the certificate, and behind it those that lead to its root."""
    key: Path
    client_ca: Path | None = None
    """PEM: clients must show a certificate that one of these signed. None: they need none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """What was in the files at one time."""

    cert: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext


class Certificates:
    """The pair in use. May be asked from any thread."""

    def __init__(self, files: TlsFiles, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises StartupError, which names the file and the remedy."""
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._looked = clock()
        self._pair = _load(files)

    def ssl_context(self) -> ssl.SSLContext:
        """For servers of asyncio. Every connection gets the pair that is current then."""
        context = _Renewing(ssl.PROTOCOL_TLS_SERVER)
        context.current = lambda: self._current().context
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server. Every connection gets the pair that is current then."""
        given = self._current()

        def fetch() -> Any:
            nonlocal given
            now = self._current()
            if now is given:
                return None
            given = now
            return _configuration(now)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(given), fetch, require_client_authentication=given.client_ca is not None
        )

    def _current(self) -> _Pair:
        with self._lock:
            if self._clock() - self._looked >= _LOOK_EVERY:
                self._looked = self._clock()
                self._renew()
            return self._pair

    def _renew(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._pair = _load(self._files)
            log.info(
                "the certificate was renewed from %s",
                self._files.cert,
                extra={"event": "certificate_renewed"},
            )
        except StartupError as error:
            log.error(
                "the renewed certificate is not used, the old one goes on: %s",
                error,
                extra={"event": "certificate_refused"},
            )

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes when a file does, links that lead elsewhere included."""
        files = (self._files.cert, self._files.key, self._files.client_ca)
        return tuple(_identity(file) for file in files if file is not None)


class _Renewing(ssl.SSLContext):
    """Hands each connection to another context."""

    current: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.current().wrap_bio(*args, **kwargs)


def _configuration(pair: _Pair) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(pair.key, pair.cert)], root_certificates=pair.client_ca
    )


def _load(files: TlsFiles) -> _Pair:
    """Raises StartupError."""
    cert, key = _read("--tls-cert", files.cert), _read("--tls-key", files.key)
    client_ca = _read("--tls-client-ca", files.client_ca) if files.client_ca is not None else None
    if b"ENCRYPTED" in key:
        raise StartupError(
            f"the key in --tls-key {files.key} has a passphrase: take it off with "
            f"`openssl pkey -in {files.key.name} -out plain.pem`, and keep that file readable by "
            "this user only"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.cert, files.key)
    except (ssl.SSLError, ValueError) as error:
        if "KEY_VALUES_MISMATCH" in str(error) or "key values mismatch" in str(error):
            raise StartupError(
                f"--tls-cert {files.cert} and --tls-key {files.key} do not belong together: name "
                "the key that the certificate was made for"
            ) from error
        raise StartupError(
            f"--tls-cert {files.cert} and --tls-key {files.key} hold no certificate with its key "
            f"({_reason(error)}): write both in PEM form"
        ) from error
    _prove(context, cert, files.cert)
    if client_ca is not None:
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError) as error:
            raise StartupError(
                f"--tls-client-ca {files.client_ca} holds no certificates ({_reason(error)}): "
                "write those of your authority in PEM form"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return _Pair(cert=cert, key=key, client_ca=client_ca, context=context)


def _prove(context: ssl.SSLContext, cert: bytes, path: Path) -> None:
    """Shakes hands in memory with a client that trusts this very certificate and nothing else."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    first = cert.decode("ascii", "replace").partition("-----END CERTIFICATE-----")
    client.load_verify_locations(cadata=first[0] + first[1] + "\n")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server),
        context.wrap_bio(to_server, to_client, server_side=True),
    ]
    try:
        while sides:
            sides = [side for side in sides if not _has_shaken(side)]
    except ssl.SSLCertVerificationError as error:
        raise StartupError(
            f"the certificate in --tls-cert {path} is of no use ({error.verify_message}): renew "
            "it, or set the clock of this host"
        ) from error
    except ssl.SSLError as error:
        raise StartupError(
            f"no client could shake hands with --tls-cert {path} ({_reason(error)}): use a "
            "certificate for servers with an RSA key of 2048 bits or an elliptic one"
        ) from error


def _has_shaken(side: ssl.SSLObject) -> bool:
    """Goes on with a handshake; false while it waits for the other side."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(
            f"cannot read {option} {path} ({error.strerror}): name a file that the user of the "
            "service may read"
        ) from error


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).lower().replace("_", " ")
