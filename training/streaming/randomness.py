"""Every random choice as a pure function of explicit integers; the same on every machine and NumPy version."""

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
CROP = 1  # what is drawn of a sample where nothing else is said: its crop and its flip
ALTERNATING = 4  # what a key of samples themselves is drawn for


def mix(x: U64) -> U64:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators")."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def key_of(*path: int) -> U64:
    """One uint64, shape (1,), for a path of integers such as (seed, epoch, lane): neighbours share nothing."""
    key = np.zeros(1, np.uint64)
    for part in path:
        key = mix(key + GOLDEN + np.array([part & 0xFFFFFFFFFFFFFFFF], np.uint64) * GOLDEN)
    return key


def mixed(*path: int) -> int:
    """One number in [0, 2^64) for a path of integers."""
    return int(key_of(*path)[0])


def permutation(count: int, *path: int) -> NDArray[np.int64]:
    """0 .. count-1 in an order drawn from the path: a stable sort of Philox's raw stream (Salmon et al. 2011)."""
    raw = np.random.Philox(key=int(key_of(*path)[0])).random_raw(count)
    return np.argsort(raw, kind="stable")


def sample_uniforms(
    seed: int, epoch: int, positions: NDArray[np.int64], count: int, what: int = CROP
) -> NDArray[np.float64]:
    """len(positions) x count numbers in [0, 1): row i depends on (seed, epoch, positions[i], what is drawn) alone."""
    rows = mix(key_of(seed, epoch, what) + positions.astype(np.uint64) * GOLDEN)
    columns = np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
    return (mix(rows[:, None] + columns[None, :]) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def alternating_uniforms(
    seed: int, shards: NDArray[np.int64], places: NDArray[np.int64], times: NDArray[np.int64]
) -> NDArray[np.float64]:
    """A number in [0, 1) for each sample, which depends on (seed, shard, place in it) alone where `times` is even.

    Where it is odd the number lies half the interval further: below a half just where it was not. Source of the
    alternation: Jordan 2024 (arXiv 2404.00498), section 3.6.
    """
    rows = mix(key_of(seed, ALTERNATING) + shards.astype(np.uint64) * GOLDEN)
    rows = mix(rows + (places.astype(np.uint64) + np.uint64(1)) * GOLDEN)
    return ((rows >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 0.5 * (times % 2)) % 1.0
