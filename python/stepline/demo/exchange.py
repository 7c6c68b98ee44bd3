"""What torch.distributed is to a real job: gradients averaged over ranks, in shared memory."""

from __future__ import annotations

from multiprocessing.context import SpawnContext

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_PATIENCE = 120.0


class Exchange:
    """Made by the parent, handed to each rank."""

    def __init__(self, context: SpawnContext, *, ranks: int, size: int) -> None:
        self._shape = (2, ranks, size)
        # Two sets of rows, used in turn: a rank may write the next one while others still read
        # this one.
        self._rows = context.RawArray("d", 2 * ranks * size)
        self._rounds = context.RawArray("q", ranks)
        self._barrier = context.Barrier(ranks, timeout=_PATIENCE)

    def mean(self, rank: int, vector: Array) -> Array:
        """The mean of every rank's VECTOR, once all of them have called this."""
        rows = np.frombuffer(self._rows, np.float64).reshape(self._shape)
        here = rows[self._rounds[rank] % 2]
        here[rank] = vector
        self._barrier.wait()
        self._rounds[rank] += 1
        mean: Array = here.mean(axis=0)
        return mean

    def rounds(self) -> int:
        """How often the slowest rank has come by."""
        return min(int(rounds) for rounds in self._rounds)

    def abort(self) -> None:
        """Lets waiting ranks fail instead of waiting for one that is gone."""
        self._barrier.abort()
