"""Certificates for tests."""

from __future__ import annotations

from pathlib import Path

import trustme

from stepline_ingest.tls import TlsFiles


class Authority:
    """A CA of our own, and files of what it signs."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self.ca = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(self, name: str, *hosts: str, **more: object) -> TlsFiles:
        """NAME.pem and NAME.key, for a server at HOSTS or for a client."""
        made = self._ca.issue_cert(*(hosts or ("localhost", "127.0.0.1")), **more)  # type: ignore[arg-type]
        cert, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        cert.unlink(missing_ok=True)
        key.unlink(missing_ok=True)
        for pem in made.cert_chain_pems:
            pem.write_to_path(cert, append=True)
        made.private_key_pem.write_to_path(key)
        return TlsFiles(cert=cert, key=key)


def options(files: TlsFiles) -> tuple[str, ...]:
    """Of `stepline serve`."""
    return ("--tls-cert", str(files.cert), "--tls-key", str(files.key))


def over_tls(place: str) -> str:
    """The address of a service, as a client of TLS writes it."""
    return "https://localhost:" + place.rsplit(":", 1)[1]
