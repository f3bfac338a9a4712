"""How many samples of each part stand in a global batch, and in all before it: whole numbers, right to one.

Over so many turns part i comes c_i times, and all parts together as often in every turn. A turn has floor(c_i / turns)
of them, and one more as often as the rest of c_i asks for: the rests, laid end to end on a line of which a turn's worth
is one unit, are F units long in all, and a comb of F teeth, a unit apart, gives one more to each part that it hits
(systematic sampling, Madow and Madow 1944, "On the theory of systematic sampling"). The comb moves on by a fixed stride
from turn to turn, which shares no divisor with the number of turns, so over all turns it is at every place once, and
all counts are exact; being near turns over the golden ratio, it is at even places in between. How often a part was hit
before a turn is a sum of floors, which Euclid's algorithm gives without counting (Graham, Knuth, Patashnik 1994,
"Concrete Mathematics", 3.5).
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import gcd

GOLDEN = (618_033_988_749_894_848, 10**18)  # 1 over the golden ratio, as a fraction
AROUND = 64  # strides on either side that are looked at


class Division:
    """counts: of each part over all turns, of which a turn gets as many as any other. Behind the last turn the first
    one comes again. Nothing is as long as the data."""

    def __init__(self, counts: Sequence[int], turns: int) -> None:
        assert sum(counts) % turns == 0, (counts, turns)
        self.turns = turns
        self.least = [count // turns for count in counts]
        self.rests = [count % turns for count in counts]
        self.begins = [end - rest for end, rest in zip(accumulate(self.rests), self.rests, strict=True)]
        self.stride = stride_of(turns)

    def before(self, turn: int) -> tuple[int, ...]:
        """Samples of each part in the first so many turns."""
        return tuple(self.before_of(part, turn) for part in range(len(self.rests)))

    def before_of(self, part: int, turn: int) -> int:
        """Of one part."""
        rest, at = self.rests[part], -self.begins[part] % self.turns
        # hits: x mod turns < rest just where floor(x / turns) and floor((x - rest) / turns) differ
        passed = floor_sum(turn, self.turns, self.stride, at)
        hits = passed + turn - floor_sum(turn, self.turns, self.stride, at + self.turns - rest) if rest else 0
        return self.least[part] * turn + hits

    def turn_of(self, part: int, number: int) -> int:
        """The turn, of the first ones, in which the part's sample of that number stands."""
        return bisect_right(range(self.turns + 1), number, key=lambda turn: self.before_of(part, turn)) - 1


def by_weight(weights: Sequence[int], batch: int) -> Division:
    """weights: whole numbers above 0. batch: samples of a turn."""
    shared = gcd(*weights)
    return Division([batch * weight // shared for weight in weights], sum(weights) // shared)


@lru_cache(4096)
def floor_sum(count: int, divisor: int, step: int, start: int) -> int:
    """The sum of floor((step * i + start) / divisor) over i = 0 .. count - 1; no argument below 0."""
    total = 0
    while count:
        total += count * (count - 1) // 2 * (step // divisor) + count * (start // divisor)
        step, start = step % divisor, start % divisor
        highest = step * count + start
        if highest < divisor:
            break
        count, start, divisor, step = highest // divisor, highest % divisor, step, divisor
    return total


@lru_cache(64)
def stride_of(turns: int) -> int:
    """A number that shares no divisor with the turns, near turns over the golden ratio: the one of those around whose
    multiples lie most evenly, which the quotients of Euclid's algorithm tell (the smaller the largest, the better)."""
    near = turns * GOLDEN[0] // GOLDEN[1]
    around = range(max(1, near - AROUND), near + AROUND + 2)
    coprime = [number for number in around if gcd(number, turns) == 1]
    return min(coprime, key=lambda number: (largest_quotient(turns, number), abs(number - near)))


def largest_quotient(one: int, other: int) -> int:
    largest = 0
    while other:
        largest = max(largest, one // other)
        one, other = other, one % other
    return largest
