"""The service: which paths there are, and what each does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from tarn.inference.prediction import Guess
from tarn.inference.predictor import Predictor
from tarn.inference.serving.answers import BODY, FAILURES, Answer, GuessTold, ModelTold, PictureTold, State
from tarn.inference.serving.asked import Asked, asked
from tarn.inference.serving.batching import Batcher
from tarn.inference.serving.gate import Gate
from tarn.inference.serving.metrics import Metrics
from tarn.inference.serving.served import Served
from tarn.inference.serving.settings import ServeConfig
from tarn.sharding.errors import TarnError
from tarn.training.pixels.pictures import BrokenPictureError


class Service:
    """One model behind one address."""

    def __init__(self, served: Served, config: ServeConfig) -> None:
        self.served, self.config, self.metrics = served, config, Metrics()
        self.batcher = Batcher(config.batch_size, self.metrics.saw_batch)
        self.busy = 0
        self.ending = False

    def enter(self, pictures: int) -> None:
        """Raises HTTPException 503 where there is no room for so many more."""
        if self.busy + pictures > self.config.room and self.busy:
            again = {"Retry-After": str(self.batcher.seconds_for(self.busy))}
            raise HTTPException(503, f"busy with {self.busy} pictures: come again later.", again)
        self.busy += pictures
        self.metrics.busy.set(self.busy)

    def leave(self, pictures: int) -> None:
        self.busy -= pictures
        self.metrics.busy.set(self.busy)

    async def answer(self, wanted: Asked) -> list[PictureTold]:
        predictor = self.served.predictor
        told = await asyncio.gather(*(self.one(predictor, picture) for picture in wanted.pictures))
        return [
            PictureTold(picture=name, guesses=[], error=found)
            if isinstance(found, str)
            else PictureTold(picture=name, guesses=[GuessTold(**asdict(guess)) for guess in found[: wanted.top]])
            for name, found in zip(wanted.names, told, strict=True)
        ]

    async def one(self, predictor: Predictor, picture: bytes | str) -> tuple[Guess, ...] | str:
        """Its guesses, or why there are none."""
        try:
            pixels = await asyncio.to_thread(predictor.prepare, picture)
        except (TarnError, BrokenPictureError) as error:
            self.metrics.pictures.labels("refused").inc()
            return str(error)
        found = await self.batcher.score(predictor.score, pixels)
        self.metrics.pictures.labels("scored").inc()
        return found


def app_of(service: Service) -> FastAPI:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(service.batcher.run())
        yield
        service.ending = True
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    app = FastAPI(title="Tarn", summary="Classes of pictures", lifespan=life, docs_url=None, redoc_url=None)

    @app.exception_handler(AnyHTTPException)
    async def failed(request: Request, error: AnyHTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.middleware("http")
    async def counted(request: Request, call_next) -> Response:  # type: ignore[no-untyped-def]
        response: Response = await call_next(request)
        route = request.scope.get("route")
        service.metrics.requests.labels(getattr(route, "path", "unknown"), str(response.status_code)).inc()
        return response

    @app.post("/predict", responses=FAILURES, openapi_extra=BODY)
    async def predict(request: Request) -> Answer:
        """The likeliest classes of one picture or several. Of several, those that cannot be read have an error; where
        none can, the answer is 422."""
        started = time.perf_counter()
        service.enter(1)
        taken = 1
        try:
            wanted = await asked(request, service.config)
            service.leave(1)
            taken = 0
            service.enter(len(wanted.pictures))
            taken = len(wanted.pictures)
            told = await service.answer(wanted)
        finally:
            service.leave(taken)
        if all(it.error is not None for it in told):
            raise HTTPException(422, "; ".join(f"{it.picture}: {it.error}" for it in told)[:2000])
        seconds = time.perf_counter() - started
        service.metrics.seconds.observe(seconds)
        return Answer(predictions=told, milliseconds=1000 * seconds)

    @app.get("/model")
    async def model() -> ModelTold:
        """What is served."""
        card, since = service.served.predictor.card, service.served.since
        how = card.preprocessing
        return ModelTold(
            arch=card.arch,
            classes=card.num_classes,
            crop=how.crop,
            resize=how.resize,
            provenance=dict(card.provenance),
            since=since.isoformat(timespec="seconds"),
        )

    @app.get("/healthz")
    async def healthz() -> State:
        """Whether the process lives."""
        return State(state="alive")

    @app.get("/readyz", responses={503: {"model": State}})
    async def readyz(response: Response) -> State:
        """Whether to send requests here."""
        if service.ending:
            response.status_code = 503
            return State(state="ending")
        return State(state="ready")

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    if service.config.api_key is not None:

        @app.post("/reload", responses={409: FAILURES[422] | {"description": "the model cannot be read"}})
        async def reload() -> ModelTold:
            """Reads the model file again; requests go on meanwhile."""
            await reloaded(service)
            return await model()

    app.add_middleware(Gate, config=service.config)
    return app


async def reloaded(service: Service) -> None:
    """Raises HTTPException 409 where the old model stays."""
    try:
        await service.served.reload()
    except TarnError as error:
        service.metrics.loads.labels("failed").inc()
        raise HTTPException(409, f"the model stays as it was: {error}") from error
    service.metrics.loads.labels("done").inc()
