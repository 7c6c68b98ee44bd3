"""Threads that tenants share: who asks for much waits for its own, others do not wait for it.

- Tenants take turns, each with its calls in their order.
- A call that has begun cannot be interrupted, so turns alone would not do: as many long calls as
  there are threads would keep everybody waiting. A tenant gets another thread only while more are
  free than it holds. One tenant alone gets half of them, two get a third each, and so on: for the
  next one that comes there is a thread at once.
- What is done for several tenants at once (`start_shared`) is in none of their lines.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_SHARED = object()
"""The tenant of shared work."""
_is_shared: ContextVar[bool] = ContextVar("is_shared", default=False)


def start_shared(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task for several callers: not in the context of the first of them, nor in its line."""
    context = Context()
    context.run(_is_shared.set, True)
    return context.run(asyncio.get_running_loop().create_task, work)


@dataclass(frozen=True, slots=True)
class _Call:
    future: Future[Any]
    work: Callable[[], Any]


class FairThreads(Executor):
    """THREADS of them. TENANT names the tenant of a call, in the context of who submits it."""

    def __init__(self, threads: int, name: str, *, tenant: Callable[[], Hashable]) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._free = threads
        self._tenant = tenant
        self._idle = threading.Condition()
        """The lock of all below; told when the last call has ended after `shutdown`."""
        self._held: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[_Call]] = OrderedDict()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        call = _Call(future, lambda: fn(*args, **kwargs))
        with self._idle:
            if self._closed:
                raise RuntimeError("no calls are taken after shutdown")
            tenant = _SHARED if _is_shared.get() else self._tenant()
            self._waiting.setdefault(tenant, deque()).append(call)
            self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. What has begun goes on, and is waited for when WAIT says so; what
        waits is cancelled when CANCEL_FUTURES says so."""
        dropped: list[_Call] = []
        with self._idle:
            self._closed = True
            if cancel_futures:
                dropped = [call for line in self._waiting.values() for call in line]
                self._waiting.clear()
        for call in dropped:
            call.future.cancel()
        with self._idle:
            while wait and (self._held or self._waiting):
                self._idle.wait()
            self._end_when_idle()

    def _start(self) -> None:
        """Hands over what may begin, tenant after tenant. Under the lock."""
        passed_over = 0
        while self._free and passed_over < len(self._waiting):
            tenant, line = next(iter(self._waiting.items()))
            if self._held[tenant] >= self._free:
                self._waiting.move_to_end(tenant)
                passed_over += 1
                continue
            call = line.popleft()
            if line:
                self._waiting.move_to_end(tenant)
            else:
                del self._waiting[tenant]
            passed_over = 0
            if not call.future.set_running_or_notify_cancel():
                continue
            self._free -= 1
            self._held[tenant] += 1
            self._pool.submit(self._run, tenant, call)

    def _run(self, tenant: Hashable, call: _Call) -> None:
        result, error = None, None
        try:
            result = call.work()
        except BaseException as raised:
            error = raised
        with self._idle:
            self._free += 1
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]
            self._start()
            self._end_when_idle()
        # After the thread is free again: who hears of the end may ask at once.
        if error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(error)

    def _end_when_idle(self) -> None:
        if self._closed and not self._held and not self._waiting:
            self._pool.shutdown(wait=False)
            self._idle.notify_all()
