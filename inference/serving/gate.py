"""Who comes in, and with how much: the first that a request meets, before anything of it is read."""

import asyncio
import contextlib
import hmac
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tarn.inference.serving.settings import ServeConfig

FREE = ("/healthz", "/readyz", "/")  # for what watches over services, and the page, which is told the key behind its #
OWN = ("none", "same-origin")  # what browsers say of requests that no other site's page makes (W3C, Fetch Metadata)
LINGER, LEAVINGS = 1.0, 8_000_000  # s and bytes of a request that is refused which are let go by
CLOSE = {"Connection": "close"}  # for whom the rest of the body is not read
AGAIN = CLOSE | {"Retry-After": "1"}


class Gate:
    """ASGI middleware (https://asgi.readthedocs.io, version 3). Refuses by 401, 403, 408, 413, and by 503 where all
    bodies together take too much memory."""

    def __init__(self, app: ASGIApp, config: ServeConfig) -> None:
        self.app, self.config, self.held = app, config, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, body = Headers(scope=scope), Limited(receive, self)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.leave()
            await send(message)

        try:
            self.admit(scope["method"], scope["path"], headers)
        except HTTPException as error:
            await JSONResponse({"error": error.detail}, error.status_code, error.headers)(scope, receive, answer)
            return
        try:
            await self.app(scope, body, answer)
        finally:
            self.held -= body.bytes

    def admit(self, method: str, path: str, headers: Headers) -> None:
        if self.config.api_key is not None and not is_free(path):
            told = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(told.encode(), self.config.api_key.encode()):
                detail = "the API key is missing or another one: send it as Authorization: Bearer <key>, or X-API-Key."
                raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer", **CLOSE})
        if headers.get("sec-fetch-site", OWN[0]) not in OWN and method == "POST":
            raise HTTPException(403, "a page of another site may not ask: send the request from a program.", CLOSE)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.config.max_bytes:
            raise too_large(self.config.max_bytes)


def is_free(path: str) -> bool:
    return path in FREE or path.startswith("/page/")


class Limited:
    """A request's body, which may be only so long and may take only so much time."""

    def __init__(self, receive: Receive, gate: Gate) -> None:
        self.receive, self.gate, self.config = receive, gate, gate.config
        self.bytes, self.end = 0, time.monotonic() + self.config.patience
        self.whole = self.is_late = False

    async def __call__(self) -> Message:
        if self.whole:  # what comes now is that the other end has gone, which may take its time
            return await self.receive()
        try:
            message = await asyncio.wait_for(self.receive(), max(0.0, self.end - time.monotonic()))
        except TimeoutError:
            self.is_late = True
            detail = f"the request did not arrive within {self.config.patience:g} s: send it again, or less of it."
            raise HTTPException(408, detail, CLOSE) from None
        size = len(message.get("body", b""))
        self.bytes, self.gate.held = self.bytes + size, self.gate.held + size
        self.whole = not message.get("more_body", False)
        if self.bytes > self.config.max_bytes:
            raise too_large(self.config.max_bytes)
        if self.gate.held > self.config.held:
            raise HTTPException(503, "busy with much that is being sent: come again later.", AGAIN)
        return message

    async def leave(self) -> None:
        """Before an answer to a request that was not read to its end: for a moment its rest is let go by, since whoever
        is cut off while he sends does not get to see why (RFC 9112, section 9.6)."""
        end, left = time.monotonic() + LINGER, LEAVINGS
        with contextlib.suppress(TimeoutError):
            while not self.whole and not self.is_late and left > 0:
                message = await asyncio.wait_for(self.receive(), max(0.0, end - time.monotonic()))
                left -= len(message.get("body", b""))
                self.whole = not message.get("more_body", False)


def too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the request is larger than {most:,} bytes: send fewer or smaller pictures.", CLOSE)
