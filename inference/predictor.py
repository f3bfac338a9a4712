"""Pictures in, the likeliest classes out, in batches."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tarn.inference.models.scorer import Scorer
from tarn.inference.pictures import NamedPicture
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.pictures import BrokenPictureError, Pixels


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and its probability (softmax)."""

    index: int
    wnid: str
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Guesses, likeliest first; or none, and the error that kept the picture from being seen."""

    picture: str
    guesses: tuple[Guess, ...]
    error: str | None = None


class Predictor:
    """A model in use. Raises UsageError for top or batch_size below 1."""

    def __init__(self, scorer: Scorer, top: int = 5, batch_size: int = 64) -> None:
        if top < 1 or batch_size < 1:
            raise UsageError(f"--top={top} and --batch-size={batch_size} must be at least 1.")
        self.scorer, self.batch_size = scorer, batch_size
        self.top = min(top, scorer.card.num_classes)
        self.own = threading.local()  # a decoder for each thread

    def predict(self, pictures: Iterable[NamedPicture]) -> Iterator[Prediction]:
        """In the order of the pictures. A broken one gives an error, the others go on."""
        pictures = iter(pictures)
        with ThreadPoolExecutor(initializer=self.equip) as pool:
            while batch := list(islice(pictures, self.batch_size)):
                decoded = list(pool.map(self.decode, batch))
                yield from self.score([picture.name for picture in batch], decoded)

    def equip(self) -> None:
        self.own.decoder = PictureDecoder()

    def decode(self, picture: NamedPicture) -> Pixels | str:
        """crop x crop x 3 uint8, or what is wrong with the picture."""
        decoder: PictureDecoder = self.own.decoder
        how = self.scorer.card.preprocessing
        pixels = np.empty((how.crop, how.crop, 3), np.uint8)
        try:
            decoder.evaluate(memoryview(picture.read()), pixels, how)
            return pixels
        except (TarnError, BrokenPictureError) as error:
            return str(error)

    def score(self, names: list[str], decoded: list[Pixels | str]) -> list[Prediction]:
        sound = [pixels for pixels in decoded if not isinstance(pixels, str)]
        rows = iter(softmax(self.scorer.logits(np.stack(sound))) if sound else ())
        return [
            Prediction(name, (), pixels) if isinstance(pixels, str) else Prediction(name, self.guesses(next(rows)))
            for name, pixels in zip(names, decoded, strict=True)
        ]

    def guesses(self, probabilities: NDArray[np.float32]) -> tuple[Guess, ...]:
        best = np.argsort(-probabilities, kind="stable")[: self.top]
        classes = self.scorer.card.classes
        return tuple(
            Guess(index, classes[index].wnid, classes[index].name, float(probabilities[index]))
            for index in best.tolist()
        )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """B x classes, along the classes."""
    powers: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
