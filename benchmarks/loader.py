"""Images/s of loaders: ours and those peers that are installed, on the same pictures, in turns, against the seed's.

    make bench DATA=path/to/pictures                      # the quick set: seed, torchvision, WebDataset, Tarn
    python -m benchmarks.loader DATA --all --rounds 5 --python path/to/another/venv/bin/python --plot docs/loader.png

Random resized crops of 224 px and flips, batches of 64, one core and two. Each contender has a process of its own,
pinned; they run one after the other, round after round, stopped in between; figures are medians, ratios are medians of
same-round ratios. Then: seconds to the first batch in fresh processes, memory at batch 256, stored bytes. At the end
the bars.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contender import CONTENDERS, HOOKS, Task
from benchmarks.data import Data, bytes_of, prepared
from benchmarks.machine import describe
from benchmarks.report import Bar, keep, show
from benchmarks.rounds import AbsentError, Runner, in_turns, ratio

QUICK = ("seed", "torchvision-u8", "webdataset", "tarn", "tarn-exact", "tarn-fast", "tarn-small")
QUICK_ON_TWO = ("seed", "torchvision-u8", "tarn")
Rows = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a Kaggle tree or an ImageFolder tree")
    parser.add_argument("--all", action="store_true", help="every peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn (%(default)s)")
    parser.add_argument("--python", action="append", default=[], help="another environment to look for peers in")
    parser.add_argument("--json", type=Path, default=Path("build/bench/loader.json"), metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    args = parser.parse_args()
    data = prepared(args.source)
    names = [name for name in CONTENDERS if not name.startswith(HOOKS)] if args.all else list(QUICK)
    print(f"{describe()}\n{args.rounds} rounds of {args.seconds:g} s, batches of 64, crops of 224 px, in turns\n")
    one = measured(data, names, 1, args)
    both = measured(data, names if args.all else QUICK_ON_TWO, 2, args)
    sizes = bytes_of(data)
    bars = [*speed_bars(one), scaling_bar(data, args), *size_bars(sizes), *start_bars(data, args)]
    print("\nBars")
    show(bars)
    keep(args.json, {"one core": one, "two cores": both, "bytes": sizes}, bars)
    if args.plot:
        from benchmarks.plot import plot

        plot(one, both, args.plot)


def measured(data: Data, names: Sequence[str], cores: int, args: argparse.Namespace) -> Rows:
    """Figures by contender."""
    runners: dict[str, Runner] = {}
    for name in names:
        try:
            runners[name] = Runner(name, Task(str(data.pictures), str(data.packed), cores, 64), args.python)
        except AbsentError as error:
            print(f"left out on {cores}: {name}, {error}", flush=True)
    rates = dict(zip(runners, in_turns(list(runners.values()), args.rounds, args.seconds), strict=True))
    rows: Rows = {}
    print(f"| {cores} core{'s' * (cores > 1)} | images/s | range | ratio to seed | RSS / PSS, MB | first batch, s |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, runner in runners.items():
        rss, pss = runner.peak(1.0)
        found = rates[name]
        rows[name] = {
            "rates": found, "rate": statistics.median(found), "ratio": ratio(found, rates["seed"]),
            "rss": rss, "pss": pss, "first": runner.first,
        }  # fmt: skip
        print(
            f"| {name} | {statistics.median(found):.0f} | {min(found):.0f} to {max(found):.0f} | "
            f"{rows[name]['ratio']:.2f} | {rss / 1e6:.0f} / {pss / 1e6:.0f} | {runner.first:.2f} |",
            flush=True,
        )
    for runner in runners.values():
        runner.close()
    print()
    return rows


def speed_bars(one: Rows) -> list[Bar]:
    bars = [
        Bar("one core, tiled, default fidelity, x seed", one["tarn"]["ratio"], ">=", 4),
        Bar("one core, tiled, fast, x seed (aim 5.5)", one["tarn-fast"]["ratio"], ">=", 4.5),
    ]
    if "ffcv" in one:
        value = ratio(one["tarn-small"]["rates"], one["ffcv"]["rates"])
        bars.append(Bar("one core, --max-side 500 --quality 90, x FFCV's paper mode", value, ">=", 1.25))
    return bars


def scaling_bar(data: Data, args: argparse.Namespace) -> Bar:
    """One core and two in direct alternation, since the speed of a shared machine drifts."""
    runners = [Runner("tarn", Task(str(data.pictures), str(data.packed), cores, 64), args.python) for cores in (1, 2)]
    one, two = in_turns(runners, 2 * args.rounds + 1, args.seconds)
    for runner in runners:
        runner.close()
    return Bar(f"two cores, x one core, {len(one)} pairs", ratio(two, one), ">=", 1.85)


def size_bars(sizes: dict[str, int]) -> list[Bar]:
    return [
        Bar("bytes of tiled pictures, x original", sizes["tiled"] / sizes["original"], "<=", 1.01),
        Bar("bytes with --max-side 500 --quality 90, x original", sizes["small"] / sizes["original"], "<=", 0.65),
    ]


def start_bars(data: Data, args: argparse.Namespace) -> list[Bar]:
    """Fresh processes: time to the first batch with two workers, and memory at batch 256."""
    firsts, peak = [], (0.0, 0.0)
    for number in range(5):
        batch = 256 if number == 4 else 64
        runner = Runner("tarn", Task(str(data.pictures), str(data.packed), 2, batch), args.python)
        if batch == 256:
            peak = runner.peak(3.0)
        else:
            firsts.append(runner.first)
        runner.close()
    told = f"{peak[1] / 1e6:.0f} MB proportional"
    return [
        Bar(f"first batch after constructing, worst of {len(firsts)}", max(firsts), "<=", 1.0, " s"),
        Bar(f"memory at batch 256 with 2 workers, sum of RSS ({told})", peak[0] / 1e6, "<=", 1200, " MB"),
    ]


if __name__ == "__main__":
    main()
