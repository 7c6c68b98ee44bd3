"""The data: 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_HELD_OUT = 360
_WHITE = 16.0


class Digits:
    """The part of one rank: every rank has its own training images and its own held-out ones."""

    def __init__(self, rank: int, ranks: int, *, batch: int, noise: float) -> None:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(labels))
        test, training = order[:_HELD_OUT][rank::ranks], order[_HELD_OUT:][rank::ranks]
        self._training = images[training] / _WHITE, labels[training]
        self._test = images[test] / _WHITE, labels[test]
        self._batch = batch
        self._noise = noise / _WHITE
        self._random = np.random.default_rng(1 + rank)

    def batch(self) -> tuple[Images, Labels]:
        """Random images of shape (batch, 64), grey from 0 to 1 with noise, and their labels."""
        images, labels = self._training
        chosen = self._random.integers(0, len(labels), self._batch)
        noise = self._random.normal(0.0, self._noise, (self._batch, images.shape[1]))
        return images[chosen] + noise, labels[chosen]

    def held_out(self) -> tuple[Images, Labels]:
        """Images that are never trained on, without noise."""
        return self._test
