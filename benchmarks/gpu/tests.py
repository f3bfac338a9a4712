"""The tests of the suite that need a GPU."""

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.stage import read_stage


def main() -> None:
    stage = read_stage("tests")
    # These alone: others import what such a machine does not have.
    files = [str(path) for path in sorted(Path("tests").rglob("test_*.py")) if "pytest.mark.cuda" in path.read_text()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider", *files],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stdout, done.stderr, file=sys.stderr)
    counted = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    if done.returncode not in (0, 1, 5) or not counted:
        stage.verdicts.failed("tests marked cuda", f"pytest ended with {done.returncode}")
        return
    stage.verdicts.fact("skipped", counted.get("skipped", 0))
    stage.verdicts.at_most("failed", counted.get("failed", 0) + counted.get("error", 0), 0)
    if not stage.rehearsal:
        stage.verdicts.at_least("passed", counted.get("passed", 0), 1)
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            stage.verdicts.failed("test", line[:200])


if __name__ == "__main__":
    main()
