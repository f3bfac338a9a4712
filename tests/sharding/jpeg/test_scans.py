"""Pictures of several scans become baseline ones of the same coefficients, or stay as they are."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.jpegs import by_pillow, pixels, segments
from support.scans import Component, Scan, coded, segment
from tarn.sharding.jpeg.structure import Reason, look, tile

SAMPLED = [
    ((1, 1),),
    ((2, 2),),
    ((1, 1),) * 3,
    ((2, 1), (1, 1), (1, 1)),
    ((2, 2), (1, 1), (1, 1)),
    ((4, 1), (1, 1), (1, 1)),
]
UNUSUAL = [((2, 2), (2, 1), (1, 2)), ((1, 1), (2, 2), (1, 1)), ((1, 1),) * 4, ((2, 2), (1, 1), (1, 1), (2, 2))]


def components(
    width: int, height: int, sampling: tuple[tuple[int, int], ...], seed: int, density: float = 0.15
) -> list[Component]:
    """Coefficients of few bits and a few of many, zeros between them."""
    rng = np.random.default_rng([seed, width, height])
    widest, highest = max(h for h, _ in sampling), max(v for _, v in sampling)
    if len(sampling) == 1:
        widest, highest = 1, 1
    made = []
    for h, v in sampling:
        across, down = (1, 1) if len(sampling) == 1 else (h, v)
        shape = (-(-height // (8 * highest)) * down, -(-width // (8 * widest)) * across, 64)
        blocks = np.rint(rng.laplace(0, 3, shape)).astype(int) * (rng.random(shape) < density)
        blocks += rng.integers(-1023, 1024, shape) * (rng.random(shape) < 0.003)
        blocks[..., 0] += rng.integers(-200, 201, shape[:2])
        made.append(Component(h, v, blocks.clip(-1023, 1023)))
    return made


def drawn_script(count: int, rng: np.random.Generator) -> list[Scan]:
    """A sound progression: DC together or alone, bands of AC of random ends, each bit by bit, all in random turns."""
    restart = int(rng.choice([0, 0, 1, 3]))
    queues: list[list[Scan]] = []
    low = int(rng.integers(0, 3))
    groups = [tuple(range(count))] if rng.random() < 0.5 else [(number,) for number in range(count)]
    script = [Scan(group, 0, 0, 0, low, restart) for group in groups]
    queues += [[Scan(group, 0, 0, bit, bit - 1, restart) for bit in range(low, 0, -1)] for group in groups]
    for number in range(count):
        cuts = sorted({1, 64, *rng.integers(2, 64, int(rng.integers(0, 4))).tolist()})
        for first, behind in pairwise(cuts):
            low = int(rng.integers(0, 4))
            scans = [Scan((number,), first, behind - 1, 0, low, restart)]
            queues.append(scans + [Scan((number,), first, behind - 1, b, b - 1, restart) for b in range(low, 0, -1)])
    while queues := [queue for queue in queues if queue]:
        script.append(queues[int(rng.integers(len(queues)))].pop(0))
    return script


@given(
    width=st.integers(1, 50),
    height=st.integers(1, 40),
    sampling=st.sampled_from(SAMPLED + UNUSUAL),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_script_of_scans_gives_the_same_picture(
    width: int, height: int, sampling: tuple[tuple[int, int], ...], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = components(width, height, sampling, seed, float(rng.choice([0.01, 0.15, 0.6])))
    alone = [Scan((number,), 0, 63) for number in range(len(parts))]
    progressive = coded(width, height, parts, drawn_script(len(parts), rng))
    made, reason = tile(progressive, 16)
    assert reason in (Reason.OK, Reason.NO_GAIN, Reason.COMPONENTS, Reason.SAMPLING)
    assert made[:2] == b"\xff\xd8"
    assert dict(segments(made)).keys() & {0xC0, 0xC2} == {0xC0}
    assert made == tile(coded(width, height, parts, drawn_script(len(parts), rng)), 16)[0]
    if sampling in SAMPLED and len(parts) > 1:
        assert made == tile(coded(width, height, parts, alone, progressive=False), 16)[0]
    with Image.open(io.BytesIO(progressive)) as before, Image.open(io.BytesIO(made)) as after:
        assert (before.mode, before.tobytes()) == (after.mode, after.tobytes())
    assert look(made) == (reason if reason in (Reason.COMPONENTS, Reason.SAMPLING) else Reason.OK)


@pytest.mark.parametrize("sampling", SAMPLED)
def test_coefficients_are_those_of_a_baseline_picture_bit_for_bit(sampling: tuple[tuple[int, int], ...]) -> None:
    parts = components(96, 64, sampling, 3)
    baseline = coded(96, 64, parts, [Scan(tuple(range(len(parts))), 0, 63)], progressive=False)
    progressive = coded(96, 64, parts, drawn_script(len(parts), np.random.default_rng(5)))
    one, other = tile(baseline, 32), tile(progressive, 32)
    assert one[1] == other[1] == Reason.OK
    assert one[0].replace(b"\xff\xc1\0", b"\xff\xc0\0") == other[0]


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("RGB", {"subsampling": "4:4:4"}),
        ("RGB", {"subsampling": "4:2:2"}),
        ("RGB", {"subsampling": "4:2:0"}),
        ("RGB", {"restart_marker_blocks": 5}),
        ("RGB", {"keep_rgb": True}),
    ],
)
def test_a_progressive_picture_of_an_encoder_is_tiled_as_its_baseline_twin(
    mode: str, options: dict[str, object]
) -> None:
    baseline, progressive = (by_pillow(300, 200, mode, progressive=it, **options) for it in (False, True))
    assert tile(progressive) == (tile(baseline)[0], Reason.OK)


def test_long_runs_of_empty_bands_are_read() -> None:
    data = io.BytesIO()
    Image.new("RGB", (2000, 1200), (200, 30, 90)).save(data, "JPEG", progressive=True)
    made, reason = tile(data.getvalue())
    assert reason == Reason.OK
    assert np.array_equal(pixels(made), pixels(data.getvalue()))


def test_tables_that_come_between_scans_count_from_then_on() -> None:
    parts = components(64, 64, SAMPLED[4], 1)
    script = [Scan((0,), 0, 63), Scan((1,), 0, 63), Scan((2,), 0, 63)]
    again = segment(0xDB, b"\0" + bytes(range(1, 65)))
    other = segment(0xDB, b"\0" + bytes(range(2, 66)))
    plain = coded(64, 64, parts, script, progressive=False)
    same = coded(64, 64, parts, script, progressive=False, between=lambda number: again)
    changed = coded(64, 64, parts, script, progressive=False, between=lambda number: other if number == 1 else b"")
    late = coded(64, 64, parts, script, progressive=False, between=lambda number: other if number == 0 else b"")
    assert tile(same) == tile(plain)
    assert tile(changed) == (changed, Reason.TABLES)
    assert np.array_equal(pixels(tile(late)[0]), pixels(late))
    assert not np.array_equal(pixels(late), pixels(plain))


DC, AC = [Scan((0, 1, 2), 0, 0)], [Scan((number,), 1, 63) for number in range(3)]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (DC, Reason.INCOMPLETE),
        (DC + AC[:2], Reason.INCOMPLETE),
        ([*DC, Scan((0,), 1, 63, 0, 1), *AC[1:]], Reason.INCOMPLETE),
        ([*DC, Scan((0,), 1, 62), *AC[1:]], Reason.INCOMPLETE),
        ([Scan((0, 1, 2), 0, 0, 0, 1), *AC], Reason.INCOMPLETE),
        (DC + AC + AC[:1], Reason.SCANS),
        (DC + DC + AC, Reason.SCANS),
        (AC + DC, Reason.SCANS),
        ([*DC, Scan((0,), 1, 63, 2, 1), *AC[1:]], Reason.SCANS),
        ([*DC, Scan((0,), 1, 63, 0, 2), Scan((0,), 1, 63, 2, 0), *AC[1:]], Reason.SCANS),
        ([Scan((0, 1, 2), 0, 5), *AC], Reason.SCANS),
        ([*DC, Scan((0, 1), 1, 63), AC[2]], Reason.SCANS),
        ([Scan((1, 0, 2), 0, 0), *AC], Reason.SCANS),
    ],
)
def test_scans_that_are_missing_or_out_of_turn_are_left_to_decoders(script: list[Scan], reason: Reason) -> None:
    data = coded(40, 24, components(40, 24, ((1, 1),) * 3, 2), script)
    assert tile(data) == (data, reason)


def test_coefficients_beyond_a_baseline_picture_are_left() -> None:
    parts = components(40, 24, ((1, 1),) * 3, 2)
    parts[1].blocks[0, 0, 5] = 1024
    data = coded(40, 24, parts, DC + AC)
    assert tile(data) == (data, Reason.DAMAGED)


def test_a_small_file_cannot_ask_for_more_scans_or_pixels_than_there_are_reasons_for() -> None:
    scans = [Scan((0,), k, k, 0, 13) for k in range(1, 64)]
    scans += [Scan((0,), k, k, bit, bit - 1) for bit in range(13, 0, -1) for k in range(1, 64)]
    one = components(8, 8, ((1, 1),), 0, 0.0)
    data = coded(8, 8, one, [Scan((0,), 0, 0), *scans])
    assert tile(data) == (data, Reason.SCANS)
    data = bytearray(by_pillow(100, 80, progressive=True))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = (65000).to_bytes(2, "big") * 2
    assert tile(bytes(data)) == (bytes(data), Reason.TOO_LARGE)


def test_metadata_of_a_progressive_picture_is_kept_as_that_of_others() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    told = {"exif": exif.tobytes(), "icc_profile": b"colours" * 40, "comment": b"holiday", "dpi": (300, 300)}
    made = [tile(by_pillow(200, 100, progressive=it, **told))[0] for it in (False, True)]
    assert made[0] == made[1]


def test_a_flipped_bit_is_never_made_into_other_pixels() -> None:
    data, rng = by_pillow(120, 90, progressive=True, subsampling="4:4:4"), np.random.default_rng(0)
    outcomes = set()
    for place in rng.integers(0, 8 * len(data), 600):
        hurt = bytearray(data)
        hurt[place // 8] ^= 1 << place % 8
        made, reason = tile(bytes(hurt))
        outcomes.add(reason)
        if reason == Reason.OK:
            assert np.array_equal(pixels(made), pixels(bytes(hurt)))
    assert {Reason.OK, Reason.DAMAGED, Reason.SCANS} <= outcomes


@pytest.mark.parametrize("end", [2, 300, 900])
def test_a_progressive_picture_that_was_cut_off_is_left(end: int) -> None:
    data = by_pillow(120, 90, progressive=True)[:-end]
    for cut in (data, data + b"\xff\xd9"):
        made, reason = tile(cut)
        assert reason != Reason.OK or np.array_equal(pixels(made), pixels(cut))
        assert reason in (Reason.DAMAGED, Reason.INCOMPLETE, Reason.OK)
