"""Whether a file comes near enough to be published."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.export.formats import FORMATS, chosen_formats
from tarn.training.export.verdict import judge

COUNT, CLASSES = 1000, 4


@pytest.fixture
def wanted() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(COUNT, CLASSES)).astype(np.float32)


def wrong_on(wanted: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The same, but for another class on so many pictures."""
    found = wanted.copy()
    found[:count] = np.roll(found[:count], 1, axis=1)
    return found


def test_a_quantised_file_may_lose_half_a_point_and_no_more(wanted: NDArray[np.float32]) -> None:
    labels = wanted.argmax(1)
    told = judge(FORMATS["openvino-int8"], wanted, wrong_on(wanted, 5), labels)
    assert (told.top1, told.lost) == pytest.approx((0.995, 0.005))
    assert told.agreement == pytest.approx(0.995)
    with pytest.raises(TarnError, match=r"not published.*int8\.openvino loses 0\.60% of top-1 over 1000 pictures"):
        judge(FORMATS["openvino-int8"], wanted, wrong_on(wanted, 6), labels)


def test_what_gets_better_loses_nothing(wanted: NDArray[np.float32]) -> None:
    labels = wrong_on(wanted, 20).argmax(1)
    assert judge(FORMATS["openvino-bf16"], wanted, wrong_on(wanted, 20), labels).lost == pytest.approx(-0.02)


def test_float32_must_agree_in_its_logits(wanted: NDArray[np.float32]) -> None:
    assert judge(FORMATS["onnx"], wanted, wanted[:64] + 5e-5, None).pictures == 64
    with pytest.raises(TarnError, match=r"model\.onnx gives logits that differ by up to 0\.001"):
        judge(FORMATS["onnx"], wanted, wanted[:64] + 1e-3, None)


@pytest.mark.parametrize("name", ["onnx", "openvino-int8"])
def test_what_is_not_finite_is_never_published(name: str, wanted: NDArray[np.float32]) -> None:
    found = wanted.copy()
    found[3, 1] = np.nan
    with pytest.raises(TarnError, match="not finite"):
        judge(FORMATS[name], wanted, found, None)


def test_formats_are_told_by_name_each_once_in_the_order_of_the_table() -> None:
    assert [format.name for format in chosen_formats(["pkl", " pt", "pkl"])] == ["pt", "pkl"]
    for told, word in ((["pt", "tflite"], "tflite"), ([""], "")):
        with pytest.raises(UsageError, match=f"--formats={word} is unknown: choose from pt, pkl, safetensors"):
            chosen_formats(told)
