"""The model: a perceptron with two hidden layers, its gradients written out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Mlp:
    """Weights and biases lie in one flat vector, so that gradients can be averaged in one go."""

    def __init__(self, widths: Sequence[int], *, seed: int) -> None:
        self._shapes = [
            shape
            for inputs, outputs in pairwise(widths)
            for shape in ((inputs, outputs), (outputs,))
        ]
        self._parameters = np.zeros(sum(map(_size, self._shapes)))
        self._velocity = np.zeros_like(self._parameters)
        random = np.random.default_rng(seed)
        for weight in self._split(self._parameters)[::2]:
            weight[:] = random.normal(0.0, np.sqrt(2.0 / weight.shape[0]), weight.shape)

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return len(self._parameters)

    def gradient(self, images: Array, labels: npt.NDArray[np.int64]) -> tuple[float, float, Array]:
        """(cross-entropy loss, accuracy, gradient of the loss as a flat vector) of a batch."""
        activations, probabilities = self._forward(images)
        loss, accuracy = _score(probabilities, labels)
        flat = np.empty_like(self._parameters)
        gradients = self._split(flat)
        weights = self._split(self._parameters)[::2]
        error = probabilities.copy()
        error[np.arange(len(labels)), labels] -= 1.0
        error /= len(labels)
        for layer in reversed(range(len(weights))):
            gradients[2 * layer][:] = activations[layer].T @ error
            gradients[2 * layer + 1][:] = error.sum(axis=0)
            if layer:
                error = (error @ weights[layer].T) * (activations[layer] > 0.0)
        return loss, accuracy, flat

    def update(self, gradient: Array, *, lr: float, momentum: float, weight_decay: float) -> None:
        """One step of gradient descent with momentum."""
        self._velocity *= momentum
        self._velocity += gradient + weight_decay * self._parameters
        self._parameters -= lr * self._velocity

    def evaluate(self, images: Array, labels: npt.NDArray[np.int64]) -> tuple[float, float]:
        """(cross-entropy loss, accuracy)."""
        return _score(self._forward(images)[1], labels)

    def layer_norms(self, gradient: Array) -> dict[str, dict[str, float]]:
        """Of each layer the Euclidean norms of its weights and of their gradient."""
        weights, gradients = self._split(self._parameters)[::2], self._split(gradient)[::2]
        return {
            f"layer{index}": {"weight": norm(weight), "grad": norm(grad)}
            for index, (weight, grad) in enumerate(zip(weights, gradients, strict=True))
        }

    def _forward(self, images: Array) -> tuple[list[Array], Array]:
        """The input of each layer, and the probabilities of the classes."""
        parts = self._split(self._parameters)
        activations = [images]
        for weight, bias in zip(parts[:-2:2], parts[1:-2:2], strict=True):
            activations.append(np.maximum(activations[-1] @ weight + bias, 0.0))
        logits = activations[-1] @ parts[-2] + parts[-1]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return activations, exponentials / exponentials.sum(axis=1, keepdims=True)

    def _split(self, flat: Array) -> list[Array]:
        """Views into FLAT: weight, bias, weight, bias, ..."""
        parts, begin = [], 0
        for shape in self._shapes:
            end = begin + _size(shape)
            parts.append(flat[begin:end].reshape(shape))
            begin = end
        return parts


def norm(vector: Array) -> float:
    """The Euclidean norm."""
    flat = vector.ravel()
    return float(np.sqrt(flat @ flat))


def _score(probabilities: Array, labels: npt.NDArray[np.int64]) -> tuple[float, float]:
    right = probabilities[np.arange(len(labels)), labels]
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    return float(-np.log(np.maximum(right, 1e-12)).mean()), accuracy


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))
