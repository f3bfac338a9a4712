"""python -m tarn.training fit | evaluate | export | plan | launch"""

import argparse
import json
import signal
import sys
from functools import partial
from pathlib import Path

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.pipe import ends_with_its_reader
from tarn.sharding.storage.told import told
from tarn.sharding.storage.urls import expanded
from tarn.sharding.storage.words import add_words, store_of
from tarn.training.export.formats import FORMATS
from tarn.training.forecast.assumptions import add_arguments, assumptions_of, told_of
from tarn.training.world.failure import hand_over


@ends_with_its_reader
def main(words: list[str] | None = None) -> int:
    """The exit code: 0, 1 for a failure, 2 for usage, 128 + signal where a run was asked to leave."""
    parser = build_parser()
    args, rest = parser.parse_known_args(words)
    if rest and args.command not in ("fit", "plan", "launch"):
        parser.error(f"unrecognised arguments: {' '.join(rest)}")
    try:
        with told(store_of(args)):
            return int(args.run(args, rest))
    except TarnError as error:
        if not hand_over(error):
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


EXPORTING = """Model files of a checkpoint or a model.pt, in formats for PyTorch and others (docs/export.md). Each is
loaded back and compared with the trained model; if all are near enough, they take their names, and the place of earlier
files that are called so."""
EXAMPLE = """example:
  python -m tarn.training export --checkpoint runs/sample/model.pt --out models --formats onnx,openvino-int8 \\
      --shards build/sample"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tarn.training", description="Train, evaluate and export.")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="train, or go on with a run", allow_abbrev=False, add_help=False)
    fit.add_argument("-h", "--help", action=FullHelp, nargs=0, help="this, and every setting with its meaning")
    fit.add_argument("--config", type=Path, help="YAML file; further --key.sub=value words override it")
    fit.add_argument(
        "--dry-run", action="store_true", help="print the recipe, its schedule and its cost; train nothing"
    )
    add_arguments(fit, "what --dry-run assumes of the machines")
    fit.set_defaults(run=run_fit)
    add_evaluate(commands)
    planning = commands.add_parser("plan", help="what a run asks of network, disks and cores", allow_abbrev=False)
    planning.add_argument("--config", type=Path, help="as for fit, --key.sub=value words too")
    add_arguments(planning, "what is assumed of the machines")
    planning.set_defaults(run=run_plan)
    add_export(commands)
    several = commands.add_parser(
        "launch", help="one of these by several processes, with torchrun's words", add_help=False
    )
    several.set_defaults(run=run_launch)
    return parser


def add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    score = commands.add_parser("evaluate", help="exact top-1, top-5 and loss of an exported model")
    score.add_argument("--model", type=expanded, required=True, help="model.pt")
    score.add_argument("--shards", required=True, help="folder or URL of a packed dataset")
    score.add_argument("--split", default="val", help="of the dataset (%(default)s)")
    score.add_argument(
        "--val-fraction", type=float, help="of the training split, held out as fit does (as the model's run did)"
    )
    score.add_argument("--out", type=expanded, help="folder of the reports (default: the model's)")
    score.add_argument("--batch-size", type=int, default=128, help="pictures of a rank at a time (%(default)s)")
    score.add_argument("--workers", type=int, help="decoding processes of each rank (its part of the cores)")
    score.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    score.add_argument("--amp", default="off", help="auto, off, bf16 or fp16 (%(default)s)")
    score.add_argument("--image-size", type=int, metavar="PX", help="of the centre crop (the model's own)")
    score.add_argument("--resize", type=int, metavar="PX", help="of the shorter side before it (grows with the crop)")
    score.add_argument("--flip", action="store_true", help="mean of the logits of each picture and its mirror image")
    score.add_argument("--cache", default="auto", help="folder for shards of object stores, auto or none (%(default)s)")
    score.add_argument("--cache-limit", default="80%", help="such as 500GB, or a share of the free disk (%(default)s)")
    add_words(score)
    score.set_defaults(run=run_evaluate)


def add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser(
        "export",
        help="model files, in formats for PyTorch and others, of a checkpoint",
        description=EXPORTING,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument(
        "--checkpoint",
        type=expanded,
        required=True,
        metavar="PATH",
        help="a step-*.pt, a run's folder for its newest, or a model.pt for further formats of it",
    )
    export.add_argument("--averaged", action="store_true", help="the moving average of a checkpoint's weights")
    export.add_argument("--out", type=expanded, required=True, help="folder that receives them")
    names = f"any of {', '.join(FORMATS)}, with commas between (%(default)s)"
    export.add_argument("--formats", default="pt,pkl", metavar="NAMES", help=names)
    export.add_argument(
        "--shards", help="folder or URL of a packed dataset to compare and score on, and calibrate int8"
    )
    export.add_argument("--split", default="val", help="of the dataset, to score on (%(default)s)")
    export.add_argument("--pictures", type=int, default=2000, help="of the split, at most about (%(default)s)")
    add_words(export)
    export.set_defaults(run=run_export)


class FullHelp(argparse.Action):
    """The settings are read from the dataclasses, which takes importing NumPy: not before somebody asks."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        from tarn.training.run.settings import as_help

        parser.print_help()
        print(f"\nsettings, in the YAML file or as --key=value:\n{as_help()}")
        parser.exit()


def run_fit(args: argparse.Namespace, overrides: list[str]) -> int:
    from tarn.training.coercion import load_config
    from tarn.training.run.config import RunConfig

    config = load_config(RunConfig, args.config, overrides)
    if args.dry_run:
        assumed = assumptions_of(args)
        from tarn.training.forecast.outlook import outlook

        for number, part in enumerate(outlook(config, assumed)):
            print(part if number == 0 else f"\n{part}", flush=True)
        return 0
    if told := told_of(args):
        name, value = next(iter(told.items()))
        raise UsageError(f"--{name}={value:g} is for the forecast of --dry-run: leave it out, or add --dry-run.")
    from tarn.training.run.fit import fit

    return fit(config)


def run_plan(args: argparse.Namespace, overrides: list[str]) -> int:
    from tarn.training.coercion import load_config
    from tarn.training.run.config import RunConfig

    config, assumed = load_config(RunConfig, args.config, overrides), assumptions_of(args)
    from tarn.training.forecast.planning import plan_text  # needs torch: not before the words are checked

    print(plan_text(config, assumed))
    return 0


def run_evaluate(args: argparse.Namespace, rest: list[str]) -> int:
    from tqdm import tqdm

    from tarn.training.coercion import refuse_url
    from tarn.training.evaluation.scoring import score_model
    from tarn.training.export.artifact import Artifact
    from tarn.training.model.mirror import seen_at
    from tarn.training.recipe.amp import choose_dtype

    if args.batch_size < 1 or (args.workers is not None and args.workers < 0):
        raise UsageError(f"--batch-size={args.batch_size} must be at least 1 and --workers={args.workers} at least 0.")
    if args.out is not None:
        refuse_url(args.out, "--out")
    artifact = Artifact.read(args.model)
    crop = artifact.preprocessing.at(args.image_size, args.resize)
    model = seen_at(artifact.build(str(args.model)), artifact.num_classes, args.image_size, args.flip)
    dtype_on = partial(choose_dtype, args.amp)
    with tqdm(desc="evaluate", unit="img", leave=False, disable=None) as bar:
        report = score_model(args, model, artifact.classes, crop, artifact.provenance, dtype_on, bar.update)
    if report:
        print(json.dumps(report, indent=1, ensure_ascii=False))
    return 0


def run_export(args: argparse.Namespace, rest: list[str]) -> int:
    from tarn.training.run.snapshot import export_formats

    for line in export_formats(args):
        print(line)
    return 0


def run_launch(args: argparse.Namespace, words: list[str]) -> int:
    from tarn.training.world.launch import launch

    return launch("tarn.training", words)


if __name__ == "__main__":
    sys.exit(main())
