"""What every stage is given, and the ways that several go."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.verdicts import Verdicts


@dataclass(frozen=True, slots=True)
class Stage:
    """luggage: what was brought. out: for results, and for datasets under out/data. device: cuda, or cpu in a
    rehearsal."""

    luggage: Path
    out: Path
    rehearsal: bool
    verdicts: Verdicts

    @property
    def device(self) -> str:
        return "cpu" if self.rehearsal else "cuda"

    def dataset(self, name: str) -> Path | None:
        """A packed dataset that the stage `data` made, None where it had nothing to make it of."""
        path = self.out / "data" / name
        return path if (path / "manifest.json").exists() else None

    def scratch(self, name: str) -> Path:
        """A run folder in which nothing lies: an earlier visit's run would be gone on with."""
        path = self.out / "runs" / name
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def read_stage(name: str) -> Stage:
    parser = argparse.ArgumentParser()
    parser.add_argument("--luggage", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rehearse", action="store_true")
    args = parser.parse_args()
    return Stage(args.luggage, args.out, args.rehearse, Verdicts(args.out, name, args.rehearse))


def fit(*words: str, expected: Sequence[int] = (0,), timeout: float | None = None) -> None:
    """`python -m tarn.training fit`, its words to stderr. Raises RuntimeError for another exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "tarn.training", "fit", *words], stdout=sys.stderr, check=False, timeout=timeout
    )
    if done.returncode not in expected:
        raise RuntimeError(f"fit ended with {done.returncode}")


def metrics(run: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind in a run's metrics.jsonl."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
    return [line for line in lines if line["kind"] == kind]
