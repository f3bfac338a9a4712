"""A service from its beginning to its end: keys, new models, signals."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from servers.client import fetch
from support.services import exported, served
from tarn.inference.__main__ import main

JPEG = {"Content-Type": "image/jpeg"}


def test_with_a_key_nothing_is_told_without_it_but_that_the_service_lives(
    model: Path, photographs: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("secret words\n")
    data = photographs[0].read_bytes()
    with served(model, tmp_path, f"--api-key-file={tmp_path / 'key'}") as running:
        for path in ("/model", "/metrics", "/samples", "/openapi.json"):
            assert fetch(running.url, path)[0] == 401, path
        for wrong in ({}, {"X-API-Key": "secret"}, {"Authorization": "Bearer secret word"}, {"X-API-Key": "\xe9"}):
            status, answer = fetch(running.url, "/predict", "POST", body=data, headers=JPEG | wrong)
            assert status == 401
            assert "the API key is missing" in json.loads(answer)["error"]
        for right in ({"X-API-Key": "secret words"}, {"Authorization": "Bearer secret words"}):
            assert fetch(running.url, "/predict", "POST", body=data, headers=JPEG | right)[0] == 200
        assert [fetch(running.url, path)[0] for path in ("/healthz", "/readyz", "/", "/page/page.js")] == [200] * 4
        assert fetch(running.url, "/reload", "POST", headers={"X-API-Key": "secret words"})[0] == 200
        assert "secret" not in running.said.read_text()


def test_urls_lead_to_no_disk_no_store_and_no_private_address(
    model: Path, photographs: list[Path], tmp_path: Path
) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(photographs[0].read_bytes())
    with served(model, tmp_path, "--urls", f"--samples={tmp_path}") as running:
        for url in (
            str(picture),
            picture.as_uri(),
            f"local://{picture}",
            "s3://bucket/picture.jpg",
            "memory://picture.jpg",
            f"{running.url}/samples/picture.jpg",
            f"http://localhost:{running.url.rpartition(':')[2]}/samples/picture.jpg",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/x",
            "http://10.0.0.1/x",
            "~/picture.jpg",
            "-",
            "x",
        ):
            for path in ("/predict", "/explain"):
                body, headers = json.dumps({"urls": [url]}), {"Content-Type": "application/json"}
                status, answer = fetch(running.url, path, "POST", body=body, headers=headers)
                assert status == 422, (url, path, answer)
                assert json.loads(answer)["error"]


def test_a_new_model_takes_over_without_a_request_lost(photographs: list[Path], tmp_path: Path) -> None:
    served_model = exported(tmp_path / "model", seed=1)
    other = exported(tmp_path / "other", seed=2)
    data = photographs[0].read_bytes()
    with served(served_model, tmp_path) as running:
        answers: list[tuple[int, str]] = []
        enough = threading.Event()

        def ask() -> None:
            while not enough.is_set():
                status, answer = fetch(running.url, "/predict", "POST", body=data, headers=JPEG)
                answers.append((status, str([it["index"] for it in json.loads(answer)["predictions"][0]["guesses"]])))

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        while len(answers) < 20:
            time.sleep(0.01)
        before = json.loads(fetch(running.url, "/model")[1])["provenance"]["seed"]
        shutil.copy(other, tmp_path / "new")
        (tmp_path / "new").replace(served_model)
        running.process.send_signal(signal.SIGHUP)
        while json.loads(fetch(running.url, "/model")[1])["provenance"]["seed"] == before:
            time.sleep(0.01)
        asked = len(answers)
        while len(answers) < asked + 20:
            time.sleep(0.01)
        assert "the model was read again" in running.said.read_text()
        enough.set()
        for client in clients:
            client.join()
        assert {status for status, _ in answers} == {200}
        assert len({told for _, told in answers}) == 2
        payload = torch.load(other, weights_only=True)
        payload["state_dict"]["fc.bias"][0] = float("nan")
        torch.save(payload, tmp_path / "not-finite")
        for wrong in (b"broken", (tmp_path / "not-finite").read_bytes()):
            said = len(running.said.read_text())
            (tmp_path / "new").write_bytes(wrong)
            (tmp_path / "new").replace(served_model)
            running.process.send_signal(signal.SIGHUP)
            while "the model stays as it was" not in running.said.read_text()[said:]:
                time.sleep(0.01)
            assert fetch(running.url, "/predict", "POST", body=data, headers=JPEG)[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_being_served_when_it_is_told_to_end_has_his_answer(
    number: signal.Signals, model: Path, photographs: list[Path], tmp_path: Path
) -> None:
    data = photographs[0].read_bytes()
    with served(model, tmp_path) as running:
        connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=30)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", "image/jpeg")
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data[:1000])
        while b"tarn_pictures_in_service 1.0" not in fetch(running.url, "/metrics")[1]:
            time.sleep(0.01)
        running.process.send_signal(number)
        while accepts(running.url):
            time.sleep(0.01)
        connection.send(data[1000:])
        assert connection.getresponse().status == 200
        connection.close()
        assert running.process.wait(30) in (0, 130)
        assert "Traceback" not in running.said.read_text()


def test_who_ends_it_as_soon_as_it_says_where_it_is_does_not_wait(model: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom tarn.inference.__main__ import main\nfrom tarn.inference.serving import server\n"
        "run = server.Server.serve\n"
        "def late(*words, **more):\n    os.kill(os.getpid(), signal.SIGTERM)\n    return run(*words, **more)\n"
        "server.Server.serve = late\nsys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", str(model), "--port=0"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "at http://127.0.0.1:" in done.stderr


def accepts(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def test_what_cannot_be_served_is_told_in_a_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "none").write_text("")
        for words, error in (
            ([str(model), f"--port={port}"], "cannot be had (Address already in use): choose another"),
            ([str(model), "--port=70000"], "--port=70000 is none"),
            ([str(model), "--room=0"], "--room=0 must be above 0"),
            ([str(model), "--max-bytes=much"], "--max-bytes='much' is not a size"),
            ([str(model), "--max-bytes=20GB"], "is more than all requests may hold"),
            ([str(model), f"--api-key-file={tmp_path / 'none'}"], "the API key is empty"),
            ([str(model), f"--api-key-file={tmp_path / 'gone'}"], "cannot be read"),
            ([str(model), f"--samples={tmp_path}"], "holds no pictures"),
        ):
            assert main(["serve", *words]) == 2, words
            assert error in capsys.readouterr().err
    assert main(["serve", str(tmp_path / "none.pt")]) == 1
    assert "none.pt" in capsys.readouterr().err


def test_sizes_are_told_as_people_write_them(model: Path, photographs: list[Path], tmp_path: Path) -> None:
    data = photographs[0].read_bytes()
    with served(model, tmp_path, "--max-bytes=1KB") as running:
        status, answer = fetch(running.url, "/predict", "POST", body=data, headers=JPEG)
        assert (status, json.loads(answer)["error"][:40]) == (413, "the request is larger than 1,000 bytes: ")


def test_help_comes_without_torch_or_a_web_server() -> None:
    code = (
        "import sys; from tarn.inference.__main__ import main\n"
        "try: main(['serve', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'fastapi', 'uvicorn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
