"""Whatever there is where a picture should be, it is one broken picture, to whoever reads it."""

import io
import os
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFile

from tarn.sharding.packing.inspection import damage, describe
from tarn.sharding.packing.preparation import DamagedError, Preparation, prepare
from tarn.sharding.pillow import (
    FORMATS,
    MOST_PIXELS,
    STRICTNESS,
    BrokenPictureError,
    decoding,
    known_formats,
    open_picture,
)
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.pictures import decode_eval, decode_train

PICTURE = Picture("key", File("some/", "picture"), 0, 0)


def encoded(kind: str, width: int = 120, height: int = 90, **how: object) -> bytes:
    rng, out = np.random.default_rng(3), io.BytesIO()
    small = rng.integers(0, 255, (height // 3, width // 3, 3), np.uint8)
    image = Image.fromarray(np.kron(small, np.ones((3, 3, 1), np.uint8)))
    (image.quantize(64) if kind == "GIF" else image).save(out, kind, **how)
    return out.getvalue()


def train(data: bytes) -> None:
    decode_train(data, 32, Augmentation(), np.full(UNIFORMS, 0.4))


def smaller(data: bytes) -> None:
    prepare(data, PICTURE, Preparation(max_side=40, check="off"))


def packed(data: bytes) -> None:
    prepare(data, PICTURE, Preparation(check="all"))


READERS: list[Callable[[bytes], object]] = [lambda data: decode_eval(data, 40, 32), train, smaller, packed]
readers = pytest.mark.parametrize("read", READERS, ids=["evaluation", "training", "packing smaller", "packing"])


@readers
@pytest.mark.parametrize("kind", FORMATS)
def test_pictures_of_every_format_are_read(kind: str, read: Callable[[bytes], object]) -> None:
    read(encoded(kind))


@readers
@pytest.mark.parametrize("kind", ["DDS", "ICO", "PCX", "TGA", "SGI", "EPS", "PDF", "ICNS", "SPIDER"])
def test_no_other_format_s_decoder_is_opened(kind: str, read: Callable[[bytes], object]) -> None:
    with pytest.raises((BrokenPictureError, DamagedError), match=r"not a readable picture \(none of JPEG, PNG"):
        read(encoded(kind) if kind != "SPIDER" else b"\0" * 4000)


@readers
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", [*FORMATS, "lzw"])
def test_a_picture_that_was_cut_off_is_broken_even_where_the_program_told_pillow_to_bear_it(
    kind: str, share: float, read: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded("TIFF", compression="tiff_lzw") if kind == "lzw" else encoded(kind)
    with pytest.raises((BrokenPictureError, DamagedError)) as caught:
        read(data[: int(share * len(data))])
    assert " object at 0x" not in str(caught.value)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@readers
@pytest.mark.parametrize("tail", [lambda size: bytes(size), lambda size: b"\x55" * size], ids=["zeros", "other"])
def test_a_jpeg_whose_second_half_never_arrived_is_broken_and_not_grey(
    tail: Callable[[int], bytes], read: Callable[[bytes], object]
) -> None:
    data = encoded("JPEG", 600, 900)
    half = len(data) // 2
    with pytest.raises((BrokenPictureError, DamagedError), match="cut off before its end marker"):
        read(data[:half] + tail(len(data) - half))


@pytest.mark.parametrize(
    "error", [NotImplementedError("DDS"), RuntimeError("AVIF"), MemoryError(), RecursionError("deep"), KeyError(3)]
)
def test_whatever_a_decoder_raises_is_one_broken_picture(error: Exception) -> None:
    with pytest.raises(BrokenPictureError, match=r"^damaged pixels \(.+\)$"), decoding("damaged pixels"):
        raise error


def test_an_avif_that_its_decoder_refuses_with_a_runtime_error_is_broken() -> None:
    data, refused = encoded("AVIF"), 0
    for at in range(0, len(data), 7):
        harmed = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        try:
            decode_eval(harmed, 40, 32)
        except BrokenPictureError:
            refused += 1
    assert refused


def test_errors_name_no_object_of_the_program() -> None:
    with pytest.raises(BrokenPictureError, match=r"^x \(cannot read its bytes now\)$"), decoding("x"):
        raise OSError(f"cannot read {io.BytesIO()!r} now")


@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1)])
def test_a_long_and_narrow_picture_does_not_take_the_memory_of_its_resizing(size: tuple[int, int]) -> None:
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "PNG")
    with pytest.raises(BrokenPictureError, match="too long and narrow"):
        decode_eval(out.getvalue(), 256, 224)


def test_what_training_would_refuse_for_its_size_is_not_packed() -> None:
    out = io.BytesIO()
    Image.new("L", (17_000, 11_000)).save(out, "JPEG", quality=1)
    assert MOST_PIXELS < 17_000 * 11_000
    assert "too large" in str(damage(out.getvalue(), "sample"))
    assert "too large" in str(damage(png_head(17_000, 11_000), "sample"))
    with pytest.raises(BrokenPictureError, match="too large"):
        describe(png_head(17_000, 11_000))


def png_head(width: int, height: int) -> bytes:
    data = bytearray(encoded("PNG"))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def test_warnings_of_decoders_are_no_errors_and_no_noise() -> None:
    code = (
        "import sys, io; from PIL import Image; from tarn.training.pixels.pictures import decode_eval;"
        "out = io.BytesIO(); image = Image.new('P', (50, 40)); image.putpalette(bytes(range(256)) * 3);"
        "image.save(out, 'PNG', transparency=bytes(range(256))); decode_eval(out.getvalue(), 32, 32)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_pillow_s_other_plugins_are_not_even_loaded() -> None:
    code = (
        "import sys, io; from tarn.sharding.pillow import BrokenPictureError, open_picture\n"
        "try: open_picture(b'DDS ' + bytes(200))\n"
        "except BrokenPictureError: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('PIL.') and 'Dds' in name or 'Eps' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert known_formats() == FORMATS


def test_threads_may_read_at_once() -> None:
    data, failed = encoded("WEBP"), []

    def read() -> None:
        try:
            for _ in range(20):
                open_picture(data).load()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_what_a_program_has_told_pillow_and_python_holds_again_when_the_last_of_several_threads_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    filters, (first, second) = list(warnings.filters), (decoding("first"), decoding("second"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # threads leave in any order
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    warnings.warn("nobody hears of it", stacklevel=1)
    second.__exit__(None, None, None)
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    assert warnings.filters == filters


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_while_threads_decode_decodes_too_and_has_the_programs_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with decoding("elsewhere"):
        STRICTNESS.lock.acquire()
        child = os.fork()
        if not child:
            told = ImageFile.LOAD_TRUNCATED_IMAGES
            open_picture(encoded("PNG")).load()
            os._exit(0 if told and ImageFile.LOAD_TRUNCATED_IMAGES else 1)
        STRICTNESS.lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_libtiff_says_nothing_on_standard_error() -> None:
    """Of codes that are none, for one: it would name no file."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 2, (200, 300)).astype(bool)
    Image.fromarray(noise).save(out, "TIFF", compression="group4")
    harmed = bytearray(out.getvalue())
    harmed[40:80] = bytes(40)
    code = (
        "import sys\n"
        "from tarn.sharding.pillow import open_picture\n"
        "open_picture(bytes.fromhex(sys.stdin.read())).load()\n"
    )
    child = subprocess.run([sys.executable, "-c", code], input=harmed.hex(), capture_output=True, text=True, check=True)
    assert child.stderr == ""
