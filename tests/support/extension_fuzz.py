"""Foreign bytes through the extension: `python -m tests.support.extension_fuzz --minutes 10`.

The targets of `fuzz/` reach the Rust core under a coverage-guided engine; this drives the same core
as the service does, from Python: no crash, no panic, only `CoreError`, bounded memory and time, and
decode(encode(x)) == x. Batches are changed in a few places and sealed with the checksum that fits.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import sys
import time
from collections import Counter

import psutil

from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2
from tests.support.memory_store import read_block

HEADER = 6
MAX_SECONDS = 5.0
"""Of processor time, for one batch within the limits of a service."""
GROWTH = 64 << 20
"""How much the process may grow over a run, however many bombs it was given."""
_POLYNOMIAL = 0x82F63B78
_CRC_TABLE: list[int] = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (_POLYNOMIAL if _byte & 1 else 0)
    _CRC_TABLE.append(_byte)

Call = tuple[int, int, int, dict[str, float]]


def sealed(batch: bytes | bytearray) -> bytes:
    """BATCH with the checksum that its body has."""
    crc = 0xFFFFFFFF
    for byte in batch[HEADER:]:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return bytes(batch[:2]) + struct.pack("<I", crc ^ 0xFFFFFFFF) + bytes(batch[HEADER:])


def session() -> _core.WriterSession:
    return _core.WriterSession(
        writer=bytes(16),
        run=1,
        attempt=1,
        rank=0,
        max_batch_bytes=1 << 20,
        max_batch_points=20_000,
        max_decoded_bytes=1 << 22,
        max_name_bytes=64,
        max_metrics=1_000,
    )


def calls(chance: random.Random) -> list[Call]:
    """What a writer logs, from sequence 1 on."""
    names = [f"m{i}" for i in range(chance.randint(1, 12))]
    return [
        (
            seq,
            chance.choice((seq, -seq, chance.randrange(-(2**63), 2**63))),
            chance.randrange(0, 2**41),
            {name: _value(chance) for name in chance.sample(names, chance.randint(1, len(names)))},
        )
        for seq in range(1, chance.randint(2, 40))
    ]


def _value(chance: random.Random) -> float:
    bits = chance.randrange(2**64)
    (foreign,) = struct.unpack("<d", bits.to_bytes(8, "little"))
    return chance.choice((float(chance.randrange(100)), chance.random(), foreign))


def changed(chance: random.Random, data: bytes) -> bytes:
    """DATA with a few bytes set, taken, added or cut off."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out)) if out else 0
        match chance.randrange(5):
            case 0 if out:
                out[at] = chance.randrange(256)
            case 1 if out:
                out[at] ^= 1 << chance.randrange(8)
            case 2 if out:
                del out[at]
            case 3:
                out.insert(at, chance.choice((0, 1, 127, 128, 255)))
            case 4:
                del out[at + chance.randrange(1, 64) :]
    return bytes(out)


def points(wanted: list[Call]) -> set[tuple[int, int, bytes]]:
    """(sequence, metric, bits of the value)"""
    return {
        (seq, _core.siphash64(name), struct.pack("<d", value))
        for seq, _, _, metrics in wanted
        for name, value in metrics.items()
    }


def decoded(batch: _core.Batch) -> set[tuple[int, int, bytes]]:
    pieces, rows = _core.build_block([(batch, 0)], 0)
    block = b"".join(pieces)
    found = read_block(block)
    assert len(found) == rows == batch.points
    return {(row.seq, row.metric, struct.pack("<d", row.value)) for row in found}


def one_input(chance: random.Random) -> str:
    """Tries one; returns what became of it."""
    logged = calls(chance)
    last = len(logged)
    if chance.random() < 0.3:
        plain = ingest_pb2.PlainBatch(metrics=sorted({n for c in logged for n in c[3]}))
        for seq, step, time_ms, metrics in logged:
            for name, value in metrics.items():
                plain.metric.append(list(plain.metrics).index(name))
                plain.seq.append(seq)
                plain.step.append(step)
                plain.time_ms.append(time_ms)
                plain.value.append(value)
        data = plain.SerializeToString()
        assert decoded(session().decode_plain(1, last, data)) == points(logged)
        bad, decode = changed(chance, data), _core.WriterSession.decode_plain
    else:
        data = _core.encode_batch(logged)
        assert decoded(session().decode_columnar(1, last, data)) == points(logged)
        bad, decode = changed(chance, data), _core.WriterSession.decode_columnar
        if len(bad) > HEADER and chance.random() < 0.9:
            bad = sealed(bytes(data[:2]) + bad[2:])
    began = time.process_time()
    stream = session()
    verdict = "accepted"
    try:
        batch = decode(stream, 1, last, bad)
        assert (batch.first_seq, batch.last_seq) == (1, last)
        assert {seq for seq, _, _ in decoded(batch)} == set(range(1, last + 1))
    except _core.CoreError as refusal:
        verdict = refusal.kind
    assert verdict in ("accepted", "corrupt", "unsupported", "invalid"), verdict
    assert time.process_time() - began < MAX_SECONDS
    return verdict


def fuzz(chance: random.Random, *, seconds: float, inputs: int = sys.maxsize) -> Counter[str]:
    """Until so much processor time is spent or so many inputs were tried."""
    process = psutil.Process()
    found: Counter[str] = Counter()
    end = time.process_time() + seconds
    for _ in range(200):
        found[one_input(chance)] += 1
    before = process.memory_info().rss
    while found.total() < inputs and time.process_time() < end:
        found[one_input(chance)] += 1
    grown = process.memory_info().rss - before
    assert grown < GROWTH, f"the process grew by {grown >> 20} MiB over {found.total()} inputs"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    os.write(1, f"seed {options.seed}\n".encode())
    found = fuzz(random.Random(options.seed), seconds=60 * options.minutes)
    print(f"{found.total():,} inputs in {time.process_time():.0f} s: {dict(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
