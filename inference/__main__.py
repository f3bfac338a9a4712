"""python -m tarn.inference predict MODEL PATH... [--top 5] [--format table|json|csv]"""

import argparse
import sys
from collections.abc import Iterable, Iterator

from tarn.inference.models.load import load
from tarn.inference.pictures import find_pictures
from tarn.inference.predictor import Prediction, Predictor
from tarn.inference.report import FORMATS
from tarn.sharding.errors import TarnError
from tarn.sharding.pipe import ends_with_its_reader
from tarn.sharding.storage.told import told
from tarn.sharding.storage.words import add_words, store_of


@ends_with_its_reader
def main(words: list[str] | None = None) -> int:
    """The exit code: 0, 1 where a picture or the model could not be read, 2 for usage."""
    args = build_parser().parse_args(words)
    try:
        with told(store_of(args)):
            return predict(args)
    except TarnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tarn.inference", description="Use an exported model.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("predict", help="the likeliest classes of pictures")
    command.add_argument("model", metavar="MODEL", help="model.pt or model.pkl")
    command.add_argument("paths", nargs="+", metavar="PATH", help="pictures, folders, shards (.tar; also as URL)")
    command.add_argument("--top", type=int, default=5, help="classes a picture (%(default)s)")
    command.add_argument("--format", choices=FORMATS, default="table", help="(%(default)s)")
    command.add_argument("--batch-size", type=int, default=64, help="(%(default)s)")
    command.add_argument("--image-size", type=int, metavar="PX", help="of the centre crop (the model's own)")
    command.add_argument("--resize", type=int, metavar="PX", help="of the shorter side before it (grows with the crop)")
    command.add_argument("--flip", action="store_true", help="mean of the logits of each picture and its mirror image")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    add_words(command)
    return parser


def predict(args: argparse.Namespace) -> int:
    pictures = find_pictures(args.paths)
    scorer = load(args.model, args.device, args.image_size, args.resize, args.flip)
    predictor = Predictor(scorer, args.top, args.batch_size)
    broken: list[Prediction] = []
    FORMATS[args.format](noting_errors(predictor.predict(pictures), broken), sys.stdout)
    sys.stdout.flush()
    for prediction in broken:
        print(f"error: {prediction.picture}: {prediction.error}", file=sys.stderr)
    return 1 if broken else 0


def noting_errors(predictions: Iterable[Prediction], broken: list[Prediction]) -> Iterator[Prediction]:
    for prediction in predictions:
        if prediction.error is not None:
            broken.append(prediction)
        yield prediction


if __name__ == "__main__":
    sys.exit(main())
