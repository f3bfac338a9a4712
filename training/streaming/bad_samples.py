"""What to do about a picture that cannot be decoded: say so and stop, or put another one in its place."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.streaming.randomness import mixed

POLICIES = ("raise", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadSamplesConfig:
    """What becomes of pictures that cannot be decoded."""

    policy: str = "raise"
    """raise: say so and stop; replace: train on with another sample of the shard in its place."""
    budget: int = 100
    """Different bad samples that a rank may replace in a run before it stops."""

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UsageError(f"bad_samples.policy={self.policy!r} is unknown: choose raise or replace.")
        if self.budget < 0:
            raise UsageError(f"bad_samples.budget={self.budget} must be at least 0.")


@dataclass(frozen=True, slots=True)
class BadSample:
    """One that was replaced. shard: its name below the dataset's root; key: of the sample; error: what is wrong."""

    shard: str
    key: str
    error: str


def substitute(seed: int, epoch: int, position: int, attempt: int, samples: int) -> int:
    """The place, in the same shard, of the sample that stands in: the same for any ranks, workers and restarts."""
    return mixed(seed, epoch, position, attempt) % samples


class Ledger:
    """Bad samples of one rank, a JSON line each, kept over restarts; a sample counts once."""

    def __init__(self, path: Path | None, budget: int) -> None:
        self.path, self.budget = path, budget
        self.seen: set[tuple[str, str]] = set()
        if path is not None and path.exists():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            told = [json.loads(line) for line in lines if line.endswith("\n")]  # a killed process may leave half a line
            self.seen = {(each["shard"], each["key"]) for each in told}

    def enter(self, bad: BadSample) -> None:
        """Raises TarnError where the budget is spent."""
        if (bad.shard, bad.key) not in self.seen:
            self.seen.add((bad.shard, bad.key))
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(bad)) + "\n")
        if len(self.seen) > self.budget:
            raise TarnError(
                f"{len(self.seen)} samples are bad, the last one {bad.shard}: {bad.key} ({bad.error}), and "
                f"bad_samples.budget={self.budget}: mend the dataset, or raise the budget."
            )
