"""How many samples of each part a global batch has: against counting, and against the exact share."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tarn.training.streaming.division import Division, by_weight, floor_sum

WEIGHTS = st.lists(st.one_of(st.integers(1, 9), st.integers(1, 2000)), min_size=1, max_size=6)
SOME = st.integers(0, 60)


@given(SOME, st.integers(1, 60), SOME, SOME)
def test_a_sum_of_floors_is_what_counting_gives(count: int, divisor: int, step: int, start: int) -> None:
    assert floor_sum(count, divisor, step, start) == sum((step * i + start) // divisor for i in range(count))


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, st.integers(1, 70), st.integers(0, 10**6))
def test_every_turn_has_each_share_right_to_one_sample_and_is_full(weights: list[int], batch: int, at: int) -> None:
    division, total = by_weight(weights, batch), sum(weights)
    for number in (0, 1, at, at + 1):
        before, behind = division.before(number), division.before(number + 1)
        assert sum(before) == number * batch
        for weight, one, other in zip(weights, before, behind, strict=True):
            assert abs(other - one - Fraction(batch * weight, total)) < 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=5), st.integers(1, 50))
def test_over_all_turns_counts_are_exact(counts: list[int], turns: int) -> None:
    counts[0] += -sum(counts) % turns
    division = Division(counts, turns)
    for times in (1, 2, 1000):
        assert division.before(times * turns) == tuple(times * count for count in counts)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 50))
def test_the_turn_of_a_sample_is_the_one_that_counting_finds(counts: list[int], turns: int) -> None:
    counts[0] += -sum(counts) % turns
    division = Division(counts, turns)
    for part, count in enumerate(counts):
        for number in {0, count // 2, count - 1}:
            found = division.turn_of(part, number)
            assert division.before_of(part, found) <= number < division.before_of(part, found + 1)


def test_shares_do_not_drift_between_the_turns() -> None:
    for weights, batch in (((5, 2, 1), 13), ((500, 333, 167), 256), ((1_281_167, 50_000, 12), 1024)):
        division, total = by_weight(weights, batch), sum(weights)
        for number in range(0, 3000, 7):
            for weight, told in zip(weights, division.before(number), strict=True):
                assert abs(told - Fraction(number * batch * weight, total)) < 4


def test_the_published_division_holds_on_every_machine() -> None:
    """A change here breaks the resume of every blended run that is under way."""
    assert [by_weight((5, 2, 1), 6).before(number) for number in range(6)] == COUNTS


COUNTS = [(0, 0, 0), (4, 2, 0), (8, 3, 1), (11, 5, 2), (15, 7, 2), (19, 8, 3)]
