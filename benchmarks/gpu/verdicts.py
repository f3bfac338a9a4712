"""One line a verdict, written at once, so that nothing is lost when the time ends."""

import json
from pathlib import Path


class Verdicts:
    """Prints PASS or FAIL with the figure and its bar, and adds the same to verdicts.jsonl in the folder.

    rehearsal: sizes are tiny and the device is a CPU, so that figures say nothing: the word is REHEARSED then.
    """

    def __init__(self, out: Path, stage: str, rehearsal: bool) -> None:
        self.path, self.stage, self.rehearsal = out / "verdicts.jsonl", stage, rehearsal

    def at_least(self, what: str, value: float, bar: float, unit: str = "") -> None:
        self.write(what, value, value >= bar, f"at least {bar:g}{unit}", unit)

    def at_most(self, what: str, value: float, bar: float, unit: str = "") -> None:
        self.write(what, value, value <= bar, f"at most {bar:g}{unit}", unit)

    def fact(self, what: str, value: float | str) -> None:
        """A figure without a bar."""
        self.write(what, value, None, "no bar", "")

    def failed(self, what: str, why: str) -> None:
        self.write(what, why, False, "to be done at all", "")

    def absent(self, what: str, why: str) -> None:
        self.write(what, why, None, "not tried", "")

    def write(self, what: str, value: float | str, passed: bool | None, bar: str, unit: str) -> None:
        word = "FACT" if passed is None else "PASS" if passed else "FAIL"
        if self.rehearsal and not isinstance(value, str):
            word, bar = "REHEARSED", bar if passed is None else f"says nothing; on a GPU: {bar}"
        told = f"{value:.5g}{unit}" if isinstance(value, float | int) else value
        print(f"{word:<9} {self.stage}: {what}: {told} ({bar})", flush=True)
        line = {"stage": self.stage, "what": what, "value": value, "unit": unit, "bar": bar, "verdict": word}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
