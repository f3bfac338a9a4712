"""Any folder of files through packing, tiling, regions, evaluation and training, against Pillow and torchvision.

    python -m benchmarks.pictures FOLDER [--json build/bench/pictures.json] [--seed 0]

Every file below FOLDER is taken, whatever its name. What must not be: a traceback, a crash, silence for a minute, a
picture refused that Pillow reads (but for limits and formats that are named), one passed that it does not read, pixels
other than Pillow's where none are to change: of the packed picture, of boxes of it, of evaluation, and of training
crops of fidelity `exact` (torchvision's transforms on Pillow's picture), both of the file and of what it is packed as;
fidelities `default` and `fast` must decode it. Children do the work, so that a crash is one file's outcome.

Prints a table by kind, what was not packed and why, and what was wrong; the JSON tells of each file. Exits with 1 where
anything was. Columns that need a word:

  kind              by the content; of JPEGs, why they cannot be tiled; `no picture`: not even its head is read
  boxes, evaluations, crops   that were compared, pixel by pixel
  shown             packing refuses it for damage where no pixel of evaluation's crop comes from: decoded, as
                    docs/packing.md says, and not wrong
  torchvision same, its crashes   torchvision's own decoder gives Pillow's pixels; it ended its process

A folder of pictures in every format and mode that Pillow writes, of cut ones and mutants: benchmarks/made.py.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.judging import Judge
from benchmarks.references import by_torchvision
from tarn.sharding.progress import progress_bar

SILENCE = 60.0  # s
OUT = Path("build/bench/pictures.json")
COLUMNS = (
    "files",
    "Pillow reads",
    "packed",
    "tiled",
    "boxes",
    "evaluations",
    "crops",
    "shown",
    "torchvision same",
    "its crashes",
    "wrong",
)


@dataclass(frozen=True, slots=True)
class Lost:
    """A child that ended, or was silent."""

    what: str


def judge(connection: Connection, paths: list[Path], seed: int) -> None:
    judging = Judge()
    connection.send("ready")
    for path in paths:
        connection.send(judging.judge(path.read_bytes(), seed).plain())


def decode(connection: Connection, paths: list[Path], seed: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what its libraries say names no file
    connection.send("ready")
    for path in paths:
        connection.send(by_torchvision(path.read_bytes()))


def outcomes(work: Callable[[Connection, list[Path], int], None], paths: list[Path], seed: int) -> Iterator[Any]:
    """What a child says of each file, in their order, or `Lost`; where it ends or is silent, another goes on behind
    that file."""
    context = multiprocessing.get_context("fork")  # crashes are many, and to import torch takes seconds
    done = 0
    while done < len(paths):
        ours, theirs = context.Pipe()
        child = context.Process(target=work, args=(theirs, paths[done:], seed), daemon=True)
        child.start()
        theirs.close()
        try:
            ours.recv()
            while done < len(paths):
                if not ours.poll(SILENCE):
                    raise TimeoutError
                yield ours.recv()
                done += 1
        except (EOFError, TimeoutError) as error:
            silent = isinstance(error, TimeoutError)
            if silent:
                child.kill()
            child.join()
            yield Lost(f"nothing for {SILENCE:.0f} s" if silent else ending(child.exitcode))
            done += 1
        child.join(SILENCE)


def ending(code: int | None) -> str:
    """How a child ended, in words."""
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    return f"its process was ended by {signal.Signals(-code).name}" + " (out of memory?)" * (code == -signal.SIGKILL)


def together(told: Any, theirs: Any) -> dict[str, Any]:
    """A file's outcome: what of Tarn was judged, and torchvision's decoder beside it."""
    if isinstance(told, Lost):
        return {"kind": "no outcome", "pillow": "", "torchvision": "", "wrong": [told.what]}
    if isinstance(theirs, Lost):
        word = theirs.what
    elif theirs is None:
        word = "refuses"
    else:
        word = "same" if theirs == told["digest"] else "other pixels"
    return {**told, "torchvision": word}


def figures(found: dict[str, Any]) -> dict[str, int]:
    """A file's part of its kind's row."""
    return {
        "files": 1,
        "Pillow reads": found["pillow"] == "reads",
        "packed": found.get("packing", {}).get("tiled") == "packed",
        "tiled": found.get("tiling") == "tiled",
        **{name: found.get(name, 0) for name in ("boxes", "evaluations", "crops")},
        "shown": bool(found.get("shown")),
        "torchvision same": found.get("torchvision") == "same",
        "its crashes": "ended" in found["torchvision"],
        "wrong": bool(found["wrong"]),
    }


def table(all_found: dict[str, dict[str, Any]]) -> str:
    rows: dict[str, dict[str, int]] = {}
    for found in all_found.values():
        for name in (found["kind"], "all"):
            row = rows.setdefault(name, dict.fromkeys(COLUMNS, 0))
            for column, value in figures(found).items():
                row[column] += value
    width = max(map(len, rows))
    lines = [f"{'kind':{width}}  " + "  ".join(COLUMNS)]
    for name, row in sorted(rows.items(), key=lambda it: (it[0] == "all", -it[1]["files"], it[0])):
        lines.append(f"{name:{width}}  " + "  ".join(f"{row[column]:>{len(column)},}" for column in COLUMNS))
    return "\n".join(lines)


def refusals(all_found: dict[str, dict[str, Any]]) -> str:
    """Why what Pillow reads was not packed: the limits and formats that we name."""
    counts: dict[str, int] = {}
    for found in all_found.values():
        why = found.get("packing", {}).get("tiled", "")
        if found["pillow"] == "reads" and why not in ("packed", ""):
            told = found["kind"] if found["kind"].startswith("other") else why
            counts[told] = counts.get(told, 0) + 1
    return "\n".join(f"{count:6,}  {why}" for why, count in sorted(counts.items(), key=lambda it: -it[1]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="of any files, in folders too")
    parser.add_argument("--json", type=Path, default=OUT, help=f"where to tell of each file ({OUT})")
    parser.add_argument("--seed", type=int, default=0, help="of boxes and crops (0)")
    args = parser.parse_args(arguments)
    paths = sorted(path for path in args.folder.rglob("*") if path.is_file())
    if not paths:
        parser.error(
            f"{args.folder} is no folder that holds files: give one of pictures, or make one by benchmarks.made"
        )
    started = time.perf_counter()
    judged, theirs = (outcomes(work, paths, args.seed) for work in (judge, decode))
    found: dict[str, dict[str, Any]] = {}
    with progress_bar(len(paths), "judging", "file") as bar:
        for path, told, their in zip(paths, judged, theirs, strict=True):
            found[str(path.relative_to(args.folder))] = together(told, their)
            bar.update()
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(found, indent=1))
    print(table(found))
    print(f"\nread by Pillow and not packed:\n{refusals(found) or 'none'}")
    wrong = [f"{name}: {it}" for name, one in found.items() for it in one["wrong"]]
    files = sum(bool(one["wrong"]) for one in found.values())
    took = time.perf_counter() - started
    print(f"\n{len(found):,} files in {took:.0f} s, {len(wrong):,} things wrong with {files:,} of them; {args.json}")
    for line in wrong:
        print(f"WRONG {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
