"""python -m tarn.inference compare A B SOURCE... [--out FOLDER]"""

import argparse
import csv
import io
import sys
from pathlib import Path

from tarn.inference.comparing.figures import figures
from tarn.inference.comparing.report import Weight, lines, page
from tarn.inference.comparing.run import Comparison, Timed, name_alike
from tarn.inference.predictor import BATCH, Predictor
from tarn.inference.report import shown
from tarn.inference.sources.words import Sources
from tarn.inference.urls import EVERYWHERE
from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.progress import progress_bar
from tarn.sharding.storage.local import write_whole
from tarn.sharding.storage.words import add_words

PAGE, TABLE = "index.html", "disagreements.csv"


EXAMPLE = """example:
  python -m tarn.inference compare model.pt model-int8.openvino build/imagenet --out compared"""


def add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "compare",
        help="two models on the same pictures: accuracy, disagreements, speed",
        description="Two models on the same pictures, seen as evaluation sees them: accuracy, disagreements, speed.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=compare)
    command.add_argument("first", metavar="A", help="a model: a path, or a URL of a store")
    command.add_argument("second", metavar="B", help="another one")
    command.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="pictures, as for predict; with labels: a packed dataset, shards, listings, folders called as classes",
    )
    command.add_argument("--split", default="val", help="of a packed dataset (%(default)s)")
    command.add_argument("--out", type=Path, metavar="FOLDER", help=f"for {PAGE}, a contact sheet, and {TABLE}")
    command.add_argument("--sheet", type=int, default=24, metavar="N", help="pictures of each kind (%(default)s)")
    command.add_argument(
        "--batch-size", type=int, default=BATCH, metavar="B", help="pictures scored together (%(default)s)"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    command.add_argument(
        "--precision", default="float32", help="of what PyTorch computes: float32, bf16, or auto (%(default)s)"
    )
    add_words(command)


def compare(args: argparse.Namespace, words: list[str]) -> int:
    """The exit code: 0, 1 where a picture could not be read. Raises UsageError, TarnError."""
    if args.sheet < 0:
        raise UsageError(f"--sheet={args.sheet} must not be negative.")
    units = Sources(words=args.sources, split=args.split).units()
    models = [loaded(name, args) for name in (args.first, args.second)]
    (first, one), (second, other) = models
    for sentence in name_alike(one, other):
        print(f"note: {sentence}", file=sys.stderr)
    comparison = Comparison(first, second, args.sheet if args.out is not None else 0)
    with progress_bar(sum(unit.count or 0 for unit in units), "comparing", "img") as bar:
        for count in comparison.see(units):
            bar.update(count)
    for it in comparison.broken:
        print(f"error: {shown(f'{it.picture}: {it.error}')}", file=sys.stderr)
    if not comparison.verdicts:
        raise TarnError("none of the pictures can be read: nothing was compared.")
    names = {info.wnid: info.name for card in (second.card, first.card) for info in card.classes}
    found = figures(comparison.verdicts)
    ours = Weight(args.first, size_of(args.first), one.pictures / one.seconds)
    theirs = Weight(args.second, size_of(args.second), other.pictures / other.seconds)
    print(*map(shown, lines(ours, theirs, found, names)), sep="\n")
    if args.out is not None:
        write(args.out, page(ours, theirs, found, comparison.kept, names), table(comparison))
        print(f"{args.out / PAGE}, {args.out / TABLE}", file=sys.stderr)
    return 1 if comparison.broken else 0


def loaded(model: str, args: argparse.Namespace) -> tuple[Predictor, Timed]:
    """As evaluation sees pictures, and with a watch on the network."""
    predictor = Predictor.load(
        model, args.device, 1, args.batch_size, precision=args.precision, orientation="ignore", reach=EVERYWHERE
    )
    timed = Timed(predictor.scorer)
    predictor.scorer = timed
    return predictor, timed


def size_of(model: str) -> int:
    """In bytes, of the file or of all in the folder."""
    path = storage.local_path(model)
    if path is None:
        return storage.size(model)
    return sum(it.stat().st_size for it in path.rglob("*") if it.is_file()) if path.is_dir() else path.stat().st_size


def table(comparison: Comparison) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["picture", "label", "first", "second", "kind"])
    for it in comparison.verdicts:
        if it.kind is not None:
            rows.writerow([it.picture, it.label or "", it.first, it.second, it.kind])
    return out.getvalue()


def write(out: Path, html: str, rows: str) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / PAGE, html.encode("utf-8", "backslashreplace"))
        write_whole(out / TABLE, rows.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise TarnError(f"{out} cannot be written ({storage.reason(error)}): check space and permissions.") from error
