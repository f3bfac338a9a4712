import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.models import val
from tarn.inference.bulk.decoding import Decoders
from tarn.inference.given import Preparer
from tarn.inference.limits import USUAL, Limits
from tarn.inference.pictures import NamedPicture, Unreadable
from tarn.inference.sources.places import picture_at
from tarn.training.pixels.preprocessing import Preprocessing

HOW = Preprocessing(resize=36, crop=32)


class Deadly:
    """A place that ends the process which it comes to, as a picture may that meets a decoder's fault."""

    def read(self) -> bytes:
        return b""

    def __reduce__(self) -> tuple[object, ...]:
        return signal.raise_signal, (signal.SIGSEGV,)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    found = Decoders(2)
    found.set_up(HOW, 8, "exif", Limits(bytes=10**6))
    yield found
    found.close()
    assert all(child.process.poll() is not None for child in found.children)


def test_batches_come_in_order_with_the_pixels_of_the_predictor(decoders: Decoders, pictures: Path) -> None:
    named = [picture_at(str(val(pictures, number))) for number in range(1, 40)]
    sizes = [8, 3, 1, 8, 8, 8, 3]
    ends = np.cumsum(sizes).tolist()
    batches = [named[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    preparer, seen = Preparer(HOW, limits=USUAL), list[NamedPicture]()
    for each in decoders.decoded(batches):
        assert each.errors == [None] * len(each.pictures)
        assert np.array_equal(each.pixels, np.stack([preparer.pixels(picture) for picture in each.pictures]))
        seen += each.pictures
    assert seen == named


def test_a_picture_that_cannot_be_had_has_its_error_at_its_place(
    decoders: Decoders, pictures: Path, tmp_path: Path
) -> None:
    sound = picture_at(str(val(pictures, 1)))
    (tmp_path / "large.jpg").write_bytes(bytes(10**6 + 1))
    lost = [picture_at("nowhere.jpg"), NamedPicture("x", Unreadable("it was lost"))]
    (found,) = decoders.decoded([[sound, *lost, picture_at(str(tmp_path / "large.jpg")), sound]])
    assert found.errors[0] is found.errors[4] is None
    assert "nowhere.jpg cannot be read" in (found.errors[1] or "")
    assert found.errors[2] == "it was lost"
    assert found.errors[3] == "too large (1,000,001 bytes, 1,000,000 at most)"


def test_a_picture_that_ends_its_decoder_is_found_and_the_others_are_made(decoders: Decoders, pictures: Path) -> None:
    sound, deadly = picture_at(str(val(pictures, 1))), NamedPicture("deadly", Deadly())
    batches = [[sound, deadly, sound, sound, sound], [sound] * 8]
    ends = [None, "its decoder was ended by SIGSEGV", None, None, None]
    assert [each.errors for each in decoders.decoded(batches)] == [ends, [None] * 8]
