"""What a service answers, as its OpenAPI document describes it."""

from typing import Any

from pydantic import BaseModel

from tarn.inference.prediction import Guess
from tarn.inference.serving.asked import FORM, JSON, MOST_PICTURES, Told
from tarn.inference.serving.settings import MOST_GUESSES


class GuessTold(BaseModel):
    """A class; probability: its share of the softmax."""

    index: int
    wnid: str
    name: str
    probability: float


class PictureTold(BaseModel):
    """guesses: likeliest first; none where there is an error."""

    picture: str
    guesses: list[GuessTold]
    error: str | None = None


class Answer(BaseModel):
    """milliseconds: from the request's arrival on."""

    predictions: list[PictureTold]
    milliseconds: float


def picture_told(name: str, found: tuple[Guess, ...] | str, top: int) -> dict[str, Any]:
    """A PictureTold, in plain values: to make one of each costs as much as to decode a picture."""
    if isinstance(found, str):
        return {"picture": name, "guesses": [], "error": found}
    guesses = [
        {"index": it.index, "wnid": it.wnid, "name": it.name, "probability": it.probability} for it in found[:top]
    ]
    return {"picture": name, "guesses": guesses, "error": None}


class Failure(BaseModel):
    error: str


class ClassTold(BaseModel):
    """index: among the network's outputs, from 0 on."""

    index: int
    wnid: str
    name: str


class ModelTold(BaseModel):
    """arch: its name. classes: how many. explains: whether it tells where it looked. provenance: of its training, with
    scores. since: when it was read."""

    arch: str
    classes: int
    crop: int
    resize: int
    explains: bool
    provenance: dict[str, Any]
    since: str


class State(BaseModel):
    state: str


FAILURES: dict[int | str, dict[str, Any]] = {
    401: {"model": Failure, "description": "the API key is missing or another one"},
    403: {"model": Failure, "description": "a URL where none is fetched, or a page of another site"},
    408: {"model": Failure, "description": "the request did not arrive in time"},
    413: {"model": Failure, "description": "the request is too large"},
    415: {"model": Failure, "description": "another content type"},
    422: {"model": Failure, "description": "no picture in it can be read, or a field is wrong"},
    500: {"model": Failure, "description": "the model cannot answer"},
    503: {"model": Failure, "description": "busy: come again after Retry-After seconds"},
}

FILE = {"type": "string", "format": "binary"}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": FILE, "minItems": 1, "maxItems": MOST_PICTURES},
                        "top": {"type": "integer", "minimum": 1, "maximum": MOST_GUESSES},
                    },
                    "additionalProperties": False,
                }
            },
            JSON: {"schema": Told.model_json_schema()},
            "image/jpeg": {"schema": FILE},
            "image/png": {"schema": FILE},
            "application/octet-stream": {"schema": FILE},
        },
    }
}
