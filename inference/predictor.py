"""Pictures in, the likeliest classes out, in batches."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from tarn.inference.artifact import Loaded
from tarn.inference.pictures import NamedPicture
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.normalisation import normalise
from tarn.training.pixels.pictures import BrokenPictureError, Pixels
from tarn.training.world.numerics import full_float32


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
    """A model in use: float32, on one device. Raises UsageError for top or batch_size below 1."""

    def __init__(self, loaded: Loaded, device: torch.device, top: int = 5, batch_size: int = 64) -> None:
        if top < 1 or batch_size < 1:
            raise UsageError(f"--top={top} and --batch-size={batch_size} must be at least 1.")
        self.loaded, self.device, self.batch_size = loaded, device, batch_size
        self.top = min(top, len(loaded.classes))
        self.own = threading.local()  # a decoder for each thread
        self.model = loaded.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

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
        side = self.loaded.preprocessing.crop
        pixels = np.empty((side, side, 3), np.uint8)
        try:
            decoder.evaluate(memoryview(picture.read()), pixels, self.loaded.preprocessing)
            return pixels
        except (TarnError, BrokenPictureError) as error:
            return str(error)

    @torch.inference_mode()
    def score(self, names: list[str], decoded: list[Pixels | str]) -> list[Prediction]:
        sound = [pixels for pixels in decoded if not isinstance(pixels, str)]
        rows: Iterator[tuple[list[float], list[int]]] = iter(())
        if sound:
            crop = self.loaded.preprocessing
            images = normalise(torch.from_numpy(np.stack(sound)).to(self.device), crop.mean, crop.std)
            with full_float32():
                best = self.model(images).float().softmax(dim=1).topk(self.top)
            rows = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [
            Prediction(name, (), pixels) if isinstance(pixels, str) else Prediction(name, self.guesses(*next(rows)))
            for name, pixels in zip(names, decoded, strict=True)
        ]

    def guesses(self, probabilities: list[float], indices: list[int]) -> tuple[Guess, ...]:
        infos = [self.loaded.classes[index] for index in indices]
        return tuple(
            Guess(index, info.wnid, info.name, probability)
            for probability, index, info in zip(probabilities, indices, infos, strict=True)
        )
