"""A small HTTP server in the test's process: something simple behind a proxy, that tells what has reached it."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 1000


@dataclass
class Origin:
    endpoint: str
    received: list[tuple[str, str, bytes]] = field(default_factory=list)  # method, path, body


@contextlib.contextmanager
def running_origin() -> Iterator[Origin]:
    """GET answers with CONTENT: in chunks at /chunks, up to the end of the connection at /close. Others are echoed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            if self.path == "/chunks":
                self.send_header("Transfer-Encoding", "chunked")
            elif self.path == "/close":
                self.send_header("Connection", "close")
            else:
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if self.path != "/chunks":
                self.wfile.write(CONTENT)
                return
            for begin in range(0, len(CONTENT), 100_000):
                chunk = CONTENT[begin : begin + 100_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def do_PUT(self) -> None:
            body = self.read_body()
            origin.received.append((self.command, self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_HEAD = do_GET  # noqa: N815
        do_POST = do_DELETE = do_PUT  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        origin = Origin(f"http://127.0.0.1:{server.server_address[1]}")
        yield origin
        server.shutdown()
        thread.join()
