"""Signals that come at awkward moments, and other people's servers that never answer."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import uvicorn

from support.checkout import ROOT
from tarn.inference.__main__ import main
from tarn.inference.predictor import Predictor
from tarn.inference.serving.served import Served
from tarn.inference.serving.server import Server
from tarn.inference.serving.service import Service
from tarn.inference.serving.settings import ServeConfig
from tarn.inference.serving.signals import Noted
from tarn.sharding.errors import TarnError


@pytest.fixture(scope="module")
def idle(model: Path) -> Service:
    return Service(Served(lambda: Predictor.load(model, "cpu")), ServeConfig())


def test_a_service_that_is_told_to_end_as_soon_as_it_can_be_reached_ends(model: Path) -> None:
    command = [sys.executable, "-m", "tarn.inference", "serve", str(model), "--port=0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"(Ctrl-C ends it)" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_a_hangup_while_the_model_is_read_does_not_end_the_service(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    followed: list[int] = []

    def load(*words: object, **more: object) -> Predictor:
        os.kill(os.getpid(), signal.SIGHUP)
        raise TarnError("this far")

    monkeypatch.setattr(Predictor, "load", load)
    before = signal.signal(signal.SIGHUP, lambda number, frame: followed.append(number))
    try:
        assert main(["serve", str(model)]) == 1
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "this far" in capsys.readouterr().err
    assert followed == []


def test_of_many_hangups_while_the_model_is_read_one_more_reading_comes(
    idle: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[int] = []

    async def run() -> None:
        going = asyncio.Event()

        async def reload() -> None:
            readings.append(len(readings))
            await going.wait()

        monkeypatch.setattr(idle, "reload", reload)
        with Noted(signal.SIGHUP) as early:
            server = Server(uvicorn.Config("none"), idle, early)
            for _ in range(300):
                server.on_hangup()
                await asyncio.sleep(0)
            going.set()
            await server.reading
            assert readings == [0, 1]
            server.on_hangup()
            await server.reading

    asyncio.run(run())
    assert readings == [0, 1, 2]


def test_servers_that_never_answer_keep_neither_pictures_nor_a_new_model_from_being_read(
    idle: Service, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def fetch(url: str, *more: object) -> bytes:
        answered.wait()
        raise TarnError(f"{url} cannot be read.")

    async def run() -> None:
        predictor = idle.served.predictor
        slow = [asyncio.create_task(idle.one(predictor, f"http://slow/{number}")) for number in range(100)]
        try:
            await asyncio.sleep(0)
            await asyncio.wait_for(idle.prepared(predictor, photographs[0].read_bytes()), 30)
            await asyncio.wait_for(idle.reload(), 30)
        finally:
            answered.set()
            assert {await it for it in slow} == {f"http://slow/{number} cannot be read." for number in range(100)}

    monkeypatch.setattr("tarn.inference.serving.service.fetch", fetch)
    asyncio.run(run())
