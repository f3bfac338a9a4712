"""python -m tarn.inference predict MODEL SOURCE... [--format table|json|csv | --out RESULTS.parquet|csv|jsonl]"""

import argparse
import sys
from collections.abc import Iterable, Iterator

from tarn.inference.bulk.run import predict_into
from tarn.inference.given import ORIENTATIONS
from tarn.inference.limits import USUAL, Limits
from tarn.inference.pictures import NamedPicture
from tarn.inference.prediction import Prediction
from tarn.inference.predictor import BATCH
from tarn.inference.report import FORMATS, shown
from tarn.inference.sources.words import Sources
from tarn.inference.urls import EVERYWHERE
from tarn.inference.words import predictor_of
from tarn.sharding.errors import UsageError
from tarn.sharding.sizes import parse_size
from tarn.sharding.storage.words import add_words

SOURCES = (
    "pictures, folders, quoted patterns ('pics/**/*.jpg'), listings (.txt, .csv, .tsv, .jsonl), shards (.tar, "
    "a-{000..012}.tar, or the folder of a packed dataset), as paths or URLs (they are yours, so any address is read); "
    "- for one picture's bytes on standard input"
)


EXAMPLES = """examples:
  python -m tarn.inference predict model.pt cat.jpg
  python -m tarn.inference predict model.pt 'pictures/**/*.jpg' --top 1 --format csv
  python -m tarn.inference predict model.pt build/imagenet --split val --out results.parquet"""


def add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "predict",
        help="the likeliest classes of pictures",
        description="The likeliest classes of pictures, printed, or written into a file of one row a picture.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=predict)
    command.add_argument("model", metavar="MODEL", help="an exported model: a path, or a URL of a store")
    command.add_argument("sources", nargs="*", metavar="SOURCE", help=SOURCES)
    command.add_argument(
        "--from-file", action="append", default=[], metavar="FILE", help="paths, one a line; - for stdin"
    )
    command.add_argument("--split", help="of a packed dataset (all of them)")
    command.add_argument("--top", type=int, default=5, metavar="K", help="classes a picture (%(default)s)")
    command.add_argument("--format", choices=FORMATS, help="of what is printed (table)")
    add_seeing(command)
    add_bulk(command)
    add_words(command)


def add_seeing(command: argparse.ArgumentParser) -> None:
    seeing = command.add_argument_group("how pictures are seen")
    seeing.add_argument(
        "--batch-size", type=int, default=BATCH, metavar="B", help="pictures scored together (%(default)s)"
    )
    seeing.add_argument("--image-size", type=int, metavar="PX", help="of the centre crop (the model's own)")
    seeing.add_argument("--resize", type=int, metavar="PX", help="of the shorter side before it (grows with the crop)")
    seeing.add_argument("--flip", action="store_true", help="mean of the logits of each picture and its mirror image")
    seeing.add_argument(
        "--orientation",
        choices=ORIENTATIONS,
        default="exif",
        help="exif turns pictures as cameras meant them, ignore sees them as training and evaluate do (%(default)s)",
    )
    seeing.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    told = "of what PyTorch computes: float32, bf16, or auto, bf16 where the hardware has it (%(default)s)"
    seeing.add_argument("--precision", default="float32", help=told)
    most = seeing.add_argument
    most("--max-bytes", default="512MiB", metavar="SIZE", help="of a picture's file, such as 20MB (%(default)s)")
    most("--max-pixels", type=int, default=USUAL.pixels, metavar="N", help="of a picture, width x height (%(default)s)")
    most("--max-frames", type=int, default=USUAL.frames, metavar="N", help="of an animation (%(default)s)")


def add_bulk(command: argparse.ArgumentParser) -> None:
    bulk = command.add_argument_group("very many pictures")
    bulk.add_argument(
        "--out",
        metavar="FILE",
        help="results.parquet, .csv or .jsonl; a command that was stopped goes on where it was, to the same file",
    )
    bulk.add_argument("--overwrite", action="store_true", help="replace FILE when the new one is done")
    bulk.add_argument(
        "--features",
        nargs="?",
        const="float16",
        metavar="TYPE",
        help="with the input of the last linear layer, in float16 or float32 (%(const)s)",
    )
    bulk.add_argument("--workers", type=int, metavar="N", help="decoding processes (as many as cores, at most 8)")
    bulk.add_argument("--ranks", type=int, default=1, metavar="N", help="processes with a model each (%(default)s)")
    bulk.add_argument("--rank", help=argparse.SUPPRESS)


def predict(args: argparse.Namespace, words: list[str]) -> int:
    """The exit code: 0, 1 where a picture could not be read. Raises TarnError."""
    limits = Limits(bytes=parse_size(args.max_bytes, "--max-bytes"), pixels=args.max_pixels, frames=args.max_frames)
    if args.out is not None:
        if args.format is not None:
            raise UsageError(f"--format={args.format} is of what is printed: --out says by its ending what is written.")
        return predict_into(args, limits, words)
    for name in ("features", "overwrite"):
        if getattr(args, name):
            raise UsageError(f"--{name} is of results in a file: name it by --out.")
    return show(args, limits)


def show(args: argparse.Namespace, limits: Limits) -> int:
    units = Sources(words=args.sources, lists=args.from_file, split=args.split).units()
    predictor = predictor_of(args, args.model, limits, EVERYWHERE)
    pictures: Iterator[NamedPicture] = (picture for unit in units for picture in unit.open())
    broken: list[Prediction] = []
    FORMATS[args.format or "table"](noting_errors(predictor.stream(pictures), broken), sys.stdout)
    sys.stdout.flush()
    for prediction in broken:
        told = prediction.error or ""
        name = "" if told.startswith(prediction.picture) else f"{prediction.picture}: "
        print(f"error: {shown(name + told)}", file=sys.stderr)
    return 1 if broken else 0


def noting_errors(predictions: Iterable[Prediction], broken: list[Prediction]) -> Iterator[Prediction]:
    for prediction in predictions:
        if prediction.error is not None:
            broken.append(prediction)
        yield prediction
