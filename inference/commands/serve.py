"""python -m tarn.inference serve MODEL [--host 127.0.0.1] [--port 8000]"""

import argparse
import importlib.util
import logging
import signal
import sys
from pathlib import Path

from tarn.inference.bulk.rows import text_of
from tarn.inference.given import ORIENTATIONS
from tarn.inference.limits import Limits
from tarn.inference.predictor import Predictor
from tarn.inference.serving.settings import MOST_GUESSES, ServeConfig
from tarn.sharding.errors import UsageError
from tarn.sharding.sizes import parse_size
from tarn.sharding.sources.disk import pictures_in
from tarn.sharding.storage.words import add_words

USUAL = ServeConfig()
SAMPLES = 12
PIXELS = 50_000_000  # of a picture that anybody may send: more than cameras make


EXAMPLES = """examples:
  python -m tarn.inference serve model.pt
  python -m tarn.inference serve model.pt --host 0.0.0.0 --api-key-file key --samples pictures
  curl -F file=@cat.jpg http://127.0.0.1:8000/predict"""


def add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "serve",
        help="answer over HTTP, with a page to try it",
        description="Answers over HTTP, with a page to try it at /. SIGHUP reads the model again, SIGTERM ends it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=serve)
    command.add_argument("model", metavar="MODEL", help="an exported model: a path, or a URL of a store")
    command.add_argument("--host", default=USUAL.host, help="to listen at; 0.0.0.0: all of this machine (%(default)s)")
    command.add_argument("--port", type=int, default=USUAL.port, help="0 for a free one (%(default)s)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    command.add_argument(
        "--precision", default="float32", help="of what PyTorch computes: float32, bf16, or auto (%(default)s)"
    )
    command.add_argument(
        "--batch-size",
        type=int,
        default=USUAL.batch_size,
        metavar="B",
        help="pictures scored together, at most (%(default)s)",
    )
    command.add_argument(
        "--room",
        type=int,
        default=USUAL.room,
        metavar="N",
        help="pictures at a time; beyond it, 503 (%(default)s)",
    )
    command.add_argument(
        "--orientation",
        choices=ORIENTATIONS,
        default="exif",
        help="exif turns pictures as cameras meant them, ignore sees them as training does (%(default)s)",
    )
    command.add_argument("--samples", type=Path, metavar="FOLDER", help="pictures to try, for the page (its first 12)")
    command.add_argument("--urls", action="store_true", help="fetch pictures by URL, from public addresses")
    command.add_argument("--api-key-file", type=Path, metavar="FILE", help="has the key that every request must bring")
    command.add_argument(
        "--max-bytes", default="20MB", metavar="SIZE", help="of a request, such as 500KB or 20MB (%(default)s)"
    )
    command.add_argument(
        "--max-pixels", type=int, default=PIXELS, metavar="N", help="of a picture, width x height (%(default)s)"
    )
    command.add_argument(
        "--patience",
        type=float,
        default=USUAL.patience,
        metavar="S",
        help="seconds for a request to arrive, then 408 (%(default)s)",
    )
    add_words(command)


def serve(args: argparse.Namespace, words: list[str]) -> int:
    """Until it is told to end. Raises UsageError, TarnError."""
    max_bytes = parse_size(args.max_bytes, "--max-bytes")
    config = ServeConfig(
        host=args.host,
        port=args.port,
        batch_size=args.batch_size,
        room=args.room,
        max_bytes=max_bytes,
        patience=args.patience,
        urls=args.urls,
        api_key=key_in(args.api_key_file) if args.api_key_file is not None else None,
    )
    limits = Limits(bytes=max_bytes, pixels=args.max_pixels)
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
        raise UsageError("serving needs FastAPI and uvicorn: pip install 'tarn-train[serve]'.")
    from tarn.inference.serving.served import Served
    from tarn.inference.serving.server import serve as run
    from tarn.inference.serving.service import Service
    from tarn.inference.serving.signals import Noted

    def load() -> Predictor:
        return Predictor.load(
            args.model,
            args.device,
            MOST_GUESSES,
            args.batch_size,
            precision=args.precision,
            orientation=args.orientation,
            limits=limits,
        )

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("tarn.inference").setLevel(logging.INFO)  # each reading of the model
    if config.is_open:
        print(f"note: whoever reaches {config.host} may use this: --api-key-file asks for a key.", file=sys.stderr)
    samples = samples_in(args.samples) if args.samples is not None else {}
    with Noted(signal.SIGHUP) as early:
        service = Service(Served(load), config, samples)
        tell = lambda address: print(f"{args.model} at {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)  # noqa: E731
        run(service, tell, early)
    return 0


def samples_in(folder: Path) -> dict[str, Path]:
    """By name. Raises UsageError for a folder that holds none, TarnError for one that cannot be listed."""
    found = {text_of(path.name): path for path in sorted(pictures_in(folder))[:SAMPLES]}
    if not found:
        raise UsageError(f"--samples={folder} holds no pictures: give a folder of some.")
    return found


def key_in(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--api-key-file={path} cannot be read ({error}): give a file that holds the key.") from error
