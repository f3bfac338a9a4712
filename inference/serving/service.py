"""A model at work for many at once: how much it takes on, and what becomes of a picture."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from starlette.exceptions import HTTPException

from tarn.inference.models.scorer import Scorer
from tarn.inference.prediction import Guess
from tarn.inference.predictor import Predictor
from tarn.inference.serving.batching import Batcher
from tarn.inference.serving.metrics import Metrics
from tarn.inference.serving.served import Served
from tarn.inference.serving.settings import ServeConfig
from tarn.inference.urls import PUBLIC, fetch
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError
from tarn.training.pixels.pictures import BrokenPictureError, Pixels

FETCHES = 32  # URLs that are read at a time


class Service:
    """One model behind one address. samples: pictures for the page, by name. To be used in one event loop."""

    def __init__(self, served: Served, config: ServeConfig, samples: Mapping[str, Path] = {}) -> None:
        self.served, self.config, self.samples, self.metrics = served, config, samples, Metrics()
        self.batcher = Batcher(config.batch_size, self.metrics.saw_batch, shares_cores(served.predictor.scorer))
        self.preparers = ThreadPoolExecutor(
            available_cores() + 1, "tarn-picture"
        )  # more would only wait for each other
        self.fetching = ThreadPoolExecutor(FETCHES, "tarn-fetching")
        self.busy = 0
        self.ending = False

    @contextmanager
    def room(self, pictures: int) -> Iterator[None]:
        """Raises HTTPException 503 where so many more are too many; one request has room in any case."""
        if self.busy and self.busy + pictures > self.config.room:
            again = {"Retry-After": str(self.batcher.seconds_for(self.busy))}
            raise HTTPException(503, f"busy with {self.busy} pictures: come again later.", again)
        self.busy += pictures
        self.metrics.busy.set(self.busy)
        try:
            yield
        finally:
            self.busy -= pictures
            self.metrics.busy.set(self.busy)

    async def scored(self, pictures: tuple[bytes | str, ...]) -> list[tuple[Guess, ...] | str]:
        """Of each its guesses, or why there are none; all by the same model."""
        predictor = self.served.predictor
        return await asyncio.gather(*(self.one(predictor, picture) for picture in pictures))

    async def one(self, predictor: Predictor, picture: bytes | str) -> tuple[Guess, ...] | str:
        try:
            pixels = await self.prepared(predictor, picture)
        except (TarnError, BrokenPictureError) as error:
            self.metrics.pictures.labels("refused").inc()
            return str(error)
        try:
            found = await self.batcher.score(predictor.score, pixels)
        except TarnError as error:  # of the model, not of the picture
            raise HTTPException(500, str(error)) from error
        self.metrics.pictures.labels("scored").inc()
        return found

    async def prepared(self, predictor: Predictor, picture: bytes | str) -> Pixels:
        """A URL is fetched here: the predictor would take a text that is none for a path on this machine's disk, and
        open stores by this process's credentials. Threads of their own wait for other people's servers, so that those
        that decode, and read samples and the model, never do."""
        loop = asyncio.get_running_loop()
        if isinstance(picture, str):
            picture = await loop.run_in_executor(self.fetching, fetch, picture, self.config.max_bytes, PUBLIC)
        with self.batcher.expecting():
            return await loop.run_in_executor(self.preparers, predictor.prepare, picture)

    async def reload(self) -> None:
        """Raises HTTPException 409 where the old model stays."""
        try:
            await self.served.reload()
        except Exception as error:  # whatever it is, the old one is in use
            self.metrics.loads.labels("failed").inc()
            raise HTTPException(409, f"the model stays as it was: {error}") from error
        self.metrics.loads.labels("done").inc()


def shares_cores(scorer: Scorer) -> bool:
    """Whether the network works where pictures are prepared: graphs do, and those of PyTorch without a device."""
    device = getattr(scorer, "device", None)
    return device is None or device.type == "cpu"
