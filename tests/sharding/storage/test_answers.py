"""What is said of a store that refuses, by real answers of a web server."""

import os
import socket
from pathlib import Path

import pytest

from support.services import exported
from support.web import served
from tarn.inference.__main__ import main as inference
from tarn.sharding import storage
from tarn.sharding.__main__ import main as sharding
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.answers import cause, is_final

REFUSED = r"access was refused \(403\)\): check the credentials"


@pytest.mark.parametrize("client", ["obstore", "fsspec"])
def test_a_refused_dataset_is_told_as_refused_and_a_missing_one_as_missing(
    shards: Path, client: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(shards, key="open sesame") as web:
        assert sharding(["stats", web.url, "--client", client]) == 1
    said = capsys.readouterr().err
    assert "access was refused (403)" in said
    assert "check the credentials" in said
    with served(shards) as web:
        assert sharding(["stats", f"{web.url}/none", "--client", client]) == 1
    assert "holds no packed dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    "ask",
    [
        storage.size,
        storage.read_bytes,
        lambda url: storage.exists(url, sure=True),
        lambda url: storage.read_range(url, 0, 1),
    ],
)
def test_a_file_that_the_server_refuses_is_not_told_as_missing(tmp_path: Path, ask: object) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    assert callable(ask)
    with served(tmp_path, key="open sesame") as web, pytest.raises(TarnError, match=REFUSED):
        ask(f"{web.url}/a.jpg")
    with served(tmp_path) as web:
        assert ask(f"{web.url}/a.jpg") in (1, True, b"a")
        assert not storage.exists(f"{web.url}/b.jpg", sure=True)


def test_a_picture_that_the_server_refuses_is_no_missing_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(exported(tmp_path / "model"))
    with served(tmp_path, key="open sesame") as web:
        assert inference(["predict", model, f"{web.url}/a.jpg"]) == 1
    assert "access was refused (403)" in capsys.readouterr().err
    with served(tmp_path) as web:
        assert inference(["predict", model, f"{web.url}/a.jpg"]) == 1
    assert "is not there" in capsys.readouterr().err


def test_the_reason_that_s3_gives_is_told() -> None:
    class PermissionDeniedError(Exception):
        """As obstore raises it, with the store's answer in its text."""

    error = PermissionDeniedError(
        "Server returned non-2xx status code: 403 Forbidden: <Error><Code>ExpiredToken</Code>"
    )
    assert cause(error) == "access was refused (403 ExpiredToken)"
    assert is_final(error)
    passing = OSError("Server returned non-2xx status code: 429 Too Many Requests")
    assert not is_final(passing)


def test_a_server_that_does_not_answer_is_not_a_missing_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/x.zip"
        assert sharding(["pack", url, str(tmp_path / "out")]) == 1
        said = capsys.readouterr().err
        assert "Cannot connect to host" in said
        assert "check the network and the store" in said
        with pytest.raises(TarnError, match="Cannot connect to host"):
            storage.size(url)


def test_where_writing_is_refused_credentials_are_spoken_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TarnError, match=r"cannot be written \(access was refused .*check the credentials .* may write"):
        storage.publish("s3://nobodys-bucket/x", b"x")
    with pytest.raises(TarnError, match=r"^foo://bar/x is of no known kind [^:]*: foo\): give a path"):
        storage.publish("foo://bar/x", b"x")
