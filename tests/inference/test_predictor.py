import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.models import val
from support.web import served
from tarn.inference import Limits, Prediction, Predictor, Reach
from tarn.inference.pictures import InHand, NamedPicture
from tarn.inference.prediction import likeliest, softmax
from tarn.sharding.errors import TarnError, UsageError


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor.load(model, "cpu", top=3, batch_size=4, reach=Reach(allowed=("127.0.0.1/32",)))


def guesses(prediction: Prediction) -> list[tuple[int, float]]:
    assert prediction.error is None, prediction.error
    return [(guess.index, guess.probability) for guess in prediction.guesses]


def test_a_picture_is_the_same_in_whatever_form_it_is_given(predictor: Predictor, pictures: Path) -> None:
    path = val(pictures, 9)
    data, image = path.read_bytes(), Image.open(path)
    array = np.asarray(image.convert("RGB"))
    tensor = torch.from_numpy(array.copy())
    wanted = guesses(predictor.predict(path))
    assert len(wanted) == 3
    with served(path.parent) as web, path.open("rb") as file:
        forms = {
            "str": str(path),
            "bytes": data,
            "bytearray": bytearray(data),
            "memoryview": memoryview(data),
            "open file": file,
            "BytesIO": io.BytesIO(data),
            "Pillow": image,
            "array": array,
            "H x W x 3": tensor,
            "3 x H x W": tensor.permute(2, 0, 1),
            "URL": f"{web.url}/{path.name}",
        }
        for form, given in forms.items():
            assert guesses(predictor.predict(given)) == wanted, form


def test_grey_arrays_and_images_of_any_mode_are_pictures(predictor: Predictor, pictures: Path) -> None:
    with Image.open(val(pictures, 3)) as image:
        grey = image.convert("L")
    assert guesses(predictor.predict(np.asarray(grey))) == guesses(predictor.predict(grey))
    assert guesses(predictor.predict(grey.convert("RGBA"))) == guesses(predictor.predict(grey))


def test_many_in_are_as_many_out_in_their_order(predictor: Predictor, pictures: Path) -> None:
    paths = [val(pictures, number) for number in range(1, 12)]
    one_by_one = [predictor.predict(path) for path in paths]
    assert predictor.predict(paths) == predictor.predict(tuple(paths))
    together = predictor.predict(paths)
    assert [found.picture for found in together] == list(map(str, paths))
    for found, alone in zip(together, one_by_one, strict=True):
        assert [guess.index for guess in found.guesses] == [guess.index for guess in alone.guesses]
        wanted = [guess.probability for guess in alone.guesses]
        assert [guess.probability for guess in found.guesses] == pytest.approx(wanted, abs=1e-5)
    streamed = predictor.predict(path for path in paths)
    assert isinstance(streamed, Iterator)
    assert list(streamed) == together
    stack = np.stack([np.asarray(Image.open(path).convert("RGB").resize((80, 90))) for path in paths[:3]])
    for several in (stack, torch.from_numpy(stack), torch.from_numpy(stack).permute(0, 3, 1, 2)):
        found = predictor.predict(several)
        assert [each.picture for each in found] == ["picture 0", "picture 1", "picture 2"]
        assert [guesses(each) for each in found] == [guesses(each) for each in predictor.predict(list(stack))]
    assert predictor.predict([]) == []


def test_an_endless_stream_is_read_as_it_is_asked_for(predictor: Predictor, pictures: Path) -> None:
    given = []

    def endless() -> Iterator[bytes]:
        while True:
            given.append(val(pictures, 1).read_bytes())
            yield given[-1]

    stream = predictor.predict(endless())
    for _ in range(5):
        assert next(stream).error is None
    assert len(given) <= 12
    stream.close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"<html>", "not a readable picture"),
        (b"", "not a readable picture"),
        ("nowhere.jpg", "nowhere.jpg cannot be read"),
        (np.zeros((8, 8, 3), np.float32), "an array of float32 with the shape 8 x 8 x 3: give uint8"),
        (np.zeros((8, 8, 4), np.uint8), "shape 8 x 8 x 4"),
        (np.zeros((0, 8, 3), np.uint8), "shape 0 x 8 x 3"),
        (torch.zeros(3, 8, 8), "an array of float32"),
        ("https://127.0.0.2/x.jpg", "only public addresses are read"),
        ("file:///etc/hostname", "file:// is none of http"),
        ("local:///etc/hostname", "local:// is none of http"),
        ("simplecache::http://127.0.0.1/x.jpg", "is none of http"),
    ],
)
def test_what_is_broken_has_an_error_and_the_others_go_on(
    given: object, told: str, predictor: Predictor, pictures: Path
) -> None:
    sound = val(pictures, 1)
    found = predictor.predict([sound, given, sound])
    assert told in (found[1].error or "")
    assert found[1].guesses == ()
    assert guesses(found[0]) == guesses(found[2])


def test_what_is_no_picture_at_all_is_the_callers_mistake(predictor: Predictor) -> None:
    with pytest.raises(UsageError, match="int is no picture"):
        predictor.predict(3)
    with pytest.raises(UsageError, match="dict is not one picture"):
        predictor.predict([{"path": "x"}])


def test_a_file_that_is_open_as_text_is_the_callers_mistake(predictor: Predictor, pictures: Path) -> None:
    path = val(pictures, 1)
    with path.open() as text, pytest.raises(UsageError, match=rf"{path.name} is open as text: open it by 'rb'"):
        predictor.predict(text)
    with pytest.raises(UsageError, match="is open as text"):
        predictor.predict(io.StringIO("text"))


def test_a_predictor_says_what_it_is_and_a_wrong_number_is_named_alone(model: Path, predictor: Predictor) -> None:
    assert repr(predictor) == "<Predictor: resnet18, 10 classes, 64 px>"
    with pytest.raises(UsageError, match=r"^--top=0 must be at least 1\.$"):
        Predictor.load(model, top=0)


def test_pictures_beyond_the_limits_are_refused_whatever_form_they_have(model: Path, pictures: Path) -> None:
    data = val(pictures, 1).read_bytes()
    image = Image.open(io.BytesIO(data))
    small = Predictor.load(model, limits=Limits(bytes=len(data) - 1))
    refused = f"too large ({len(data):,} bytes, {len(data) - 1:,} at most)"
    for given in (data, val(pictures, 1), io.BytesIO(data), NamedPicture("x", InHand(data))):
        assert small.predict(given).error == refused
    few = Predictor(small.scorer, limits=Limits(pixels=image.width * image.height - 1))
    for given in (data, image, np.asarray(image)):
        assert f"too large ({image.width} x {image.height} px" in (few.predict(given).error or "")
    assert Predictor(small.scorer, limits=Limits(bytes=len(data))).predict(data).error is None


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_animations_beyond_the_limit_of_frames_are_refused(kind: str, predictor: Predictor) -> None:
    frames = [Image.new("RGB", (40, 40), (16 * number, 255 - 16 * number, 0)) for number in range(5)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    assert Predictor(predictor.scorer, limits=Limits(frames=5)).predict(out.getvalue()).error is None
    told = Predictor(predictor.scorer, limits=Limits(frames=4)).predict(out.getvalue()).error
    assert told == "too long (5 frames, 4 at most)"


def test_a_turned_picture_is_seen_upright_unless_its_orientation_is_to_be_ignored(
    predictor: Predictor, pictures: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    with Image.open(val(pictures, 2)) as image:
        image.save(out, "PNG")
        upright = image.transpose(Image.Transpose.ROTATE_270)
        image.save(turned := io.BytesIO(), "PNG", exif=exif)
    ignoring = Predictor(predictor.scorer, 3, orientation="ignore")
    assert guesses(predictor.predict(turned.getvalue())) == guesses(predictor.predict(upright))
    assert guesses(predictor.predict(Image.open(turned))) == guesses(predictor.predict(upright))
    assert guesses(ignoring.predict(turned.getvalue())) == guesses(predictor.predict(out.getvalue()))
    with pytest.raises(UsageError, match="--orientation=up"):
        Predictor(predictor.scorer, orientation="up")


def test_a_server_prepares_in_any_thread_and_scores_batches(predictor: Predictor, pictures: Path) -> None:
    paths = [val(pictures, number) for number in (1, 2, 3)]
    rows = predictor.score(np.stack([predictor.prepare(path) for path in paths]))
    assert rows == [found.guesses for found in predictor.predict(paths)]


def test_a_model_is_loaded_from_a_url(model: Path, pictures: Path, predictor: Predictor) -> None:
    with served(model.parent) as web:
        found = Predictor.load(f"{web.url}/{model.name}", "cpu", top=3)
        with pytest.raises(TarnError, match=r"gone\.pt"):
            Predictor.load(f"{web.url}/gone.pt")
        (model.parent / "no-model.pt").write_bytes(b"no model")
        with pytest.raises(TarnError, match=rf"^{web.url}/no-model\.pt is no whole file"):
            Predictor.load(f"{web.url}/no-model.pt")
        (model.parent / "no-model.pt").unlink()
    assert guesses(found.predict(val(pictures, 1))) == guesses(predictor.predict(val(pictures, 1)))


def test_the_likeliest_are_those_of_a_whole_sort_and_equals_come_by_their_number() -> None:
    logits = np.random.default_rng(3).normal(size=(50, 40)).astype(np.float32)
    logits[0] = 1
    for top in (1, 5, 40):
        classes, probabilities = likeliest(logits, top)
        wanted = np.argsort(-softmax(logits[1:]), axis=1, kind="stable")[:, :top]
        assert np.array_equal(classes[1:], wanted)
        assert np.array_equal(probabilities, np.take_along_axis(softmax(logits), classes, 1))
    assert likeliest(logits, 40)[0][0].tolist() == list(range(40))


def test_a_checkout_has_the_predictor_under_its_short_name_too_and_needs_no_torch_to_say_what_it_offers() -> None:
    code = (
        "import sys; from inference import Predictor; import tarn.inference; "
        "assert Predictor is tarn.inference.Predictor; assert 'torch' not in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
