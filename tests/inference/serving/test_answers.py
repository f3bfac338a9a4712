"""What a service answers to those who ask as they should."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from servers.client import fetch
from support.services import Running, form
from tarn.inference.predictor import Predictor


def guesses_of(told: bytes) -> list[list[tuple[str, float]]]:
    found = json.loads(told)["predictions"]
    return [[(guess["wnid"], guess["probability"]) for guess in picture["guesses"]] for picture in found]


def close(ours: list[list[tuple[str, float]]], theirs: Any) -> bool:
    names = [[guess.wnid for guess in one.guesses] for one in theirs]
    probabilities = [guess.probability for one in theirs for guess in one.guesses]
    same = [[name for name, _ in row] for row in ours] == names
    return same and [value for row in ours for _, value in row] == pytest.approx(probabilities, abs=1e-5)


@pytest.fixture(scope="module")
def expected(model: Path, photographs: list[Path]) -> list[Any]:
    found = Predictor.load(model, device="cpu").predict(photographs)
    assert isinstance(found, list)
    return found


def test_a_turned_picture_is_seen_upright(service: Running, photographs: list[Path]) -> None:
    exif, made = Image.Exif(), list[bytes]()
    exif[0x0112] = 6
    with Image.open(photographs[0]) as image:
        upright = image.transpose(Image.Transpose.ROTATE_270)
        for picture, options in ((image, {"exif": exif}), (upright, {}), (image, {})):
            picture.save(out := io.BytesIO(), "PNG", **options)
            made.append(out.getvalue())
    turned, seen, stored = (
        guesses_of(fetch(service.url, "/predict", "POST", body=data, headers={"Content-Type": "image/png"})[1])
        for data in made
    )
    assert turned == seen != stored


def test_a_form_json_and_the_bytes_alone_have_the_predictors_answer(
    service: Running, photographs: list[Path], expected: list[Any]
) -> None:
    data = photographs[0].read_bytes()
    body, headers = form(file=data)
    asked = {
        "form": (body, headers),
        "json": (json.dumps({"images": [base64.b64encode(data).decode()]}), {"Content-Type": "application/json"}),
        "raw": (data, {"Content-Type": "image/jpeg"}),
        "nameless": (data, {"Content-Type": "application/octet-stream"}),
    }
    for name, (content, told) in asked.items():
        status, answer = fetch(service.url, "/predict", "POST", body=content, headers=told)
        assert status == 200, (name, answer)
        assert close(guesses_of(answer), expected[:1]), name


def test_several_pictures_come_in_their_order_and_one_that_is_broken_spoils_no_other(
    service: Running, photographs: list[Path], expected: list[Any]
) -> None:
    one, other = photographs[3].read_bytes(), photographs[4].read_bytes()
    body, headers = form(file1=one, file2=b"no picture", file3=other, top="2")
    status, answer = fetch(service.url, "/predict", "POST", body=body, headers=headers)
    assert status == 200
    told = json.loads(answer)["predictions"]
    assert [it["picture"] for it in told] == ["file1.jpg", "file2.jpg", "file3.jpg"]
    assert [len(it["guesses"]) for it in told] == [2, 0, 2]
    assert [it["guesses"][0]["wnid"] for it in told[::2]] == [expected[at].guesses[0].wnid for at in (3, 4)]
    assert told[1]["error"]


def test_many_at_once_have_the_answers_of_one_and_are_scored_together(
    service: Running, photographs: list[Path], expected: list[Any]
) -> None:
    def ask(path: Path) -> bytes:
        status, answer = fetch(
            service.url, "/predict", "POST", body=path.read_bytes(), headers={"Content-Type": "image/jpeg"}
        )
        assert status == 200
        return answer

    before = metrics(service)
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(ask, photographs * 6))
    for number, answer in enumerate(answers):
        at = number % len(photographs)
        assert close(guesses_of(answer), expected[at : at + 1])
    after = metrics(service)
    scored = after["tarn_pictures_total", "scored"] - before.get(("tarn_pictures_total", "scored"), 0)
    batches = after["tarn_batch_size_count", ""] - before["tarn_batch_size_count", ""]
    assert scored == 120
    assert batches < scored
    assert after["tarn_pictures_in_service", ""] == 0


def metrics(service: Running) -> dict[tuple[str, str], float]:
    status, told = fetch(service.url, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(told.decode())
    return {
        (it.name, it.labels.get("end", "")): it.value
        for family in families
        for it in family.samples
        if "le" not in it.labels and "path" not in it.labels
    }


def test_the_model_and_the_state_are_told(service: Running) -> None:
    status, told = fetch(service.url, "/model")
    assert status == 200
    model = json.loads(told)
    assert (model["arch"], model["classes"], model["crop"], model["resize"]) == ("resnet18", 10, 32, 40)
    assert model["provenance"] == {"top1": 0.1, "seed": 1}  # and not the config, which names folders of a disk
    assert model["explains"] is True
    classes = json.loads(fetch(service.url, "/classes")[1])
    assert [it["index"] for it in classes] == list(range(10))
    assert classes[3] == {"index": 3, "wnid": "n00000003", "name": "class 3"}
    assert fetch(service.url, "/healthz") == (200, b'{"state":"alive"}')
    assert fetch(service.url, "/readyz") == (200, b'{"state":"ready"}')


def test_what_watches_over_services_may_ask_for_heads_alone(service: Running) -> None:
    for path in ("/", "/healthz", "/readyz"):
        assert fetch(service.url, path, "HEAD") == (200, b""), path


def test_a_path_or_method_that_there_is_not_is_told_in_a_sentence(service: Running) -> None:
    for method, path, wanted, told in (
        ("GET", "/nothing", 404, "there is nothing at /nothing: /openapi.json names what there is."),
        ("GET", "/page/nothing.js", 404, "there is nothing at /page/nothing.js: /openapi.json names what there is."),
        ("GET", "/predict", 405, "GET is not for /predict: use POST."),
        ("POST", "/reload", 404, "without a key there is no /reload: start the service with --api-key-file, or"),
    ):
        status, answer = fetch(service.url, path, method)
        assert (status, json.loads(answer)["error"][: len(told)]) == (wanted, told)
