"""python -m tarn.inference predict MODEL SOURCE... | serve MODEL | compare A B SOURCE..."""

import argparse
import io
import sys

from tarn.inference.commands.compare import add_compare
from tarn.inference.commands.predict import add_predict
from tarn.inference.commands.serve import add_serve
from tarn.inference.report import shown
from tarn.sharding.errors import TarnError
from tarn.sharding.pipe import ends_with_its_reader
from tarn.sharding.storage.told import told
from tarn.sharding.storage.words import store_of


@ends_with_its_reader
def main(words: list[str] | None = None) -> int:
    """The exit code: 0, 1 where a picture or the model could not be read, 2 for usage, 130 where it was stopped."""
    words = sys.argv[1:] if words is None else words
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # for names that it cannot say
    args = parse(words)
    try:
        with told(store_of(args)):
            return int(args.run(args, words))
    except TarnError as error:
        print(*map(shown, f"error: {error}".split("\n")), sep="\n", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def parse(words: list[str]) -> argparse.Namespace:
    """Sources may stand behind options too, where argparse looks for no more of them."""
    parser = build_parser()
    args, rest = parser.parse_known_args(words)
    strange = [word for word in rest if not hasattr(args, "sources") or (word.startswith("-") and word != "-")]
    if strange:
        parser.error(f"unrecognized arguments: {' '.join(strange)}")
    if rest:
        args.sources += rest
    return args


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tarn.inference", description="Use an exported model.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_predict(commands)
    add_serve(commands)
    add_compare(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
