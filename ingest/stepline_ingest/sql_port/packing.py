"""Answers packed while they are made."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web

from stepline_ingest.query.ask import Transform

_FAST = 1


class _Zlib:
    def __init__(self, bits: int) -> None:
        self._packer = zlib.compressobj(_FAST, wbits=bits)
        self.compress = self._packer.compress
        self.flush = self._packer.flush


class _Lz4:
    """A frame of LZ4, whose beginning goes before the first piece."""

    def __init__(self) -> None:
        self._packer = importlib.import_module("lz4.frame").LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes) -> bytes:
        begin = b"" if self._begun else self._packer.begin()
        self._begun = True
        packed: bytes = begin + self._packer.compress(data)
        return packed

    def flush(self) -> bytes:
        packed: bytes = self.compress(b"") + self._packer.flush()
        return packed


def _zstd() -> Any:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:  # before Python 3.14
        module = importlib.import_module("backports.zstd")
    return module.ZstdCompressor(level=_FAST)


PACKERS: dict[str, Callable[[], Any]] = {
    "lz4": _Lz4,
    "zstd": _zstd,
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
}
"""By the names of HTTP, the cheapest first."""


def packing_of(request: web.Request) -> str | None:
    """How the answer may be packed; None for not at all. As ClickHouse does, only for who asks for
    it twice: in Accept-Encoding and with enable_http_compression=1."""
    if request.query.get("enable_http_compression") != "1":
        return None
    accepted = {
        name.partition(";")[0].strip().lower()
        for name in request.headers.get("Accept-Encoding", "").split(",")
        if "q=0" not in name.replace("q=0.", "")
    }
    return next((name for name in PACKERS if name in accepted), None)


def packed_as(name: str) -> Transform:
    """Packs pieces; every piece can be read when it arrives, or a little later."""

    def pack(pieces: Iterator[bytes]) -> Iterator[bytes]:
        packer = PACKERS[name]()
        for piece in pieces:
            if data := packer.compress(piece):
                yield data
        yield packer.flush()

    return pack
