"""The page, its samples, and why: what a person has of a service beside its answers."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from tarn.inference import page
from tarn.inference.explaining import heat, overlaid
from tarn.inference.serving.answers import BODY, FAILURES
from tarn.inference.serving.asked import asked
from tarn.inference.serving.service import Service
from tarn.sharding.errors import TarnError
from tarn.training.pixels.pictures import BrokenPictureError

HOME = Path(page.__file__).parent
STATIC = StaticFiles(directory=HOME)
POLICY = {  # https://www.w3.org/TR/CSP3: nothing of another place, and of this one no inline code
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "the picture as it was seen, with the heat over it"}
}


def pages_of(service: Service) -> APIRouter:
    router = APIRouter()

    @router.head("/", include_in_schema=False)
    @router.get("/", include_in_schema=False)
    async def home() -> Response:
        return Response((HOME / "index.html").read_bytes(), media_type="text/html; charset=utf-8", headers=POLICY)

    @router.get("/samples", include_in_schema=False)
    async def samples() -> list[str]:
        return list(service.samples)

    @router.get("/samples/{name}", include_in_schema=False)
    async def sample(name: str) -> Response:
        if name not in service.samples:
            raise HTTPException(404, "there is no such sample.")
        try:
            data = await asyncio.to_thread(service.samples[name].read_bytes)
        except OSError as error:
            raise HTTPException(404, "this sample is not there any more.") from error
        return Response(data, media_type="application/octet-stream", headers=POLICY)

    @router.post("/explain", response_class=Response, responses={**FAILURES, **PNG}, openapi_extra=BODY)
    async def explain(request: Request) -> Response:
        """Where the network looked for a class (`?class=` its index; else the likeliest), as a PNG."""
        with service.room(1):
            wanted = await asked(request, service.config)
            if len(wanted.pictures) != 1:
                raise HTTPException(422, f"the request holds {len(wanted.pictures)} pictures: send one.")
            told = request.query_params.get("class", "")
            return Response(await explained(service, wanted.pictures[0], told), media_type="image/png")

    return router


async def explained(service: Service, picture: bytes | str, told: str) -> bytes:
    predictor = service.served.predictor
    most = predictor.card.num_classes
    if told and not (told.isascii() and told.isdecimal() and len(told) < 10 and int(told) < most):
        raise HTTPException(422, f"class={told[:20]!r} must be a number from 0 to {most - 1}.")
    try:
        pixels = await service.prepared(predictor, picture)
        index = int(told) if told else (await service.batcher.score(predictor.score, pixels))[0].index
        found = await service.batcher.alone(heat, predictor.scorer, pixels, index)
    except (TarnError, BrokenPictureError) as error:
        raise HTTPException(422, str(error)) from error
    return await asyncio.to_thread(overlaid, pixels, found)
