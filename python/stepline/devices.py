"""Numbers that lie on an accelerator, fetched without a stall.

The extension asks here about arrays of no dimensions that are not NumPy's. One in the memory of the
host is read at once. One on a device is copied while the training loop goes on:

1. The values of a call are stacked on the caller's own stream: a snapshot, so that what the loop
   does to the tensors afterwards does not matter.
2. A stream of our own waits for that and copies the snapshot to pinned memory of the host.
3. An event behind the copy says when it is there. It is only asked, never waited for.

Nothing here imports a library: a tensor can only come from one that is loaded.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any, Protocol


class Copy(Protocol):
    """Values of one device on their way to the host."""

    def done(self) -> bool:
        """They have arrived. Never blocks."""

    def values(self) -> list[float]:
        """In the order in which they were given. Only once they are done."""


class Library(Protocol):
    """What has tensors of its own."""

    def read(self, value: Any) -> float | None:
        """The number in VALUE; None when it lies on a device, and is to be fetched."""

    def place(self, value: Any) -> object:
        """Values of the same place can be copied as one."""

    def copy(self, values: Sequence[Any]) -> Copy:
        """Begins to copy VALUES, which are of one place."""


def read(value: Any) -> float | None:
    """The number in an array of no dimensions; None when it lies on a device, and `fetch` is the
    way to get it. Raises what reading it raises.
    """
    library = _library(value)
    return float(value) if library is None else library.read(value)


def fetch(values: Sequence[Any]) -> Fetch:
    """Begins to copy VALUES to the host, and returns at once. Raises what the library raises."""
    places: dict[object, list[int]] = {}
    for index, value in enumerate(values):
        library = _library(value)
        assert library is not None
        places.setdefault((library, library.place(value)), []).append(index)
    parts = []
    for indices in places.values():
        library = _library(values[indices[0]])
        assert library is not None
        parts.append((indices, library.copy([values[index] for index in indices])))
    return Fetch(parts, len(values))


class Fetch:
    """Values of one call, from however many devices."""

    def __init__(self, parts: list[tuple[list[int], Copy]], count: int) -> None:
        self._parts = parts
        self._count = count

    def done(self) -> bool:
        """All of them have arrived."""
        return all(copy.done() for _, copy in self._parts)

    def values(self) -> list[float]:
        """In the order in which they were given."""
        found = [0.0] * self._count
        for indices, copy in self._parts:
            for index, value in zip(indices, copy.values(), strict=True):
                found[index] = float(value)
        return found


# --- torch ----------------------------------------------------------------------------------------


class Torch:
    """Tensors of PyTorch: CUDA, ROCm (which it also calls cuda) and XPU."""

    def __init__(self) -> None:
        self._sides: dict[object, Any] = {}

    def read(self, value: Any) -> float | None:
        if hasattr(value, "full_tensor"):
            raise TypeError("it is spread over processes; log x.full_tensor() on every rank")
        kind = value.device.type
        if kind != "cpu" and hasattr(getattr(sys.modules["torch"], kind, None), "Stream"):
            return None
        # Of a device without streams (mps) this waits: there is no other way.
        return float((value.detach() if value.requires_grad else value).item())

    def place(self, value: Any) -> object:
        return value.device, value.dtype

    def copy(self, values: Sequence[Any]) -> Copy:
        torch = sys.modules["torch"]
        device = values[0].device
        backend = getattr(torch, device.type)
        if _is_capturing(backend):
            raise RuntimeError("a graph is being captured; log after the capture")
        side = self._sides.get(device)
        if side is None:
            side = self._sides[device] = backend.Stream(device=device)
        snapshot = torch.stack([value.detach() for value in values])
        side.wait_stream(backend.current_stream(device))
        with backend.stream(side):
            host = torch.empty(snapshot.shape, dtype=snapshot.dtype, device="cpu", pin_memory=True)
            host.copy_(snapshot, non_blocking=True)
            event = backend.Event()
            event.record(side)
        # The allocator must not reuse the snapshot before the copy, even when we let go of it.
        snapshot.record_stream(side)
        return _TorchCopy(backend, event, snapshot, host)


class _TorchCopy:
    def __init__(self, backend: Any, event: Any, snapshot: Any, host: Any) -> None:
        self._backend = backend
        self._event = event
        self._snapshot = snapshot
        self._host = host

    def done(self) -> bool:
        # To ask an event would break the capture of a graph.
        return not _is_capturing(self._backend) and bool(self._event.query())

    def values(self) -> list[float]:
        found: list[float] = self._host.tolist()
        return found


def _is_capturing(backend: Any) -> bool:
    ask = getattr(backend, "is_current_stream_capturing", None)
    return ask is not None and bool(ask())


# --- CuPy -----------------------------------------------------------------------------------------


class Cupy:
    """Arrays of CuPy; all of them lie on a device."""

    def __init__(self) -> None:
        self._sides: dict[int, Any] = {}

    def read(self, value: Any) -> float | None:
        return None

    def place(self, value: Any) -> object:
        return value.device.id, value.dtype

    def copy(self, values: Sequence[Any]) -> Copy:
        import ctypes

        import numpy as np

        cupy = sys.modules["cupy"]
        device = values[0].device
        with device:
            side = self._sides.get(device.id)
            if side is None:
                side = self._sides[device.id] = cupy.cuda.Stream(non_blocking=True)
            snapshot = cupy.stack(values)
            side.wait_event(cupy.cuda.get_current_stream().record())
            memory = cupy.cuda.alloc_pinned_memory(snapshot.nbytes)
            host = np.frombuffer(memory, snapshot.dtype, len(values))
            target = ctypes.c_void_p(host.ctypes.data)
            snapshot.data.copy_to_host_async(target, snapshot.nbytes, side)
            return _CupyCopy(side.record(), snapshot, host)


class _CupyCopy:
    def __init__(self, event: Any, snapshot: Any, host: Any) -> None:
        self._event = event
        self._snapshot = snapshot
        self._host = host

    def done(self) -> bool:
        return bool(self._event.done)

    def values(self) -> list[float]:
        found: list[float] = self._host.tolist()
        return found


# --- JAX ------------------------------------------------------------------------------------------


class Jax:
    """Arrays of JAX. They never change, and JAX has a stream of its own for copies to the host."""

    def read(self, value: Any) -> float | None:
        if not hasattr(value, "copy_to_host_async"):
            raise TypeError("it is being traced; log the result of the jitted function")
        if all(device.platform == "cpu" for device in value.devices()):
            return float(value)
        return None

    def place(self, value: Any) -> object:
        return None

    def copy(self, values: Sequence[Any]) -> Copy:
        for value in values:
            value.copy_to_host_async()
        return _JaxCopy(values)


class _JaxCopy:
    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays

    def done(self) -> bool:
        return all(array.is_ready() for array in self._arrays)

    def values(self) -> list[float]:
        return [float(array) for array in self._arrays]


_JAX = Jax()
_LIBRARIES: dict[str, Library] = {"torch": Torch(), "cupy": Cupy(), "jax": _JAX, "jaxlib": _JAX}


def _library(value: object) -> Library | None:
    kind: Any = type(value)
    return _library_of(kind)


@functools.lru_cache(maxsize=256)
def _library_of(kind: Any) -> Library | None:
    """By the modules of the type and of what it derives from, such as a Parameter of torch."""
    for base in kind.__mro__:
        library = _LIBRARIES.get(base.__module__.partition(".")[0])
        if library is not None:
            return library
    return None
