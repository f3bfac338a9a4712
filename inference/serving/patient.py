"""A connection on which a request must begin to arrive in time, and with a head of a bearable length."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 32_768  # bytes of a request's line and headers


class Patient(HttpToolsProtocol):
    """patience: seconds for a head to arrive, which may be sent a byte a minute."""

    patience = 30.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.begun = 0
        self.await_head()

    def await_head(self) -> None:
        self.begun, self.head, self.is_in_head = self.begun + 1, 0, True
        self.loop.call_later(self.patience, self.give_up, self.begun)

    def give_up(self, begun: int) -> None:
        if self.is_in_head and self.begun == begun and not self.transport.is_closing():
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.begun > 1 or not self.is_in_head:
            self.await_head()

    def on_headers_complete(self) -> None:
        self.is_in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_in_head:
            self.head += len(data)
            if self.head > MOST_HEAD and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")
