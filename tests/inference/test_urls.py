import contextlib
import ipaddress
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tarn.inference import urls
from tarn.inference.urls import PUBLIC, Reach, fetch, is_public
from tarn.sharding.errors import TarnError, UsageError

HERE = Reach(allowed=("127.0.0.1/32",))
BODY = bytes(range(256)) * 40


class Server(ThreadingHTTPServer):
    """asked: path, and the headers Host and Accept-Encoding, of each request."""

    daemon_threads = True

    def __init__(
        self, address: str = "127.0.0.1", answers: dict[str, Callable[["Handler"], None]] | None = None
    ) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answers = answers or {}
        super().__init__((address, 0), Handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Host"], self.headers["Accept-Encoding"]))
        self.server.answers.get(self.path, whole)(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


def whole(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(BODY)))
    handler.end_headers()
    handler.wfile.write(BODY)


def leading_to(url: str, status: int = 302) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Location", url)
        handler.end_headers()

    return answer


def unsized(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(BODY)


def cut_short(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(2 * len(BODY)))
    handler.end_headers()
    handler.wfile.write(BODY)


def compressed(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()


def dripping(handler: Handler) -> None:
    """A byte now and then, for ever: never silent, never done."""
    handler.send_response(200)
    handler.end_headers()
    drip(handler, b"x")


def dripping_headers(handler: Handler) -> None:
    drip(handler, b"HTTP/1.1 200 OK\r\nX-A: ")
    drip(handler, b"x")


def drip(handler: Handler, data: bytes) -> None:
    done = threading.Event()
    with contextlib.suppress(OSError):
        while not done.wait(0.02):
            handler.wfile.write(data)
            handler.wfile.flush()


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    with server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as found:
        yield found


def test_bytes_come_as_they_are(server: Server) -> None:
    assert fetch(f"{server.url}/a%20b c/ü.jpg?x=1&y=ä", len(BODY), HERE) == BODY
    host, port = server.server_address[:2]
    assert server.asked == [("/a%20b%20c/%C3%BC.jpg?x=1&y=%C3%A4", f"{host!s}:{port}", "identity")]


def test_only_public_addresses_are_asked_unless_others_are_allowed(server: Server) -> None:
    with pytest.raises(TarnError, match=r"is at 127\.0\.0\.1, and only public addresses are read"):
        fetch(server.url, len(BODY), PUBLIC)
    port = server.server_address[1]
    for host in ("localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(TarnError, match="only public addresses"):
            fetch(f"http://{host}:{port}/", len(BODY), PUBLIC)
    assert server.asked == []
    assert fetch(server.url, len(BODY), Reach(everywhere=True)) == BODY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere_that_the_first_url_may_not_lead(status: int) -> None:
    with running(Server("127.0.0.2")) as inner:
        answers = {
            "/in": leading_to(f"{inner.url}/secret", status),
            "/file": leading_to("file:///etc/hostname", status),
            "/here": leading_to("/there?x", status),
            "/loop": leading_to("/loop", status),
        }
        with running(Server(answers=answers)) as server:
            with pytest.raises(TarnError, match=r"by way of .*/secret.*only public addresses"):
                fetch(f"{server.url}/in", len(BODY), HERE)
            with pytest.raises(TarnError, match="file:// is none of http"):
                fetch(f"{server.url}/file", len(BODY), HERE)
            assert fetch(f"{server.url}/here", len(BODY), HERE) == BODY
            with pytest.raises(TarnError, match="more than 5 redirects"):
                fetch(f"{server.url}/loop", len(BODY), HERE)
        assert inner.asked == []


def test_a_name_is_looked_up_once_and_all_of_its_addresses_must_be_allowed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = int(server.server_address[1]), list[str]()
    real = socket.getaddrinfo

    def rebinding(host: str, *args: object, **kwargs: object) -> object:
        """An allowed address at first, another one from then on."""
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.3", *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(urls.socket, "getaddrinfo", only_for("pictures.example", rebinding, real))
        assert fetch(f"http://pictures.example:{port}/x", len(BODY), HERE) == BODY
    assert asked == ["pictures.example"]
    assert server.asked[0][1] == f"pictures.example:{port}"

    def both(host: str, *args: object, **kwargs: object) -> object:
        found = [real(each, *args, **kwargs) for each in ("127.0.0.1", "127.0.0.3")]  # type: ignore[arg-type]
        return found[0] + found[1]

    with monkeypatch.context() as patch:
        patch.setattr(urls.socket, "getaddrinfo", only_for("pictures.example", both, real))
        with pytest.raises(TarnError, match=r"127\.0\.0\.3"):
            fetch(f"http://pictures.example:{port}/x", len(BODY), HERE)


def only_for(name: str, lookup: Callable[..., object], others: Callable[..., object]) -> Callable[..., object]:
    return lambda host, *args, **kwargs: (lookup if host == name else others)(host, *args, **kwargs)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (whole, r"too large \(10,240 bytes, 10,239 at most\)"),
        (unsized, "too large .more than 10,239 bytes"),
        (cut_short, "too large"),
        (compressed, "compressed, unasked"),
        (lambda handler: handler.send_error(403), "answers 403 Forbidden"),
    ],
)
def test_an_answer_that_is_no_picture_of_that_size_is_refused(answer: Callable[[Handler], None], told: str) -> None:
    with running(Server(answers={"/": answer})) as server, pytest.raises(TarnError, match=told) as raised:
        fetch(f"{server.url}/", len(BODY) - 1, HERE)
    assert server.url in str(raised.value)


def test_a_body_that_ends_too_early_is_no_picture() -> None:
    with running(Server(answers={"/": cut_short})) as server, pytest.raises(TarnError, match="10,240 bytes too early"):
        fetch(f"{server.url}/", 10**6, HERE)


@pytest.mark.parametrize("answer", [dripping, dripping_headers])
def test_a_server_that_is_never_done_is_left(answer: Callable[[Handler], None]) -> None:
    with running(Server(answers={"/": answer})) as server, pytest.raises(TarnError, match=r"took more than 0\.4 s"):
        fetch(f"{server.url}/", 10**9, HERE, deadline=0.4)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://127.0.0.1/x", "ftp:// is none of http"),
        ("gopher://127.0.0.1/x", "is none of http"),
        ("//127.0.0.1/x", "no scheme"),
        ("http:///x", "names no host"),
        ("http://user:word@127.0.0.1/x", "a user's name"),
        ("http://127.0.0.1:99999/x", "Port out of range"),
        ("http://[::1/x", "Invalid IPv6 URL"),
        ("http://nowhere.invalid/x", "'nowhere.invalid' is not found"),
        ("http://127.0.0.1:1/x", "Connection refused"),
        (f"http://{'a' * 70}.example/x", "is not found"),
    ],
)
def test_a_url_that_cannot_be_read_is_told_in_one_sentence(url: str, told: str) -> None:
    with pytest.raises(TarnError, match=told) as raised:
        fetch(url, 100, HERE)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("198.18.0.1", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert PUBLIC.may(ipaddress.ip_address(address)) == public
    assert is_public(ipaddress.ip_address("8.8.8.8"))


def test_what_is_no_network_cannot_be_allowed() -> None:
    with pytest.raises(UsageError, match=r"'10\.0\.0\.0/99' is no network"):
        Reach(allowed=("10.0.0.0/99",))


def test_the_certificate_of_a_server_must_be_one_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pictures.example"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    try:
        made = [*words, *names, "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(made, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not here to make a certificate")
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    allowed = Reach(allowed=("127.0.0.0/8", "::1/128"))
    with running(server):
        with pytest.raises(TarnError, match="certificate verify failed"):
            fetch(f"https://localhost:{port}/x", len(BODY), allowed)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(f"https://localhost:{port}/x", len(BODY), allowed) == BODY
        with pytest.raises(TarnError, match="certificate verify failed"):
            fetch(f"https://127.0.0.1:{port}/x", len(BODY), allowed)
