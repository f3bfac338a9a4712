"""Bars: what was promised, what was measured, and whether that is met."""

import json
import operator
from dataclasses import asdict, dataclass
from pathlib import Path

COMPARISONS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class Bar:
    """what: in words. value against limit, both in unit."""

    what: str
    value: float
    sign: str
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return bool(COMPARISONS[self.sign](self.value, self.limit))

    def __str__(self) -> str:
        told = "met" if self.met else "MISSED"
        return f"{told:>6}: {self.what}: {self.value:.4g}{self.unit}, bar {self.sign} {self.limit:g}{self.unit}"


def show(bars: list[Bar]) -> None:
    print(*bars, sep="\n", flush=True)


def keep(path: Path | None, figures: dict[str, object], bars: list[Bar]) -> None:
    """Writes figures and bars as JSON, for the plot and for later comparison."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**figures, "bars": [asdict(bar) | {"met": bar.met} for bar in bars]}, indent=1))
