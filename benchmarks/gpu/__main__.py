"""Runs the stages in turn, each in a process with a time of its own, and sums up.

    bash benchmarks/gpu_all.sh --luggage build/luggage --out OUT [--only speed resume] [--seconds 480]
    bash benchmarks/gpu_all.sh --rehearse

Stages: facts (memory, copies, waits of a step), tests (those marked cuda), data (unpacks and packs what the luggage
holds), speed (images/s of the trainer streaming, of batches kept on the device and of a bare loop, in turns), run (the
command itself against the clock), resume (bit-identical), precision (full float32 in evaluation), imagenette, cifar10.
A stage without its data says so. Exit code 1 where a verdict is FAIL, or a stage was cut off.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import torch

from benchmarks.gpu.verdicts import Verdicts

STAGES = {  # seconds that each may take
    "facts": 40, "tests": 90, "data": 60, "speed": 150, "run": 60, "resume": 90, "precision": 40,
    "imagenette": 240, "cifar10": 200,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bash benchmarks/gpu_all.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--luggage", type=Path, default=Path("build/luggage"))
    parser.add_argument("--out", type=Path, default=Path("build/gpu"))
    parser.add_argument("--only", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seconds", type=float, default=480.0, help="of all stages together (%(default)s)")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on the CPU, figures that say nothing")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "verdicts.jsonl").unlink(missing_ok=True)
    if not torch.cuda.is_available() and not args.rehearse:
        print("No GPU is at hand: nothing was measured. Run this where there is one, or give --rehearse.")
        return 1
    ends = time.monotonic() + (args.seconds if not args.rehearse else 3600.0)
    for name in args.only:
        stage(name, args, ends - time.monotonic())
    return summary(args.out)


def stage(name: str, args: argparse.Namespace, left: float) -> None:
    verdicts, started = Verdicts(args.out, name, args.rehearse), time.monotonic()
    seconds = min(left, STAGES[name] if not args.rehearse else 1200.0)
    if seconds < 5:
        verdicts.failed("time", "none was left for it")
        return
    words = ["--luggage", str(args.luggage), "--out", str(args.out)] + (["--rehearse"] if args.rehearse else [])
    log = args.out / f"{name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.gpu.{name}", *words], stdout=subprocess.PIPE, stderr=file, text=True,
            start_new_session=True,
        )  # fmt: skip
        code = follow(process, seconds)
    if code is None:
        verdicts.failed("time", f"cut off after {seconds:.0f} s")
    elif code:
        lines = log.read_text(errors="replace").strip().splitlines()
        verdicts.failed("end", f"exit code {code}: {lines[-1][:200] if lines else 'nothing was said'} (see {log})")
    print(f"          {name}: {time.monotonic() - started:.0f} s", flush=True)


def follow(process: "subprocess.Popen[str]", seconds: float) -> int | None:
    """Passes its verdicts on. Returns the exit code, None where it was ended because its time was over."""
    over = threading.Event()

    def end() -> None:
        over.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.start()
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
    code = process.wait()
    timer.cancel()
    return None if over.is_set() else code


def summary(out: Path) -> int:
    path = out / "verdicts.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    counted = {word: sum(line["verdict"] == word for line in lines) for word in ("PASS", "FAIL", "FACT", "REHEARSED")}
    print(", ".join(f"{count} {word}" for word, count in counted.items() if count))
    return 1 if counted["FAIL"] or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
