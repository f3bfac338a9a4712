"""One request through the proxy, its reply, and the fault that may happen to them."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from servers.http1 import LIMIT, Body, Head, read_head
from servers.proxy import Fault, Request
from servers.wire import Pace, reset_connection

BREAKS = ("rst", "fin", "stall")
S3_CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}


@dataclass
class Conditions:
    """What all connections share."""

    host: str
    port: int
    faults: list[Fault] = field(default_factory=list)
    log: list[Request] = field(default_factory=list)
    delay: float = 0.0
    pace: Pace = field(default_factory=Pace)


class Exchange:
    def __init__(self, conditions: Conditions, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.conditions, self.reader, self.writer = conditions, reader, writer

    async def run(self) -> bool:
        """Whether the client's connection may serve another request."""
        head = await read_head(self.reader)
        if head is None:
            return False
        self.method, target, _ = head.line.split(" ", 2)
        path, _, query = target.partition("?")
        self.request = Request(self.method, path, query, head.get("range"))
        self.conditions.log.append(self.request)
        self.fault = next((fault for fault in self.conditions.faults if fault.strikes(self.method, target)), None)
        self.kind = self.fault.kind if self.fault else None
        await asyncio.sleep(self.conditions.delay)
        if self.kind == "refuse":
            return await self.break_off()
        if self.kind == "status":
            return await self.answer(head)
        try:
            incoming, outgoing = await asyncio.open_connection(self.conditions.host, self.conditions.port, limit=LIMIT)
        except OSError:
            self.request.outcome = "unreachable"
            await reset_connection(self.writer)
            return False
        with contextlib.closing(outgoing):
            uploaded = await self.upload(head, outgoing)
            return await self.reply(incoming) and uploaded and head.keeps_alive

    async def answer(self, head: Head) -> bool:
        """Reply in the server's place. A client that asks before it sends is not let send."""
        assert self.fault
        asks = head.get("expect") is not None
        if not asks:
            async for _ in Body(self.reader, head).pieces():
                pass
        code = self.fault.code
        content = f"<Error><Code>{S3_CODES.get(code, 'Error')}</Code><Message>injected</Message></Error>".encode()
        reply = Head(f"HTTP/1.1 {code} Injected", [("Content-Type", "application/xml")])
        reply.put("content-length", str(len(content)))
        if asks:
            reply.put("connection", "close")
        self.request.outcome, self.request.status = "status", code
        self.writer.write(reply.encode())
        if self.method != "HEAD":
            await self.send(content)
        return head.keeps_alive and not asks

    async def upload(self, head: Head, outgoing: asyncio.StreamWriter) -> bool:
        """Whether the server took all of the request; one that answers early may not."""
        if head.get("expect"):
            head.drop("expect")
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        outgoing.write(head.encode())
        body = Body(self.reader, head)
        async for piece in body.pieces():
            async for part in self.conditions.pace.parts(piece):
                outgoing.write(body.frame(part))
                try:
                    await outgoing.drain()
                except ConnectionError:
                    return False
        outgoing.write(body.ending())
        return True

    async def reply(self, incoming: asyncio.StreamReader) -> bool:
        """Whether the client can tell the reply's end without the connection's."""
        head = await read_head(incoming)
        while head and head.status < 200:
            head = await read_head(incoming)
        if head is None:
            raise ConnectionResetError("the server closed without a reply")
        bodiless = self.method == "HEAD" or head.status in (204, 304)
        body = Body(incoming, head, until_close=True, none=bodiless)
        at = self.fault.at if self.fault else 0
        at = (body.length or 0) // 2 if at is None else at
        if self.kind in BREAKS and (at < 0 or body.length == 0):  # where there is no content, the reply itself is lost
            return await self.break_off()
        if self.kind == "shortlen" and body.length is not None:
            at = min(at, body.length)
            head.put("content-length", str(at))
        self.request.status = head.status
        self.writer.write(head.encode())
        return await self.content(body, at) and head.keeps_alive and (body.chunked or body.length is not None)

    async def content(self, body: Body, at: int) -> bool:
        """Pass the content on, up to its end or the fault's place. Whether the connection is whole after that."""
        assert self.kind is None or self.fault
        slow = Pace(self.fault.rate if self.fault and self.kind == "slow" else 0)
        if self.kind == "slow":
            self.request.outcome = "slow"
        async for piece in body.pieces():
            left = at - self.request.sent
            if self.kind in BREAKS and left <= len(piece):
                await self.send(piece[:left], body)
                return await self.break_off()
            if self.kind == "shortlen" and body.length is not None and left <= len(piece):
                self.request.outcome = "shortlen"
                await self.send(piece[:left], body)
                return True
            if self.kind == "corrupt" and 0 <= left < len(piece):
                self.request.outcome = "corrupt"
                piece = piece[:left] + bytes([piece[left] ^ 0x40]) + piece[left + 1 :]
            async for part in slow.parts(piece):
                await self.send(part, body)
        self.writer.write(body.ending())
        await self.writer.drain()
        return True

    async def send(self, piece: bytes, body: Body | None = None) -> None:
        """To the client, counted before it can have arrived."""
        async for part in self.conditions.pace.parts(piece):
            self.request.sent += len(part)
            self.writer.write(body.frame(part) if body else part)
            await self.writer.drain()

    async def break_off(self) -> bool:
        assert self.fault
        self.request.outcome = self.fault.kind
        if self.kind == "stall":
            await asyncio.sleep(self.fault.seconds)
        elif self.kind in ("rst", "refuse"):
            await reset_connection(self.writer)
        return False  # so that it is closed: an end of the stream under a longer Content-Length
