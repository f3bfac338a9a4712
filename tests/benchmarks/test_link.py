"""The benchmarks' slow link carries bytes whole, and where its relay dies nobody waits for it."""

import os
import queue
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.link import link_to
from benchmarks.machine import tree

CONTENT = bytes(range(256)) * 12_000  # more than the link has under way at once
PATIENCE = 60.0  # s; what waits longer would wait for ever


@pytest.fixture
def echo() -> Iterator[str]:
    """The endpoint of a server that takes CONTENT's length in whole and sends it back."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.read(len(CONTENT)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def opened() -> BaseException | None:
    """What opening a link raises, asked of a thread: it could be kept waiting, which is then a failure here."""
    told: queue.Queue[BaseException | None] = queue.Queue()

    def open_it() -> None:
        try:
            with link_to("http://127.0.0.1:9", 0.0, 0.0):
                told.put(None)
        except BaseException as error:
            told.put(error)

    threading.Thread(target=open_it, daemon=True).start()
    try:
        return told.get(timeout=PATIENCE)
    except queue.Empty:
        pytest.fail("still waiting for a relay that is dead")


def children() -> set[int]:
    return set(tree(os.getpid())) - {os.getpid()}


def test_bytes_pass_through_the_link_whole_both_ways(echo: str) -> None:
    with (
        link_to(echo, 0.002, 200e6) as link,
        socket.create_connection(("127.0.0.1", urlsplit(link).port or 0), timeout=PATIENCE) as connection,
        connection.makefile("rb") as back,
    ):
        connection.sendall(CONTENT)
        assert back.read() == CONTENT


def test_a_relay_is_gone_when_its_link_is_left(echo: str) -> None:
    before = children()
    with link_to(echo, 0.0, 0.0):
        assert children() - before
    assert not children() - before


def test_a_relay_that_dies_at_its_start_is_an_error_not_a_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # a Python without its library, which cannot begin
    before = children()
    error = opened()
    assert str(error) == "the relay to http://127.0.0.1:9 ended with exit code 1 at its start; its words are above"
    assert not children() - before


def test_a_relay_that_a_signal_ends_is_told_by_the_name_of_the_signal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -KILL $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    before = children()
    assert "was ended by SIGKILL at its start" in str(opened())
    assert not children() - before
