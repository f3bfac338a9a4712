"""Pictures in, the likeliest classes out, in batches."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.inference.given import Given, Preparer, Readable, is_one, name_of
from tarn.inference.limits import USUAL, Limits
from tarn.inference.models.scorer import Scorer
from tarn.inference.prediction import Guess, Prediction, likeliest
from tarn.inference.urls import PUBLIC, Reach
from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.export.card import Card
from tarn.training.pixels.pictures import BrokenPictureError, Pixels

BATCH = 32


class Predictor:
    """A model in use.

        predictor = Predictor.load("model.pt")
        predictor.predict("cat.jpg")                    # one in, one Prediction out
        predictor.predict(["cat.jpg", image, array])    # a list in, a list out
        predictor.predict(generator)                    # anything else that can be iterated: an iterator, in its order

    A picture is a path, a URL, the bytes of a file, an open file, a Pillow image, a NumPy array (H x W x 3 in RGB, or
    H x W) or a tensor (3 x H x W or H x W x 3), the last two of uint8; an array or tensor of one axis more is several.
    A server that batches what its users send calls prepare() in any thread and score() from one at a time.

    top: classes a prediction. batch_size: of several pictures. orientation: exif, to see a picture as its Exif says, or
    ignore, as training and evaluation do. limits: what a picture may have at most. reach: where URLs may lead, see
    urls.py. Raises UsageError for what makes no sense.
    """

    def __init__(
        self,
        scorer: Scorer,
        top: int = 5,
        batch_size: int = BATCH,
        *,
        orientation: str = "exif",
        limits: Limits = USUAL,
        reach: Reach = PUBLIC,
    ) -> None:
        check_numbers(top, batch_size)
        self.scorer, self.batch_size = scorer, batch_size
        self.top = min(top, scorer.card.num_classes)
        self.preparer = Preparer(scorer.card.preprocessing, orientation, limits, reach)

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str],
        device: str = "auto",
        top: int = 5,
        batch_size: int = BATCH,
        *,
        crop: int | None = None,
        resize: int | None = None,
        flip: bool = False,
        precision: str = "float32",
        orientation: str = "exif",
        limits: Limits = USUAL,
        reach: Reach = PUBLIC,
    ) -> "Predictor":
        """model: a path, or a URL of any store, which is copied to a disk and read from there. device, crop, resize,
        flip, precision: see models/load.py. Raises TarnError for what is no model, UsageError for what cannot be."""
        check_numbers(top, batch_size)
        from tarn.inference.downloading import at_hand
        from tarn.inference.models.load import load  # it may import torch, which takes seconds

        with at_hand(model) as path:
            try:
                scorer = load(path, device, crop, resize, flip, precision)
            except TarnError as error:
                if storage.local_path(model) is not None:
                    raise
                kind = UsageError if isinstance(error, UsageError) else TarnError
                raise kind(str(error).replace(str(path), os.fspath(model))) from error  # nobody knows of the copy
        return cls(scorer, top, batch_size, orientation=orientation, limits=limits, reach=reach)

    def __repr__(self) -> str:
        how = self.card.preprocessing
        return f"<Predictor: {self.card.arch}, {self.card.num_classes} classes, {how.crop} px>"

    @property
    def card(self) -> Card:
        """The model's classes, preprocessing and provenance."""
        return self.scorer.card

    @overload
    def predict(
        self, images: str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | Readable
    ) -> Prediction: ...

    @overload
    def predict(self, images: list[Any] | tuple[Any, ...]) -> list[Prediction]: ...

    @overload
    def predict(self, images: Given) -> Any: ...

    def predict(self, images: Given) -> Any:
        """One Prediction for one picture; for a list, a tuple or an array of several a list, for anything else that can
        be iterated an iterator, in its order; it is read up to two batches ahead.

        A picture that cannot be read has an error in place of guesses. Raises UsageError for what is none.
        """
        if is_one(images):
            (found,) = self.stream([images])
            return found
        found_all = self.stream(images)
        return list(found_all) if hasattr(images, "__len__") else found_all

    def stream(self, images: Iterable[Given]) -> Iterator[Prediction]:
        """Several, one after the other; the next batch is prepared while one is scored."""
        numbered = zip(count(), images)
        with ThreadPoolExecutor() as pool:
            ahead: deque[tuple[list[str], list[Future[Pixels | str]]]] = deque()
            try:
                while batch := list(islice(numbered, self.batch_size)):
                    names = [name_of(given, number) for number, given in batch]
                    ahead.append((names, [pool.submit(self.attempt, given) for _, given in batch]))
                    if len(ahead) > 1:
                        yield from self.finish(*ahead.popleft())
                while ahead:
                    yield from self.finish(*ahead.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def attempt(self, given: Given) -> Pixels | str:
        """Pixels, or what is wrong with the picture."""
        try:
            return self.prepare(given)
        except UsageError:
            raise
        except (TarnError, BrokenPictureError) as error:
            return str(error)

    def prepare(self, given: Given) -> Pixels:
        """crop x crop x 3 uint8, as score() takes them. Raises BrokenPictureError or TarnError for what is no picture,
        cannot be read or is too large, UsageError for what cannot be one."""
        return self.preparer.pixels(given)

    def finish(self, names: Sequence[str], futures: Sequence[Future[Pixels | str]]) -> Iterator[Prediction]:
        prepared = [future.result() for future in futures]
        sound = [pixels for pixels in prepared if not isinstance(pixels, str)]
        guesses = iter(self.score(np.stack(sound)) if sound else ())
        for name, pixels in zip(names, prepared, strict=True):
            is_broken = isinstance(pixels, str)
            yield Prediction(name, (), str(pixels)) if is_broken else Prediction(name, next(guesses))

    def score(self, pixels: NDArray[np.uint8]) -> list[tuple[Guess, ...]]:
        """Of B x crop x crop x 3, the guesses of each, likeliest first."""
        classes, probabilities = likeliest(self.scorer.logits(pixels), self.top)
        return [
            tuple(self.guess(index, probability) for index, probability in zip(*row, strict=True))
            for row in zip(classes.tolist(), probabilities.tolist(), strict=True)
        ]

    def guess(self, index: int, probability: float) -> Guess:
        info = self.card.classes[index]
        return Guess(index, info.wnid, info.name, probability)


def check_numbers(top: int, batch_size: int) -> None:
    """Raises UsageError, in the words of the command."""
    for name, value in {"top": top, "batch-size": batch_size}.items():
        if value < 1:
            raise UsageError(f"--{name}={value} must be at least 1.")
