"""Pictures from web servers that somebody else names: only addresses of the public internet are spoken to.

A name is looked up once, every address that it has must be allowed, and the connection goes to one of them, so that no
later answer of a name server can lead elsewhere (DNS rebinding). Each redirect is looked at like the first URL. No
proxy is used, no credentials are sent. (OWASP, Server-Side Request Forgery Prevention.)
"""

import contextlib
import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from tarn.sharding.errors import TarnError, UsageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
SILENCE = 10.0  # s without a byte
DEADLINE = 30.0  # s for all of it
PIECE = 2**16
AGENT = "tarn"
PLAIN = "/%:=&?~+!$,;'@()*[]"  # of a path or a query: sent as it is written
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052


@dataclass(frozen=True, slots=True)
class Reach:
    """Where URLs may lead. everywhere: all that storage reads, for a user who names them himself; otherwise http and
    https alone, at public addresses. allowed: networks (`10.0.0.0/8`) that may be reached all the same.

    Raises UsageError for what is no network.
    """

    everywhere: bool = False
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.allowed:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise UsageError(
                    f"{text!r} is no network ({error}): write it as 10.1.0.0/16 or 127.0.0.1/32."
                ) from error

    def may(self, address: Address) -> bool:
        return (
            self.everywhere
            or any(address in ipaddress.ip_network(text) for text in self.allowed)
            or all(map(is_public, meant(address)))
        )


PUBLIC, EVERYWHERE = Reach(), Reach(everywhere=True)


def is_public(address: Address) -> bool:
    """What is neither this machine, its neighbours, a cloud's metadata service, nor anything reserved."""
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or getattr(address, "is_site_local", False)
    )
    return address.is_global and not special


def meant(address: Address) -> Iterator[Address]:
    """It, and those of version 4 that one of version 6 is passed on to (mapped, 6to4, Teredo); of NAT64 those alone."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
            return
        yield from filter(None, (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())))
    yield address


def fetch(url: str, most: int, reach: Reach = PUBLIC, deadline: float = DEADLINE) -> bytes:
    """At most so many bytes, in at most so many seconds. Raises TarnError, naming the URL, for anything else."""
    until = time.monotonic() + deadline
    at = url
    try:
        for _ in range(MOST_REDIRECTS + 1):
            answer = ask(at, most, reach, until)
            if isinstance(answer, bytes):
                return answer
            at = urljoin(at, answer)
        raise TarnError(f"more than {MOST_REDIRECTS} redirects")
    except TarnError as error:
        via = f" by way of {at}" if at != url else ""
        raise TarnError(f"{url} is not read{via}: {error}.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= until
        reason = f"it took more than {deadline:g} s" if late else " ".join(str(error).split()) or type(error).__name__
        raise TarnError(f"{url} cannot be read ({reason[:200]}).") from error


def ask(url: str, most: int, reach: Reach, until: float) -> bytes | str:
    """The body, or where a redirect leads."""
    scheme, host, port, path = parts_of(url)
    addresses = allowed_addresses(host, port, reach)
    with connected(scheme, host, port, addresses, until) as connection:
        connection.request("GET", path, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", "Accept": "*/*"})
        with connection.getresponse() as answer:
            if answer.status in REDIRECTS and (there := answer.getheader("Location")):
                return there
            check(answer, most)
            body = body_of(answer, most)
    if time.monotonic() >= until:  # what was cut looks like an end
        raise TimeoutError
    return body


def check(answer: http.client.HTTPResponse, most: int) -> None:
    """By its head. Raises TarnError."""
    if answer.status != 200:
        raise TarnError(f"the server answers {answer.status} {answer.reason}".rstrip())
    if answer.getheader("Content-Encoding", "identity") != "identity":
        raise TarnError("the server sends it compressed, unasked")
    if (length := answer.length) is not None and length > most:
        raise TarnError(f"it is too large ({length:,} bytes, {most:,} at most)")


def parts_of(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port, and path with query. Raises TarnError for what is no plain http(s) URL."""
    told = urlsplit(url)
    if told.scheme not in PORTS:
        raise TarnError(f"{told.scheme or 'no scheme'}:// is none of http:// and https://")
    if told.username is not None or told.password is not None:
        raise TarnError("a URL with a user's name is not read")
    if not told.hostname:
        raise TarnError("it names no host")
    path = quote(told.path or "/", PLAIN) + (f"?{quote(told.query, PLAIN)}" if told.query else "")
    return told.scheme, told.hostname, told.port or PORTS[told.scheme], path


def allowed_addresses(host: str, port: int, reach: Reach) -> list[str]:
    """All that the name has, looked up once. Raises TarnError where one of them may not be reached."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TarnError(f"the host {host!r} is not found") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    for text in addresses:
        if not reach.may(ipaddress.ip_address(text.partition("%")[0])):
            raise TarnError(f"{host} is at {text}, and only public addresses are read")
    return addresses


@contextlib.contextmanager
def connected(
    scheme: str, host: str, port: int, addresses: list[str], until: float
) -> Iterator[http.client.HTTPConnection]:
    """Cut at the deadline, whatever it is waiting for: a server that sends a byte now and then is never silent."""
    plain = first_that_answers(addresses, port, until)
    twin = os.dup(plain.fileno())
    cutter = threading.Timer(max(0.0, until - time.monotonic()), cut, [twin])
    cutter.daemon = True
    cutter.start()
    connection = http.client.HTTPConnection(host, port, timeout=SILENCE)
    try:
        secure = scheme == "https"
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
        if secure and port == PORTS["https"]:
            connection.default_port = port  # so that Host does not tell it
        yield connection
    finally:
        cutter.cancel()
        cutter.join()  # its descriptor may be closed only then
        connection.close()
        plain.close()
        os.close(twin)


def first_that_answers(addresses: list[str], port: int, until: float) -> socket.socket:
    failure: OSError = OSError("it has no address")
    for address in addresses:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((address, port), min(SILENCE, left))
        except OSError as error:
            failure = error
    raise failure


def cut(descriptor: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.shutdown(socket.SHUT_RDWR)


def body_of(answer: http.client.HTTPResponse, most: int) -> bytes:
    parts, size = [], 0
    while piece := answer.read1(PIECE):
        parts.append(piece)
        size += len(piece)
        if size > most:
            raise TarnError(f"it is too large (more than {most:,} bytes)")
    if answer.length:
        raise TarnError(f"its connection ended {answer.length:,} bytes too early")
    return b"".join(parts)
