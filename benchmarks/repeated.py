"""A larger dataset out of a few pictures: each again and again, under other names.

    python -m benchmarks.repeated path/to/imagenet-sample 5000 build/bench/5k --shard-size 16MB

The words behind the folder are `sharding pack`'s.
"""

import subprocess
import sys
from pathlib import Path

FOLDERS = 100


def repeated(pictures: Path, samples: int, out: Path, *words: str) -> Path:
    """Packs links to the pictures, unless that was done before."""
    if (out / "manifest.json").exists():
        return out
    found = sorted(path.resolve() for path in pictures.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))
    links = out.with_name(f"{out.name}-pictures") / "train"
    for number in range(samples):
        link = links / f"{number % FOLDERS:03d}" / f"{number:05d}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(found[number % len(found)])
    subprocess.run([sys.executable, "-m", "tarn.sharding", "pack", str(links.parent), str(out), *words], check=True)
    return out


if __name__ == "__main__":
    print(repeated(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]))
