"""A stand-in for torch with one device, whose work is done when a test says so.

What `stepline.devices` uses is here under the names that torch has for it. A stream is a list of
things to do; `Device.run` does them, as far as the events that a stream waits for allow. A tensor
on the device holds its number only once the work before it ran.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any


class DeviceName:
    """torch.device"""

    def __init__(self, kind: str) -> None:
        self.type = kind


CPU, CUDA = DeviceName("cpu"), DeviceName("cuda")


class DType:
    """torch.dtype"""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_complex = name.startswith("complex")


class Tensor:
    """Values on a device. What happens to them happens in the order of a stream."""

    def __init__(self, values: list[Any], device: DeviceName, dtype: DType, shape: Any) -> None:
        self.cells, self.device, self.dtype, self.shape = values, device, dtype, shape
        self.ndim = len(shape)
        self.requires_grad = False

    def detach(self) -> Tensor:
        return self

    def item(self) -> Any:
        assert self.device is CPU, "this stalls the stream"
        return self.cells[0]

    def __float__(self) -> float:
        raise AssertionError("this stalls the stream")

    def tolist(self) -> list[Any]:
        assert self.device is CPU
        return list(self.cells)

    def copy_(self, source: Tensor, non_blocking: bool) -> None:
        assert non_blocking

        def copy() -> None:
            self.cells[:] = source.cells

        current().queue(copy)

    def record_stream(self, stream: Stream) -> None:
        pass

    def fill_(self, value: float) -> None:
        """In the order of the current stream, like everything that a training loop does."""

        def fill() -> None:
            self.cells[:] = [value] * len(self.cells)

        current().queue(fill)


class Event:
    """torch.cuda.Event"""

    happened = False
    failure: Exception | None = None

    def record(self, stream: Stream) -> None:
        def happen() -> None:
            self.happened = True

        stream.queue(happen)

    def query(self) -> bool:
        if Event.failure is not None:
            raise Event.failure
        return self.happened

    def synchronize(self) -> None:
        raise AssertionError("this waits")


class Stream:
    """torch.cuda.Stream"""

    def __init__(self, device: DeviceName) -> None:
        self.device = device
        self.work: list[Callable[[], object]] = []
        streams.append(self)

    def queue(self, work: Callable[[], object]) -> None:
        self.work.append(work)

    def wait_stream(self, other: Stream) -> None:
        event = Event()
        event.record(other)
        self.queue(lambda: event.happened)

    def run(self) -> bool:
        """Does what can be done; True when it did something."""
        before = len(self.work)
        while self.work and self.work[0]() is not False:
            self.work.pop(0)
        return len(self.work) < before


streams: list[Stream] = []
main = Stream(CUDA)
_current = [main]
_capturing = [False]


def current() -> Stream:
    return _current[-1]


@contextlib.contextmanager
def _on(stream: Stream) -> Iterator[None]:
    _current.append(stream)
    yield
    _current.pop()


@contextlib.contextmanager
def capturing() -> Iterator[None]:
    """While a graph is captured."""
    _capturing[0] = True
    yield
    _capturing[0] = False


def run() -> None:
    """The device does all that it was given."""
    busy = True
    while busy:
        busy = sum(stream.run() for stream in streams) > 0


def run_main_only() -> None:
    """The stream of the training loop goes ahead of that of the copies."""
    main.run()


def cuda_tensor(value: float, dtype: str = "float32", shape: tuple[int, ...] = ()) -> Tensor:
    """A result that the device has still to compute."""
    tensor = Tensor([None], CUDA, dtypes[dtype], shape)
    tensor.fill_(value)
    return tensor


def cpu_tensor(value: float, dtype: str = "float32", requires_grad: bool = False) -> Tensor:
    tensor = Tensor([value], CPU, dtypes[dtype], ())
    tensor.requires_grad = requires_grad
    return tensor


dtypes = {name: DType(name) for name in ("float32", "bfloat16", "int64", "complex64")}


def _stack(tensors: list[Tensor]) -> Tensor:
    assert {tensor.dtype for tensor in tensors} == {tensors[0].dtype}
    stacked = Tensor([None] * len(tensors), CUDA, tensors[0].dtype, (len(tensors),))

    def stack() -> None:
        stacked.cells[:] = [tensor.cells[0] for tensor in tensors]

    current().queue(stack)
    return stacked


def _empty(shape: Any, *, dtype: DType, device: str, pin_memory: bool) -> Tensor:
    assert pin_memory
    assert device == "cpu"
    return Tensor([None] * shape[0], CPU, dtype, shape)


def module() -> types.ModuleType:
    """What goes into sys.modules["torch"]."""
    torch = types.ModuleType("torch")
    cuda = types.SimpleNamespace(
        Stream=Stream,
        Event=Event,
        stream=_on,
        current_stream=lambda device: current(),
        is_current_stream_capturing=lambda: _capturing[0],
    )
    torch.__dict__.update(cuda=cuda, stack=_stack, empty=_empty, Tensor=Tensor)
    return torch


Tensor.__module__ = "torch"
