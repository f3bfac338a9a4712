"""`predict --out`: what a command's words say becomes a job, alone or as one of several ranks."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tarn.inference.bulk.decoding import Decoders
from tarn.inference.bulk.features import KINDS, Embedder
from tarn.inference.bulk.formats import Format, format_of
from tarn.inference.bulk.job import Job, Summary
from tarn.inference.bulk.parts import Parts
from tarn.inference.bulk.ranks import check_ranks, share_of, start_ranks, take_own_gpu
from tarn.inference.downloading import at_hand
from tarn.inference.limits import Limits
from tarn.inference.models.kinds import kind_of
from tarn.inference.predictor import check_numbers
from tarn.inference.sources.words import STDIN, Sources
from tarn.inference.words import predictor_of
from tarn.sharding import storage
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import UsageError

MOST_WORKERS = 8
VERSION = 1  # of the parts


def predict_into(args: argparse.Namespace, limits: Limits, words: list[str]) -> int:
    """The exit code: 0, 1 where pictures are broken. words: of the whole command, for ranks. Raises TarnError."""
    out, form = checked_out(args)
    check_ranks(args.ranks, STDIN in (*args.sources, *args.from_file))
    share, local_rank = share_of(args.rank)
    if share.rank > 0 and not args.overwrite and out.exists() and not Parts(out, {}).folder.exists():
        return 0  # the first rank was faster, or tells what is wrong
    if out.is_dir():
        raise UsageError(f"--out={args.out} is a folder: name a file in it.")
    if out.exists() and not args.overwrite:
        raise UsageError(f"{out} is there already: give --overwrite to replace it, or another --out.")
    if not out.parent.is_dir():
        raise UsageError(f"--out={args.out} is in a folder that is not there: make {out.parent}, or choose another.")
    try:
        with at_hand(args.model) as model:
            kind_of(model)  # before all of it is read: a device has no end
            parts = Parts(out, settings(args, limits, model))
            sources = Sources(words=args.sources, lists=args.from_file, split=args.split, aside=parts.folder)
            job = Job(sources.units(), parts, share)
            is_owner = args.rank is None and share.rank == 0
            with parts.owned() if is_owner else parts.shared():
                if args.ranks > 1 and args.rank is None:
                    if code := start_ranks(words, args.ranks):
                        return code
                elif job.is_left():
                    if share.ranks > 1:
                        take_own_gpu(local_rank)
                    make(job, args, limits, model, form)
                return told(job.finish(form), out) if is_owner else 0
    except KeyboardInterrupt:
        if args.rank is None:
            print(f"\nstopped: the same command goes on where it was, in {out}.", file=sys.stderr)
        raise


def checked_out(args: argparse.Namespace) -> tuple[Path, type[Format]]:
    """Raises UsageError for what can be told before anything is read."""
    check_numbers(args.top, args.batch_size)
    out = storage.local_path(args.out)
    if out is None:
        raise UsageError(f"--out={args.out} is a URL: write to a disk, and copy it there.")
    try:
        out.exists()
    except OSError as error:
        raise UsageError(f"--out={args.out} cannot be a file ({error.strerror}): choose another name.") from error
    if args.features is not None and args.features not in KINDS:
        raise UsageError(f"--features={args.features} is unknown: choose {' or '.join(KINDS)}.")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers={args.workers} must be at least 1.")
    return out, format_of(out, args.features is not None)


def settings(args: argparse.Namespace, limits: Limits, model: Path) -> Mapping[str, Any]:
    """All that decides the bytes of a part beside its pictures."""
    told = ("top", "batch_size", "image_size", "resize", "flip", "orientation", "device", "precision", "features")
    return {
        "version": VERSION,
        "model": storage.sha256(str(model)),
        "out": Path(args.out).suffix.lower(),
        "limits": [limits.bytes, limits.pixels, limits.frames],
        **{name: getattr(args, name) for name in told},
    }


def make(job: Job, args: argparse.Namespace, limits: Limits, model: Path, form: type[Format]) -> None:
    decoders = Decoders(args.workers or min(MOST_WORKERS, available_cores()))
    try:
        predictor = predictor_of(args, model, limits)
        scorer = predictor.scorer
        embedder = Embedder(scorer, args.features, str(args.model)) if args.features is not None else None
        decoders.set_up(scorer.card.preprocessing, args.batch_size, args.orientation, limits)
        writer = form(scorer.card.classes, predictor.top, embedder)
        job.run(scorer, decoders, writer, args.batch_size, embedder)
    finally:
        decoders.close()


def told(summary: Summary, out: Path) -> int:
    broken = f", {summary.broken:,} of them broken (see the column error)" if summary.broken else ""
    print(f"{out}: {summary.rows:,} picture{'s' * (summary.rows != 1)}{broken}", file=sys.stderr)
    return 1 if summary.broken else 0
