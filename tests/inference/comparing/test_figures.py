"""How much two models differ, and how sure that is."""

import numpy as np
import pytest

from tarn.inference.comparing.figures import Row, Verdict, difference, figures, share


def test_wilsons_interval_is_that_of_the_books() -> None:
    found = share(8, 10)  # 0.4901625, 0.9433178: R's binom.confint(8, 10, methods="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)
    assert share(0, 5).low == pytest.approx(0, abs=1e-12)
    assert share(5, 5).high == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("gain", "loss"), [(0.02, 0.02), (0.05, 0.01), (0.2, 0.1)])
def test_the_change_lies_in_its_interval_as_often_as_promised(gain: float, loss: float) -> None:
    rng = np.random.default_rng(4)
    inside = 0
    for gained, lost, _ in rng.multinomial(400, [gain, loss, 1 - gain - loss], size=2000):
        found = difference(int(gained), int(lost), 400)
        assert found.value == pytest.approx((gained - lost) / 400)
        inside += found.low <= gain - loss <= found.high
    assert 0.93 <= inside / 2000 <= 0.98


def test_right_and_wrong_are_counted_by_class() -> None:
    told = [("a", "a", "a"), ("a", "a", "b"), ("a", "b", "a"), ("b", "a", "c"), ("b", "b", "b"), (None, "a", "b")]
    verdicts = [Verdict(str(number), *it) for number, it in enumerate(told)]
    found = figures(verdicts)
    assert (found.pictures, found.labelled) == (6, 5)
    assert found.first is not None
    assert found.second is not None
    assert found.change is not None
    assert (found.first.value, found.second.value, found.change.value) == (0.6, 0.6, 0)
    assert found.agree.value == pytest.approx(2 / 6)
    assert found.kinds == {
        "both are wrong": 1,
        "the first is right": 1,
        "the second is right": 1,
        "they differ": 1,
    }
    assert found.classes == (Row("a", 3, 2, 2, 2), Row("b", 2, 1, 1, 1))


def test_pictures_without_labels_are_compared_all_the_same() -> None:
    found = figures([Verdict("x", None, "a", "a"), Verdict("y", None, "a", "b")])
    assert (found.first, found.second, found.change) == (None, None, None)
    assert found.agree.value == 0.5
