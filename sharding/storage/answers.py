"""What a store's error says: whether the thing is missing, access is refused, or trying again may help."""

import re
from collections.abc import Iterator

MISSING = ("NotFoundError", "FileNotFoundError")
REFUSED = ("PermissionDeniedError", "PermissionError", "UnauthenticatedError", "NoCredentialsError")
UNREACHED = ("ClientConnectorError", "ServerTimeoutError")  # of aiohttp
FINAL_KINDS = (*MISSING, *REFUSED, "NotSupportedError")
STATUS = re.compile(r"\b(?:status|code|Client error)\D{0,24}([45]\d\d)\b", re.IGNORECASE)
REFUSING_STATUS = {401, 403}
PASSING_STATUS = {408, 425, 429}


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came of, each once, for an error may be raised from itself: fsspec hides an answer of a web
    server behind a FileNotFoundError."""
    here: BaseException | None = error
    seen = set[int]()
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here
        here = here.__cause__ or here.__context__


def status_of(error: BaseException) -> int | None:
    """Of HTTP (RFC 9110), where the error tells it."""
    for each in chain(error):
        response = getattr(each, "response", None)
        told = getattr(each, "status", None) or getattr(response, "status_code", None)
        if isinstance(response, dict):  # botocore's
            told = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if isinstance(told, int):
            return told
        if found := STATUS.search(str(each)):
            return int(found[1])
    return None


def is_refused(error: BaseException) -> bool:
    return type(error).__name__ in REFUSED or status_of(error) in REFUSING_STATUS


def is_missing(error: BaseException) -> bool:
    return type(error).__name__ in MISSING and not is_refused(error) and not is_unreached(error)


def is_unreached(error: BaseException) -> bool:
    """Whether no server answered: fsspec hides that behind a FileNotFoundError too."""
    return any(isinstance(each, ConnectionError) or type(each).__name__ in UNREACHED for each in chain(error))


def is_final(error: BaseException) -> bool:
    """Whether trying again is no use: nothing there, no permission, a request that the server will never take."""
    if type(error).__name__ in FINAL_KINDS:
        return True
    status = status_of(error)
    return status is not None and 400 <= status < 500 and status not in PASSING_STATUS


def cause(error: BaseException) -> str:
    text = re.sub(r"\s+", " ", str(error)).split(" Debug source:")[0].strip()
    if is_refused(error):
        code = re.search(r"<Code>(\w+)</Code>", text)  # as S3 answers: InvalidAccessKeyId, ExpiredToken, ...
        status = status_of(error)
        told = f"{status} {code[1] if code else ''}".strip() if status else text[:240]
        return f"access was refused ({told})"
    if is_missing(error):
        return "it is not there"
    if type(error).__name__ in MISSING:
        text = str(list(chain(error))[1])
    return text[:240] or type(error).__name__


def advice(error: BaseException) -> str:
    text = str(error)
    if is_refused(error) or "Expired" in text:
        return (
            "check the credentials (expired? of this store?), that they may read here, the endpoint and the name, and "
            "try again"
        )
    if is_missing(error):
        return "check the name, or put it back"
    if type(error).__name__ == "NotSupportedError" or "ranges" in text:
        return "the server does not serve ranges of files: take one that does, or copy the shards to a disk"
    return "check the network and the store, and try again"
