"""What is written of pictures: columns of equal length."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.foreign.classes import numbers_of
from tarn.sharding.foreign.labels import ClassName, Label
from tarn.sharding.format.manifest import ClassInfo


@dataclass(frozen=True, slots=True)
class Rows:
    """n pictures. labels: numbers of the model's classes, None where the source tells none, or none of the model's.
    classes, probabilities: n x K, likeliest first, and features n x D, which mean nothing where a picture has an error.
    """

    pictures: Sequence[str]
    labels: Sequence[int | None]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    errors: Sequence[str | None]
    features: NDArray[np.floating] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def broken(self) -> int:
        return sum(error is not None for error in self.errors)


def joined(parts: Sequence[Rows]) -> Rows:
    features = [part.features for part in parts if part.features is not None]
    return Rows(
        [picture for part in parts for picture in part.pictures],
        [label for part in parts for label in part.labels],
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        [error for part in parts for error in part.errors],
        np.concatenate(features) if features else None,
    )


class LabelNumbers:
    """From what a source says of a class to the model's number of it: by wnid, by a name that is one class's alone, or
    the number itself."""

    def __init__(self, classes: Sequence[ClassInfo]) -> None:
        self.numbers: Mapping[Label, int] = numbers_of(classes)

    def of(self, label: Label | None) -> int | None:
        if label is None:
            return None
        found = self.numbers.get(label)
        return self.numbers.get(ClassName(label)) if found is None and isinstance(label, str) else found


def text_of(name: str) -> str:
    """A name of a file whose bytes are not UTF-8, as others can store it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
