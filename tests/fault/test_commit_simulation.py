"""Many writers in one committer, over a store that fails at random, through lives of the process
that end at random.

Scenario: eight writers of three projects send ranges cut at random, in both encodings, with
overlaps; some of their batches can never be stored, of some the store refuses the whole block, of
some it cannot even record the rejection. Groups, calls and the memory for batches are tiny, so
everything has to wait for everything. Streams are hung up or taken over at any moment, names are
refused, marks cannot be read, outcomes stay unknown beyond all patience, tokens are noted for
INSERTs of which nothing is stored, and processes crash or drain.
Guarantees: in the end each sequence is stored once or recorded as rejected, and nothing is both;
every stored point has its name; nothing ever takes effect before what lies below it; a stream
begins where the store stands; what a client was told is so; a process that has drained holds
nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from stepline_ingest.budget import Budget
from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import ingest_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.store.errors import StoreError
from stepline_ingest.writers import Binding, Writers
from tests.fault.stage import rounds
from tests.support.memory_store import Failure, MemoryStore, refused, unknown
from tests.support.writers import (
    FAST,
    Process,
    Stream,
    binding,
    columnar,
    damaged,
    oversize,
    plain,
)

LAST = 60
"""Sequences of each writer."""
WRITERS = 8
LIVES = 3
PATIENCE = 60.0
"""Seconds after which something counts as stuck."""


def test_everything_at_once(seed: int) -> None:
    for number in rounds(short=4, share=0.4):
        chance = random.Random(f"{seed}-{number}")
        try:
            asyncio.run(Simulation(chance).run())
        except BaseException:
            print(f"round {number}")
            raise


def blamed() -> None:
    raise StoreError("Code: 117. INCORRECT_DATA", blames_data=True)


class Simulation:
    """One store and its writers."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.calm = False
        self.store = MemoryStore()
        self.places = [
            replace(binding(rank, f"run-{rank % 3}"), tenant=f"project-{rank % 3}")
            for rank in range(WRITERS)
        ]
        self.malformed = self._some_of_each(0, 6, 20)
        self.poison = self._some_of_each(0, 1, 3)
        unlucky = {place.writer for place in self.places if chance.random() < 0.3}
        self.store.poison = lambda writer, seq: seq in self.poison[writer]
        self.store.unrecordable = lambda writer: not self.calm and writer in unlucky
        self.store.out_of_reach = lambda writer, seq: not self.calm and chance.random() < 0.01
        often = {place.run: chance.choice([0, 0, 0.1, 0.5]) for place in self.places}
        self.store.unnameable = lambda run: not self.calm and chance.random() < often[run]
        self.batches = itertools.count()
        self.epochs = dict.fromkeys((place.writer for place in self.places), 0)

    async def run(self) -> None:
        for _ in range(LIVES):
            with self._bad_weather():
                await self._live(seconds=self.chance.uniform(0.05, 0.5))
        await self._live()
        for place in self.places:
            self.store.assert_exactly_once(place.writer, LAST)

    def _some_of_each(self, *counts: int) -> dict[bytes, set[int]]:
        return {
            place.writer: {self.chance.randint(1, LAST) for _ in range(self.chance.choice(counts))}
            for place in self.places
        }

    # --- the store ---

    @contextmanager
    def _bad_weather(self) -> Iterator[None]:
        store, many = self.store, 10_000
        store.before = [self._one_of(*[None] * 6, refused, unknown, blamed)] * many
        store.halfway = [self._one_of(*[None] * 12, unknown)] * many
        store.after = [self._one_of(*[None] * 8, unknown)] * many
        store.before_names = [self._one_of(*[None] * 6, refused, unknown, blamed)] * many
        store.before_rejects = [self._one_of(*[None] * 6, refused, refused, unknown)] * many
        store.after_rejects = [self._one_of(*[None] * 5, unknown)] * many
        self.calm = False
        yield
        self.calm = True
        for script in (store.before, store.halfway, store.after, store.before_names):
            script.clear()
        for script in (store.before_rejects, store.after_rejects):
            script.clear()

    def _one_of(self, *failures: Failure | None) -> Callable[[], None]:
        def happen() -> None:
            if self.calm:
                return
            time.sleep(self.chance.choice([0, 0, 0.001, 0.004]))
            failure = self.chance.choice(failures)
            if failure is not None:
                failure()

        return happen

    async def _mark(self, place: Binding) -> int:
        if not self.calm:
            await asyncio.sleep(self.chance.choice([0, 0, 0.001, 0.01]))
            if self.chance.random() < 0.05:
                raise StoreError("the mark cannot be read")
        mark = await self.store.mark(place)
        await asyncio.sleep(self.chance.choice([0, 0, 0.002]))
        return mark

    # --- a life of the process ---

    async def _live(self, seconds: float | None = None) -> None:
        """For SECONDS, or until everything is settled."""
        process = Process(self.store, self._limits())
        process.writers = Writers(self._mark, settle_timeout=process.limits.hello_timeout)
        process.budget = Budget(self.chance.choice([3_000, 1 << 28]))
        process.pipeline = replace(process.pipeline, budget=process.budget)
        process.task = process.committer.start()
        clients = [asyncio.create_task(self._client(process, place)) for place in self.places]
        crash = seconds is not None and self.chance.random() < 0.5
        await asyncio.wait(
            clients, timeout=seconds or PATIENCE, return_when=asyncio.FIRST_EXCEPTION
        )
        if not crash:
            stopping = asyncio.create_task(process.committer.stop())
            await asyncio.sleep(0.01)
            self.calm = True
            await asyncio.wait_for(stopping, PATIENCE)
        for client in clients:
            client.cancel()
        if crash:
            process.crash()
        ended = await asyncio.gather(*clients, process.task, return_exceptions=True)
        process.committer._executor.shutdown()  # an insert that runs may still land
        process.pool.shutdown()
        for error in ended:
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise error
        if crash:
            self.store.forget_blocks()
        else:
            assert process.budget.used == 0, "a process that has drained holds bytes"
            assert self.store.open_blocks == 0
            assert not process.committer.recording
            assert not process.committer.queued_batches
            for writer in process.writers._writers.values():
                assert (writer.inflight_batches, writer.inflight_bytes) == (0, 0)
                assert writer.built == writer.committed

    def _limits(self) -> Limits:
        chance = self.chance
        return replace(
            FAST,
            hello_timeout=chance.choice([0.01, 0.05, 5.0]),
            store_patience=chance.choice([0.02, 0.05, 5.0]),
            retry_max=0.004,
            max_rejected_bytes=500,
            group_rows=chance.choice([8, 40, 1_000]),
            group_bytes=chance.choice([1_500, 4_000, 1 << 20]),
            group_ahead_rows=chance.choice([1, 10, 900_000]),
        )

    # --- a writer ---

    async def _client(self, process: Process, place: Binding) -> None:
        """Until everything is settled; now and then another stream takes over."""
        rival = asyncio.create_task(self._take_over(process, place))
        try:
            await self._settle(process, place)
        finally:
            rival.cancel()
            await asyncio.wait({rival})
        if not rival.cancelled():
            rival.result()

    async def _take_over(self, process: Process, place: Binding) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(0.005, 0.3))
            self.epochs[place.writer] += 1
            with suppress(ServiceError, StoreError):
                stream = await process.open(place, self.epochs[place.writer])
                assert stream.session is not None
                try:
                    await self._send(stream, stream.session.received + 1)
                finally:
                    stream.session.end()

    async def _settle(self, process: Process, place: Binding) -> None:
        """Sends until everything is settled, on a new stream whenever one has ended."""
        while True:
            self.epochs[place.writer] += 1
            try:
                stream = await process.open(place, self.epochs[place.writer])
            except (ServiceError, StoreError):
                continue  # its batches are not settled yet, or its mark is not known
            assert stream.writer is not None
            mark = await self.store.mark(place)
            if stream.error is not None:
                continue
            assert stream.writer.committed == mark
            if mark >= LAST:
                return
            with suppress(ServiceError):
                await self._send(stream, mark + 1)
            while stream.error is None and stream.writer.inflight_batches:
                await asyncio.sleep(0.001)
            recorded = {
                (first, last) for w, first, last, _ in self.store.rejects if w == place.writer
            }
            assert {(first, last) for first, last, _ in stream.rejections} <= recorded
            await asyncio.sleep(0.001)

    async def _send(self, stream: Stream, first: int) -> None:
        """From FIRST on, until the stream ends or is hung up."""
        assert stream.writer is not None
        assert stream.session is not None
        chance, malformed = self.chance, self.malformed[stream.writer.binding.writer]
        at = first
        while at <= LAST and stream.error is None:
            while stream.writer.inflight_batches >= 20 and stream.error is None:
                await asyncio.sleep(0.001)
            last = at
            if at in malformed:
                make = chance.choices([oversize, _damaged, _nameless], [1, 3, 6])[0]
                batch = make(at)
            else:
                longest = min(LAST, at + chance.randrange(9))
                while last < longest and last + 1 not in malformed:
                    last += 1
                encode = chance.choice([columnar, plain])
                names = [f"shared {chance.randrange(6)}", f"its own {next(self.batches)}"]
                batch = encode(max(1, at - chance.choice([0, 0, 0, 1, 3])), last, names)
            sending = asyncio.ensure_future(stream.session.accept(batch))
            if chance.random() < 0.05:
                pause = chance.choice([0, 0.001, 0.004])
                asyncio.get_running_loop().call_later(pause, sending.cancel)
            try:
                await asyncio.wait({sending})
            finally:
                if not sending.done():  # this life is over
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
            if sending.cancelled():
                stream.session.end()
                return
            sending.result()
            if stream.session.names_lost:
                return
            at = last + 1
            if chance.random() < 0.3:
                await asyncio.sleep(chance.choice([0, 0.001, 0.003]))
            if chance.random() < 0.01:
                return


def _damaged(seq: int) -> ingest_pb2.Batch:
    return damaged(seq, seq)


def _nameless(seq: int) -> ingest_pb2.Batch:
    batch = plain(seq, seq)
    batch.plain.metrics[0] = ""
    return batch
