"""Pictures made progressive without loss, by several scan scripts, and tiled: the same files as from the originals, and
the same pixels.

    python -m benchmarks.scans DATA [--pictures 1000]

Needs libjpeg-turbo's jpegtran. Prints, for each script, of how many pictures the tiled file is that of the original,
byte for byte, and of how many Pillow decodes the same; and the bytes before and after. Exits with 1 where one is not.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from PIL import Image

from benchmarks.data import prepared
from tarn.sharding.errors import UsageError
from tarn.sharding.jpeg.structure import tile

BANDS = ("1-1", "2-5", "6-20", "21-62", "63-63")
DEEP = """0: 0-0,0,3; 1,2: 0-0,0,3; 0,1,2: 0-0,3,2; 0: 1-8,0,3; 1: 1-63,0,2; 2: 1-63,0,1; 0: 9-63,0,3; 0: 1-63,3,2;
0,1,2: 0-0,2,1; 0: 1-30,2,1; 0: 31-63,2,1; 1: 1-63,2,1; 2: 1-63,1,0; 0: 1-63,1,0; 1: 1-63,1,0; 0,1,2: 0-0,1,0;"""
DEEP_GREY = """0: 0-0,0,2; 0: 1-8,0,3; 0: 9-63,0,3; 0: 1-63,3,2; 0: 1-63,2,1; 0: 0-0,2,1; 0: 1-63,1,0; 0: 0-0,1,0;"""
WORDS = {"default": ("-progressive",), "default, restart markers": ("-progressive", "-restart", "7B")}  # jpegtran's
SCRIPTS = {  # for colours, for grey
    "spectral selection": ("0,1,2: 0-0,0,0; 0: 1-63,0,0; 1: 1-63,0,0; 2: 1-63,0,0;", "0: 0-0,0,0; 0: 1-63,0,0;"),
    "bands": tuple(" ".join(f"{c}: {band},0,0;" for band in ("0-0", *BANDS) for c in range(count)) for count in (3, 1)),
    "bit after bit": (DEEP, DEEP_GREY),
    "not interleaved": ("0: 0-63,0,0; 1: 0-63,0,0; 2: 0-63,0,0;", "0: 0-63,0,0;"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--pictures", type=int, default=1000)
    args = parser.parse_args()
    if shutil.which("jpegtran") is None:
        raise UsageError("jpegtran is not on the PATH: install libjpeg-turbo's programs.")
    files = prepared(args.source).files()[: args.pictures]
    found: dict[str, Counter[str]] = {name: Counter() for name in (*WORDS, *SCRIPTS)}
    with tempfile.TemporaryDirectory() as folder:
        words = {name: (told, told) for name, told in WORDS.items()}
        for number, (name, scripts) in enumerate(SCRIPTS.items()):
            paths = [Path(folder) / f"{number}-{kind}" for kind in ("colours", "grey")]
            for path, script in zip(paths, scripts, strict=True):
                path.write_text(script)
            words[name] = (("-scans", str(paths[0])), ("-scans", str(paths[1])))
        for file in files:
            examine(file, words, found)
    print("| scans | pictures | file of the original | pixels | bytes before | after |\n|---|---:|---:|---:|---:|---:|")
    for name, it in found.items():
        told = [it[key] for key in ("pictures", "file", "pixels", "before", "after")]
        print(f"| {name} | " + " | ".join(f"{value:,}" for value in told) + " |")
    return 0 if all(it["pictures"] == it["file"] == it["pixels"] for it in found.values()) else 1


def examine(
    file: Path, words: dict[str, tuple[tuple[str, ...], tuple[str, ...]]], found: dict[str, Counter[str]]
) -> None:
    wanted, _ = tile(file.read_bytes())
    with Image.open(file) as image:
        pixels, grey = image.tobytes(), image.mode == "L"
    for name, told in words.items():
        command = ["jpegtran", *told[grey], "-copy", "all", str(file)]
        made = subprocess.run(command, check=True, capture_output=True).stdout
        tiled, _ = tile(made)
        with Image.open(io.BytesIO(tiled)) as image:
            same = image.tobytes() == pixels
        found[name] += Counter(pictures=1, file=tiled == wanted, pixels=same, before=len(made), after=len(tiled))


if __name__ == "__main__":
    sys.exit(main())
