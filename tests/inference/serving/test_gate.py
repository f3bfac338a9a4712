"""How much of what is sent is in memory at a time."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from tarn.inference.serving.gate import Gate
from tarn.inference.serving.settings import ServeConfig
from tarn.sharding.errors import UsageError

PIECE = 1000
SCOPE: Scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}


async def silent(message: Message) -> None: ...


def test_bodies_that_are_too_large_together_are_refused_until_some_are_gone() -> None:
    async def run() -> None:
        refused: list[int] = []
        come, go = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                while (await receive())["more_body"]:
                    pass
            except HTTPException as error:
                refused.append(error.status_code)
                return
            come.set()
            await go.wait()

        gate = Gate(app, ServeConfig(max_bytes=3 * PIECE, held=5 * PIECE))
        first = asyncio.create_task(gate(SCOPE, body(3), silent))
        await come.wait()
        assert gate.held == 3 * PIECE
        await gate(SCOPE, body(3), silent)
        assert (refused, gate.held) == ([503], 3 * PIECE)
        await gate(SCOPE, body(4), silent)
        assert refused == [503, 503]
        go.set()
        await first
        assert gate.held == 0
        await gate(SCOPE, body(4), silent)
        assert (refused, gate.held) == ([503, 503, 413], 0)
        await gate(SCOPE, body(3), silent)
        assert len(refused) == 3

    asyncio.run(run())


def body(pieces: int) -> Receive:
    left = iter(range(pieces - 1, -1, -1))

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(PIECE), "more_body": next(left) > 0}

    return receive


def test_one_request_must_fit() -> None:
    with pytest.raises(UsageError, match="--max-bytes=10 is more than all requests may hold, 5"):
        ServeConfig(max_bytes=10, held=5)
