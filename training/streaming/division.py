"""How many samples of each part stand in a global batch, and in all before it: whole numbers, right to one.

A batch of G samples owes part i the share q = G w / W of it, w being its weight and W that of all. It gets floor(q) of
them, and one more in as many batches as the rest of q asks for: the rests, laid end to end on a line, are F units long
in all, and a comb of F teeth, a unit apart, gives one more to each part that it hits (systematic sampling, Madow and
Madow 1944, "On the theory of systematic sampling"). The comb moves on by a fixed stride from batch to batch, coprime to
W and near W over the golden ratio, so it comes through all W places in W batches: over these every part has its share
to the sample, and in between the places lie as even as may be. How often a part was hit before a batch is a sum of
floors, which Euclid's algorithm gives without counting (Graham, Knuth, Patashnik 1994, "Concrete Mathematics", 3.5).
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import gcd

GOLDEN = (618_033_988_749_894_848, 10**18)  # 1 over the golden ratio, as a fraction


class Division:
    """weights: whole numbers above 0. batch: samples of a global batch. Nothing is as long as the data."""

    def __init__(self, weights: Sequence[int], batch: int) -> None:
        shared = gcd(*weights)
        self.weights = tuple(weight // shared for weight in weights)
        self.batch, self.total = batch, sum(self.weights)
        self.least = [batch * weight // self.total for weight in self.weights]
        self.rests = [batch * weight % self.total for weight in self.weights]
        self.begins = [end - rest for end, rest in zip(accumulate(self.rests), self.rests, strict=True)]
        self.stride = coprime_to(self.total, self.total * GOLDEN[0] // GOLDEN[1])

    def before(self, batches: int) -> tuple[int, ...]:
        """Samples of each part in the first so many batches."""
        return tuple(self.before_of(part, batches) for part in range(len(self.weights)))

    def before_of(self, part: int, batches: int) -> int:
        """Of one part."""
        rest, at = self.rests[part], -self.begins[part] % self.total
        # hits: x mod W < rest just where floor(x / W) and floor((x - rest) / W) differ, x being the comb's place
        passed = floor_sum(batches, self.total, self.stride, at)
        hits = passed + batches - floor_sum(batches, self.total, self.stride, at + self.total - rest) if rest else 0
        return self.least[part] * batches + hits

    def batch_of(self, part: int, number: int) -> int:
        """The batch in which the part's sample of that number stands, counted from 0."""
        most = (number + 1) * self.total // self.weights[part] // self.batch + self.total + 1
        return bisect_right(range(most), number, key=lambda batches: self.before_of(part, batches)) - 1


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


def coprime_to(total: int, near: int) -> int:
    """The first number from `near` on, at least 1, that shares no divisor with the total."""
    number = max(1, near)
    while gcd(number, total) != 1:
        number += 1
    return number
