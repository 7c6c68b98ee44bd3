"""The certificates that a client uses, as the environment names them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

_VARIABLES = ("STEPLINE_TLS_CA", "STEPLINE_TLS_CERT", "STEPLINE_TLS_KEY")


class TlsFiles(TypedDict):
    """PEM files by the names that the extension and spool.json know them by."""

    tls_ca: str | None
    """Whom to trust instead of the system's roots."""
    tls_cert: str | None
    """The certificate to show."""
    tls_key: str | None
    """The key of that certificate."""


def find_tls(environ: Mapping[str, str] | None = None) -> TlsFiles:
    """STEPLINE_TLS_CA, STEPLINE_TLS_CERT and STEPLINE_TLS_KEY as absolute paths: the uploader does
    not run where the trainer does."""
    env = os.environ if environ is None else environ
    ca, cert, key = (_path(env.get(variable)) for variable in _VARIABLES)
    return {"tls_ca": ca, "tls_cert": cert, "tls_key": key}


def _path(text: str | None) -> str | None:
    return str(Path(text).expanduser().absolute()) if text else None
