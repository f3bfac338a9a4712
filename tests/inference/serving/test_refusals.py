"""What a service answers to those who ask otherwise, whatever they send: in one sentence, and it stays up.

More mutants by hand: TARN_MUTANTS=2000 python -m pytest tests/inference/serving/test_refusals.py -k mutants
"""

import contextlib
import json
import os
import random
import socket
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from servers.client import fetch
from support.services import Running, form

MUTANTS = int(os.environ.get("TARN_MUTANTS", "120"))
JPEG, JSON = {"Content-Type": "image/jpeg"}, {"Content-Type": "application/json"}


def refused(service: Running, body: bytes | str, headers: dict[str, str], path: str = "/predict") -> tuple[int, str]:
    status, answer = fetch(service.url, path, "POST", body=body, headers=headers)
    assert fetch(service.url, "/healthz")[0] == 200
    return status, json.loads(answer)["error"]


def png_of(width: int, height: int) -> bytes:
    """A head that claims so many pixels, and none behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + b"\x08\x02\0\0\0")
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"", JPEG, 422, "picture 0"),
        (b"\xff\xd8\xff", JPEG, 422, "picture 0"),
        (b"<html>", JPEG, 422, "picture 0"),
        (png_of(60_000, 60_000), JPEG, 422, "too large"),
        (b"x", {"Content-Type": "text/plain"}, 415, "text/plain is not understood"),
        (b"x", {}, 415, "no content type"),
        (b"{", JSON, 422, "JSON"),
        (b"[]", JSON, 422, "JSON"),
        (b"{}", JSON, 422, "holds no picture"),
        (b'{"images": "x"}', JSON, 422, "images: "),
        (b'{"images": ["%"]}', JSON, 422, "base64"),
        (b'{"images": [3]}', JSON, 422, "images.0: "),
        (b'{"image": "x"}', JSON, 422, "image: Extra inputs are not permitted"),
        (b'{"images": ["eA=="], "top": 0}', JSON, 422, "top: "),
        (b'{"images": ["eA=="], "top": 1e99}', JSON, 422, "top: "),
        (b"[" * 100_000, JSON, 422, "nested"),
        (b"\xff\xfe", JSON, 422, "JSON"),
        (b'{"urls": ["http://127.0.0.1/x"]}', JSON, 403, "fetches no URLs"),
        (json.dumps({"images": ["eA=="] * 65}).encode(), JSON, 422, "images: "),
        (json.dumps({"images": ["eA=="] * 65}).encode(), JSON, 422, "images: there are 65, at most 64"),
        (b'{"images": [' + b"[]," * 300_000 + b"[]]}", JSON, 422, "far too many things"),
        (form(file="text")[0], form()[1], 422, "as a file"),
        (form(file=b"x", other="1")[0], form()[1], 422, "a field 'other'"),
        (form(file=b"x", top="many")[0], form()[1], 422, "top='many'"),
        (form(**{f"file{number}": b"x" for number in range(65)})[0], form()[1], 422, "Too many files"),
        (b"--cut\r\nbroken", form()[1], 422, "holds no picture"),
        (b"x", {"Content-Type": "multipart/form-data"}, 422, "boundary"),
        (b"x" * 2_000_001, JPEG, 413, "larger than 2,000,000 bytes"),
    ],
)
def test_what_is_no_picture_or_no_request_is_refused(
    body: bytes, headers: dict[str, str], status: int, words: str, service: Running
) -> None:
    told, error = refused(service, body, headers)
    assert (told, words in error) == (status, True), error
    assert "\n" not in error


def test_a_body_of_unknown_length_is_not_read_beyond_the_limit(service: Running) -> None:
    with connected(service) as at:
        at.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        sent = 0
        try:
            while sent < 200_000_000:
                at.sendall(piece)
                sent += len(piece)
        except OSError:
            pass  # it has closed the connection
        assert sent < 20_000_000
    assert fetch(service.url, "/healthz")[0] == 200


def test_a_request_that_does_not_arrive_is_given_up(service: Running) -> None:
    with connected(service) as at:
        at.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nslow")
        answer = everything(at)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 2 s" in answer


def test_a_head_that_does_not_arrive_ends_the_connection(service: Running) -> None:
    with connected(service) as at:
        at.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        assert everything(at) == b""


def test_a_gigantic_head_is_refused(service: Running) -> None:
    with connected(service) as at, contextlib.suppress(ConnectionError):  # it may be closed before all was sent
        at.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1_000_000)
        assert everything(at).startswith(b"HTTP/1.1 400 ")
    assert fetch(service.url, "/healthz")[0] == 200


def test_what_is_not_there_or_not_to_be_done_is_told(service: Running) -> None:
    assert fetch(service.url, "/nothing")[0] == 404
    assert fetch(service.url, "/page/../../../etc/passwd")[0] == 404
    assert fetch(service.url, "/page/%2e%2e/%2e%2e/artifact.py")[0] == 404
    assert fetch(service.url, "/samples/..%2f..%2fmodel.pt")[0] == 404
    assert fetch(service.url, "/predict")[0] == 405
    assert fetch(service.url, "/reload", "POST")[0] == 404  # without a key, nobody may


def test_mutants_of_a_request_leave_it_alive_and_well(service: Running, photographs: list[Path]) -> None:
    body, headers = form(file=photographs[0].read_bytes())
    whole = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {headers['Content-Type']}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body

    def send(number: int) -> bytes:
        mutant, is_cut = mutated(whole, random.Random(number))
        with connected(service) as at, contextlib.suppress(ConnectionError):
            at.sendall(mutant)
            if is_cut:
                at.shutdown(socket.SHUT_WR)
            return everything(at)[9:12]
        return b""

    with ThreadPoolExecutor(16) as clients:
        seen = Counter(clients.map(send, range(MUTANTS)))
    assert not [status for status in seen if status.startswith(b"5")], seen
    assert seen[b"200"] > MUTANTS // 20
    assert seen[b"400"] > MUTANTS // 20
    assert fetch(service.url, "/predict", "POST", body=photographs[0].read_bytes(), headers=JPEG)[0] == 200
    assert service.process.poll() is None


def mutated(whole: bytes, rng: random.Random) -> tuple[bytes, bool]:
    """Most often in the head; one in five is cut short."""
    mutant = bytearray(whole)
    for _ in range(rng.randrange(1, 12)):
        at = rng.randrange(400) if rng.random() < 0.7 else rng.randrange(len(mutant))
        mutant[at] = rng.randrange(256)
    is_cut = rng.random() < 0.2
    return bytes(mutant[: rng.randrange(len(mutant))] if is_cut else mutant), is_cut


def connected(service: Running) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def everything(at: socket.socket) -> bytes:
    """Until the other end closes."""
    found, end = b"", time.monotonic() + 20
    while time.monotonic() < end and (piece := at.recv(65536)):
        found += piece
    return found


@pytest.mark.parametrize("told", ["0000000009999", "0" * 5000, "10", "-1", "x"])
def test_a_class_that_the_model_does_not_have_is_not_explained(
    told: str, service: Running, photographs: list[Path]
) -> None:
    status, words = refused(service, photographs[0].read_bytes(), JPEG, f"/explain?class={told}")
    assert status == 422
    assert "must be a number from 0 to 9" in words


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "punycode", "utf-7", "zlib", "none"])
def test_a_form_may_call_its_files_what_it_likes_in_whatever_charset(
    charset: str, service: Running, photographs: list[Path]
) -> None:
    body = form(file=photographs[0].read_bytes())[0].replace(b"file.jpg", b"\\ud800.jpg")
    headers = {"Content-Type": f"multipart/form-data; charset={charset}; boundary=cut"}
    status, answer = fetch(service.url, "/predict", "POST", body=body, headers=headers)
    assert status in (200, 422), answer


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_a_page_of_another_site_may_lead_here_and_not_send(
    site: str, status: int, service: Running, photographs: list[Path]
) -> None:
    told = {"Sec-Fetch-Site": site}
    assert fetch(service.url, "/predict", "POST", body=photographs[0].read_bytes(), headers=JPEG | told)[0] == status
    assert fetch(service.url, "/", headers=told)[0] == 200


def test_who_goes_away_while_he_sends_is_no_fault_of_the_service(service: Running, photographs: list[Path]) -> None:
    said = len(service.said.read_text())
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 9999\r\n\r\nx"
        )
        while b"tarn_pictures_in_service 1.0" not in fetch(service.url, "/metrics")[1]:
            time.sleep(0.01)
    while b"tarn_pictures_in_service 0.0" not in fetch(service.url, "/metrics")[1]:
        time.sleep(0.01)
    assert fetch(service.url, "/predict", "POST", body=photographs[0].read_bytes(), headers=JPEG)[0] == 200
    assert "Traceback" not in service.said.read_text()[said:]
