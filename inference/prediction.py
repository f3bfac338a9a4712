"""What a model says of a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and its probability (softmax)."""

    index: int
    wnid: str
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Guesses, likeliest first; or none, and the error that kept the picture from being seen. picture: its name."""

    picture: str
    guesses: tuple[Guess, ...]
    error: str | None = None


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """B x classes, along the classes."""
    powers: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def likeliest(logits: NDArray[np.float32], top: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """B x top: classes, likeliest first, of equals the lower number first, and their probabilities.

    Raises TarnError for logits that are not finite, of which nothing follows.
    """
    if not np.isfinite(logits).all():
        raise TarnError("the model answers with numbers that are not finite: its weights are damaged, export it again.")
    probabilities = softmax(logits)
    found = np.argpartition(-logits, top - 1, axis=1)[:, :top] if top < logits.shape[1] else np.indices(logits.shape)[1]
    order = np.lexsort((found, -np.take_along_axis(logits, found, 1)))
    classes = np.take_along_axis(found, order, 1)
    return classes, np.take_along_axis(probabilities, classes, 1)
