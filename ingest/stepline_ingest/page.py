"""The files of the dashboard, as they were built into the package.

They are read once, into memory: a path of a request is looked up and never touches the disk. None
of them carries data, so they are for everybody.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from stepline_ingest.gateway import codec

FOLDER = Path(__file__).parent / "dashboard" / "static"
"""What the build of the dashboard fills."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Server": "stepline",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer of the port."""

_HASHED = "/assets/"
"""Files whose names have a digest of their contents, so that they never change."""
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_INDEX = "/index.html"
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".woff2": "font/woff2"}
_WORTH_PACKING = frozenset({".js", ".mjs", ".css", ".html", ".svg", ".json", ".webmanifest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    body: bytes
    packed: bytes | None
    content_type: str
    etag: str
    cached: str


class Page:
    """What the browser loads; empty when the dashboard was not built."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            "/" + path.relative_to(folder).as_posix(): _read(path, folder)
            for path in (sorted(folder.rglob("*")) if folder.is_dir() else ())
            if path.is_file() and not path.name.startswith(".")
        }

    @property
    def is_built(self) -> bool:
        return _INDEX in self._files

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A file, or the index for whatever address the page itself understands."""
        found = self._files.get(request.path)
        if found is None and self.is_built and _wants_page(request):
            found = self._files[_INDEX]
        if found is None:
            raise web.HTTPNotFound(
                text="there is no such page: the dashboard is at /, the calls are those of proto/\n"
            )
        headers = {"Cache-Control": found.cached, "ETag": found.etag, "Vary": "Accept-Encoding"}
        if found.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = found.content_type
        if found.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=found.packed, headers=headers)
        return web.Response(body=found.body, headers=headers)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def _wants_page(request: web.Request) -> bool:
    """A browser that follows an address, not a script that misses a file."""
    if request.path == "/":
        return True
    return "text/html" in request.headers.get("Accept", "") and not request.path.startswith(_HASHED)


def _read(path: Path, folder: Path) -> _File:
    body = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    hashed = path.is_relative_to(folder / _HASHED.strip("/"))
    packed = codec.gzipped(body) if path.suffix in _WORTH_PACKING else None
    return _File(
        body=body,
        packed=packed if packed is not None and len(packed) < len(body) else None,
        content_type=_with_charset(kind or "application/octet-stream"),
        etag=f'"{hashlib.sha256(body).hexdigest()[:24]}"',
        cached=_FOR_EVER if hashed else _ASK_AGAIN,
    )


def _with_charset(kind: str) -> str:
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
