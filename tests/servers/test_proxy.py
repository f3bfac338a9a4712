"""The proxy passes HTTP on, and each of its faults is what it says."""

import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from servers.client import connected, fetch, partial
from servers.origin import CONTENT, Origin, running_origin
from servers.proxy import Proxy


@pytest.fixture
def origin() -> Iterator[Origin]:
    with running_origin() as origin:
        yield origin


@pytest.fixture
def relay(origin: Origin) -> Iterator[Proxy]:
    """A proxy that needs no object store behind it."""
    with Proxy(origin.endpoint) as relay:
        yield relay


@pytest.mark.parametrize("path", ["/", "/chunks", "/close"])
def test_proxy_passes_replies_on(relay: Proxy, path: str) -> None:
    assert fetch(relay.endpoint, path) == (200, CONTENT)
    assert relay.log[0].sent == len(CONTENT)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_proxy_passes_requests_on(origin: Origin, relay: Proxy, method: str) -> None:
    assert fetch(relay.endpoint, "/x?y=1", method, body=b"content") == (200, b"content")
    assert origin.received == [(method, "/x?y=1", b"content")]
    assert (relay.log[0].path, relay.log[0].query) == ("/x", "y=1")


def test_proxy_passes_chunked_uploads_on(origin: Origin, relay: Proxy) -> None:
    chunks = iter([CONTENT, b"end"])
    assert fetch(relay.endpoint, "/", "PUT", body=chunks, encode_chunked=True) == (200, CONTENT + b"end")
    assert origin.received == [("PUT", "/", CONTENT + b"end")]


def test_proxy_invites_a_client_that_asks_before_it_sends(origin: Origin, relay: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(relay.endpoint).port), timeout=10) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert origin.received == [("PUT", "/", b"abc")]


def test_proxy_keeps_connections_alive(relay: Proxy) -> None:
    with connected(relay.endpoint) as connection:
        connection.connect()
        port = connection.sock.getsockname()
        for method, path in (("HEAD", "/"), ("GET", "/"), ("GET", "/chunks"), ("PUT", "/")):
            connection.request(method, path)
            with connection.getresponse() as reply:
                assert len(reply.read()) == (len(CONTENT) if method == "GET" else 0)
            assert connection.sock.getsockname() == port
    assert len(relay.log) == 4


def test_status_is_answered_so_many_times(relay: Proxy) -> None:
    relay.fault("status", code=500, times=2)
    replies = [fetch(relay.endpoint) for _ in range(3)]
    assert [status for status, _ in replies] == [500, 500, 200]
    assert b"<Code>InternalError</Code>" in replies[0][1]
    assert [request.outcome for request in relay.log] == ["status", "status", "pass"]


def test_status_answers_an_upload_without_passing_it_on(origin: Origin, relay: Proxy) -> None:
    relay.fault("status", method="PUT")
    assert fetch(relay.endpoint, "/", "PUT", body=CONTENT)[0] == 503
    assert origin.received == []


def test_rst_resets_after_so_many_bytes(relay: Proxy) -> None:
    relay.fault("rst", at=1500)
    assert partial(relay.endpoint) == (CONTENT[:1500], "ConnectionResetError")
    assert (relay.log[0].outcome, relay.log[0].sent) == ("rst", 1500)


def test_fin_ends_early(relay: Proxy) -> None:
    relay.fault("fin")
    with pytest.raises(http.client.IncompleteRead) as error:
        fetch(relay.endpoint)
    assert error.value.partial == CONTENT[: len(CONTENT) // 2]


def test_stall_sends_nothing_more(relay: Proxy) -> None:
    relay.fault("stall", at=1500)
    assert partial(relay.endpoint, timeout=1) == (CONTENT[:1500], "TimeoutError")
    relay.fault("stall", at=-1)
    with pytest.raises(TimeoutError):
        partial(relay.endpoint, timeout=1)


def test_stall_ends_in_time(relay: Proxy) -> None:
    relay.fault("stall", at=1500, seconds=0.1)
    with pytest.raises(http.client.IncompleteRead):
        fetch(relay.endpoint)


def test_slow_sends_at_its_rate(relay: Proxy) -> None:
    relay.fault("slow", rate=len(CONTENT) * 2)
    assert seconds_of(relay, 1) > 0.45


def test_corrupt_changes_one_byte(relay: Proxy) -> None:
    relay.fault("corrupt", at=70_000)
    _, content = fetch(relay.endpoint)
    assert [place for place, pair in enumerate(zip(content, CONTENT, strict=True)) if pair[0] != pair[1]] == [70_000]


def test_shortlen_is_a_whole_reply(relay: Proxy) -> None:
    relay.fault("shortlen", at=1500)
    assert fetch(relay.endpoint) == (200, CONTENT[:1500])


def test_refuse_gives_no_reply(relay: Proxy) -> None:
    relay.fault("refuse")
    with pytest.raises(ConnectionResetError):
        fetch(relay.endpoint)
    assert (relay.log[0].outcome, relay.log[0].status) == ("refuse", 0)


def test_reply_to_an_upload_can_be_lost(origin: Origin, relay: Proxy) -> None:
    relay.fault("rst", method="PUT")
    with pytest.raises(ConnectionResetError):
        fetch(relay.endpoint, "/", "PUT")
    assert origin.received == [("PUT", "/", b"")]


def test_fault_strikes_what_it_fits(relay: Proxy) -> None:
    relay.fault("status", match="val/", method="HEAD", after=1, times=None)
    requests = [("HEAD", "/val/0"), ("HEAD", "/val/0"), ("GET", "/val/0"), ("HEAD", "/train/0"), ("HEAD", "/val/1")]
    assert [fetch(relay.endpoint, path, method)[0] for method, path in requests] == [200, 503, 200, 200, 503]


def test_delay_is_added_to_every_request(relay: Proxy) -> None:
    relay.delay = 0.3
    assert seconds_of(relay, 3) > 0.29


def test_rate_is_shared_by_connections(relay: Proxy) -> None:
    relay.rate = len(CONTENT) * 4
    assert seconds_of(relay, 3) > 0.7


def test_reset_forgets_and_breaks_what_is_under_way(relay: Proxy) -> None:
    relay.fault("stall", at=1500, times=None)
    relay.delay = 0.1
    relay.rate = 1e6
    with ThreadPoolExecutor(1) as threads:
        stalled = threads.submit(partial, relay.endpoint)
        while not (relay.log and relay.log[0].outcome == "stall"):
            time.sleep(0.01)
        relay.reset()
        assert stalled.result()[0] == CONTENT[:1500]
    assert relay.log == []
    assert (relay.delay, relay.rate) == (0, 0)
    assert fetch(relay.endpoint) == (200, CONTENT)


def seconds_of(relay: Proxy, count: int) -> float:
    """What so many requests at once take."""
    begin = time.monotonic()
    with ThreadPoolExecutor(count) as threads:
        assert set(threads.map(fetch, [relay.endpoint] * count)) == {(200, CONTENT)}
    return time.monotonic() - begin
