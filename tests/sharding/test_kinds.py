"""What is counted is told in the number that it has."""

import pytest

from tarn.sharding.kinds import counted_kind
from tarn.sharding.sources import Problems

ONE = {
    "rows that come again": "1 row that comes again",
    "rows that have not 2 cells": "1 row that has not 2 cells",
    "rows of LOC.csv that are not `wnid x y x y` repeated": "1 row of LOC.csv that is not `wnid x y x y` repeated",
    "classes without pictures": "1 class without pictures",
    "class folders unknown to train": "1 class folder unknown to train",
    "files that number other classes than the first": "1 file that numbers other classes than the first",
    "samples without a label (cls, json or wnid), which have jpg": (
        "1 sample without a label (cls, json or wnid), which has jpg"
    ),
    "links and devices in a tar": "1 link or device in a tar",
    "hidden members, and members without an ending": "1 hidden member, or member without an ending",
    "names in a tar that lead out of it, or are none": "1 name in a tar that leads out of it, or is none",
    "pairs of tars of train that hold the same samples": "1 pair of tars of train that holds the same samples",
    "indexes that do not fit their tars": "1 index that does not fit their tars",
}


@pytest.mark.parametrize("kind", ONE)
def test_one_of_a_kind_is_told_as_one(kind: str) -> None:
    assert counted_kind(1, kind) == ONE[kind]
    assert counted_kind(0, kind) == f"0 {kind}"
    assert counted_kind(1_500, kind) == f"1,500 {kind}"


def test_problems_are_told_so_too() -> None:
    problems = Problems()
    problems.add("classes without pictures", "a")
    for number in range(1_200):
        problems.add("empty pictures", str(number))
    with pytest.raises(Exception, match=r"1 class without pictures \(a\); 1,200 empty pictures .* and 1,190 more\)\."):
        problems.raise_if_any("x")
