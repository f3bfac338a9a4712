"""What a request asks: pictures, as a form, as JSON or as the bytes themselves, and how many classes of each."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from tarn.inference.serving.settings import MOST_GUESSES, ServeConfig

MOST_PICTURES = 64  # of one request
TOP = 5
FORM, JSON = "multipart/form-data", "application/json"
LONGEST = 4096  # of a URL
MOST_MARKS = (MOST_PICTURES + 1) * LONGEST  # of JSON's own: what has more takes seconds to be read, all others waiting
RAW = ("image/", "application/octet-stream")

Top = Annotated[int, Field(ge=1, le=MOST_GUESSES, description="classes of each picture")]
URL = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Encoded = Annotated[str, Field(min_length=1, json_schema_extra={"format": "byte"})]


class Told(BaseModel):
    """The JSON of a request. images: the bytes of picture files in base64 (RFC 4648). urls: where pictures lie."""

    model_config = ConfigDict(extra="forbid", strict=True)
    images: Annotated[list[Encoded], Field(max_length=MOST_PICTURES)] = []
    urls: Annotated[list[URL], Field(max_length=MOST_PICTURES)] = []
    top: Top = TOP


@dataclass(frozen=True, slots=True)
class Asked:
    """pictures: bytes of files, or URLs. names: of each, for the answer."""

    pictures: tuple[bytes | str, ...]
    names: tuple[str, ...]
    top: int


async def asked(request: Request, config: ServeConfig) -> Asked:
    """Raises HTTPException 415 for another content type, 422 for what it does not hold, 403 for URLs where they are not
    allowed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        return await of_form(request)
    if kind == JSON:
        return of_json(await request.body(), config)
    if kind.startswith(RAW):
        top = number(request.query_params.get("top"))
        return several([await request.body()], ["picture 0"], top)
    raise HTTPException(415, f"{kind or 'no content type'} is not understood: send {FORM}, {JSON} or image/*.")


async def of_form(request: Request) -> Asked:
    try:
        form = await request.form(max_files=MOST_PICTURES, max_fields=8, max_part_size=1024)
    except (HTTPException, UnicodeError) as error:  # the latter of a charset that the form names
        if isinstance(error, HTTPException) and error.status_code != 400:  # the gate's
            raise
        detail = error.detail.rstrip(".") if isinstance(error, HTTPException) else "its names are in another charset"
        raise HTTPException(422, f"the form cannot be read ({detail}): send parts called file.") from error
    try:
        unknown = sorted({name for name, _ in form.multi_items()} - {"file", "top"})
        if unknown:
            raise HTTPException(422, f"the form has a field {unknown[0][:80]!r}: send file, and top.")
        files = form.getlist("file")
        if not all(isinstance(file, UploadFile) for file in files):
            raise HTTPException(422, "the form's file is text: send it as a file, with a file name.")
        data = [await file.read() for file in files if isinstance(file, UploadFile)]
        names = [getattr(file, "filename", None) or f"picture {count}" for count, file in enumerate(files)]
        return several(data, names, number(form.get("top")))
    finally:
        await form.close()


def of_json(body: bytes, config: ServeConfig) -> Asked:
    if sum(map(body.count, (b"[", b"{", b","))) > MOST_MARKS:
        raise HTTPException(422, "the JSON is not what is asked for: it holds far too many things.")
    try:
        raw = json.loads(body)
        check_few(raw)
        told = Told.model_validate(raw)
    except (ValueError, RecursionError) as error:  # pydantic's is one
        raise HTTPException(422, f"the JSON is not what is asked for: {first_of(error)}.") from error
    if told.urls and not config.urls:
        raise HTTPException(403, "this service fetches no URLs: send the pictures themselves.")
    try:
        pictures = [base64.b64decode(text, validate=True) for text in told.images]
    except (binascii.Error, ValueError) as error:
        raise HTTPException(422, f"images holds no base64 ({error}): encode the bytes of each file.") from error
    names = [f"picture {count}" for count in range(len(pictures))]
    return several([*pictures, *told.urls], [*names, *told.urls], told.top)


def check_few(told: object) -> None:
    """What is more than a request may hold is told at once: pydantic tells it of each of a million, one by one. Raises
    HTTPException 422."""
    for name, value in told.items() if isinstance(told, dict) else ():
        why = None if name in Told.model_fields else "Extra inputs are not permitted"
        if isinstance(value, list) and len(value) > MOST_PICTURES:
            why = f"there are {len(value):,}, at most {MOST_PICTURES} are taken"
        if why is not None:
            raise HTTPException(422, f"the JSON is not what is asked for: {whole(name[:80])}: {why}.")


def whole(text: str) -> str:
    """Without halves of pairs of UTF-16, which JSON and some charsets can say, and no answer."""
    return text.encode("utf-8", "replace").decode()


def first_of(error: Exception) -> str:
    """In words, without what was sent."""
    if isinstance(error, ValidationError):
        told = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, told['loc'])) or 'it'}: {told['msg']}"
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def several(pictures: list[Any], names: list[str], top: int) -> Asked:
    if not pictures:
        raise HTTPException(422, "the request holds no picture: send one as file, in images, or as the body itself.")
    if len(pictures) > MOST_PICTURES:
        raise HTTPException(422, f"the request holds {len(pictures)} pictures: send at most {MOST_PICTURES} at a time.")
    return Asked(tuple(pictures), tuple(map(whole, names)), top)


def number(told: object) -> int:
    """Of classes. Raises HTTPException 422."""
    if told is None:
        return TOP
    if not (isinstance(told, str) and told.isascii() and told.isdecimal() and 1 <= int(told[:9]) <= MOST_GUESSES):
        raise HTTPException(422, f"top={str(told)[:20]!r} must be a number from 1 to {MOST_GUESSES}.")
    return int(told)
