"""The service's paths, and what each does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tarn.inference.explaining import explains
from tarn.inference.serving.answers import (
    BODY,
    FAILURES,
    Answer,
    ClassTold,
    Failure,
    ModelTold,
    State,
    picture_told,
)
from tarn.inference.serving.asked import asked
from tarn.inference.serving.gate import Gate
from tarn.inference.serving.metrics import Counted
from tarn.inference.serving.pages import STATIC, pages_of
from tarn.inference.serving.service import Service


def app_of(service: Service) -> FastAPI:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(service.batcher.run())
        yield
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    app = FastAPI(
        title="Tarn",
        summary="Classes of pictures",
        version=own_version(),
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": sentence(request, error)}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> Response:
        """Who has gone while he sent hears nothing; it is no fault of ours, which would be in the log."""
        return Response(status_code=400)

    add_answers(app, service)
    add_watching(app, service)
    app.include_router(pages_of(service))
    app.mount("/page", STATIC)
    app.add_middleware(Gate, config=service.config)
    app.add_middleware(Counted, requests=service.metrics.requests)
    return app


def own_version() -> str:
    try:
        return version("tarn-train")
    except PackageNotFoundError:  # on a path, and not installed
        return "unknown"


def sentence(request: Request, error: HTTPException) -> str:
    """What went wrong; of paths and methods that there are not, the framework tells no more than the status."""
    method, path, told = request.method, request.url.path[:100], str(error.detail)
    if error.status_code == 404 and told == HTTPStatus.NOT_FOUND.phrase:
        if path == "/reload":
            return "without a key there is no /reload: start the service with --api-key-file, or send it SIGHUP."
        return f"there is nothing at {path}: /openapi.json names what there is."
    if error.status_code == 405:
        return f"{method} is not for {path}: use {(error.headers or {}).get('Allow', 'another method')}."
    return told


def add_answers(app: FastAPI, service: Service) -> None:
    @app.post("/predict", response_model=Answer, responses=FAILURES, openapi_extra=BODY)
    async def predict(request: Request) -> Response:
        """The likeliest classes of one picture or several. Of several, those that cannot be read have an error; where
        none can, the answer is 422."""
        started = time.perf_counter()
        with service.room(1):
            wanted = await asked(request, service.config)
            with service.room(len(wanted.pictures) - 1):
                found = await service.scored(wanted.pictures)
        if all(isinstance(it, str) for it in found):
            told = "; ".join(f"{name}: {it}" for name, it in zip(wanted.names, found, strict=True))
            raise HTTPException(422, told[:2000])
        seconds = time.perf_counter() - started
        service.metrics.seconds.observe(seconds)
        predictions = [picture_told(name, it, wanted.top) for name, it in zip(wanted.names, found, strict=True)]
        return JSONResponse({"predictions": predictions, "milliseconds": 1000 * seconds})

    @app.get("/model")
    async def model() -> ModelTold:
        """What is served."""
        return described(service)

    @app.get("/classes", response_model=list[ClassTold])
    async def classes() -> Response:
        """All that it can tell apart, in the order of their index."""
        told = service.served.predictor.card.classes
        return JSONResponse([{"index": at, "wnid": it.wnid, "name": it.name} for at, it in enumerate(told)])

    if service.config.api_key is not None:  # else anybody might keep it busy

        @app.post("/reload", responses={409: {"model": Failure, "description": "the old model stays"}})
        async def reload() -> ModelTold:
            """Reads the model file again; requests go on meanwhile."""
            await service.reload()
            return described(service)


def add_watching(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> State:
        """Whether the process lives."""
        return State(state="alive")

    @app.get("/readyz", responses={503: {"model": State}})
    async def readyz(response: Response) -> State:
        """Whether to send requests here."""
        if service.ending:
            response.status_code = 503
        return State(state="ending" if service.ending else "ready")

    for path, answer in (("/healthz", healthz), ("/readyz", readyz)):  # as some that watch over services ask
        app.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def described(service: Service) -> ModelTold:
    """Without the training's configuration: it names folders of somebody's disk, and the model file has it."""
    card = service.served.predictor.card
    return ModelTold(
        arch=card.arch,
        classes=card.num_classes,
        crop=card.preprocessing.crop,
        resize=card.preprocessing.resize,
        explains=explains(service.served.predictor.scorer),
        provenance={name: value for name, value in card.provenance.items() if name != "config"},
        since=service.served.since.isoformat(timespec="seconds"),
    )
