"""What to do about a port that cannot be opened."""

from __future__ import annotations

import errno
import socket

from stepline_ingest.config import address
from stepline_ingest.errors import StartupError


def cannot_listen(host: str, port: int, error: Exception, *, option: str) -> StartupError:
    """OPTION names the port on the command line."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    where = f"cannot listen on {address(host, port)} ({reason}): "
    if isinstance(error, socket.gaierror) or getattr(error, "errno", 0) == errno.EADDRNOTAVAIL:
        return StartupError(f"{where}pass --host with an address of this machine")
    return StartupError(
        f"{where}end what uses the port, or pass {option} with another one (0 for any free one)"
    )
