"""A Predictor as the words of a command ask for it."""

import argparse
import os

from tarn.inference.limits import Limits
from tarn.inference.predictor import Predictor
from tarn.inference.urls import PUBLIC, Reach


def predictor_of(
    args: argparse.Namespace, model: str | os.PathLike[str], limits: Limits, reach: Reach = PUBLIC
) -> Predictor:
    return Predictor.load(
        model,
        args.device,
        args.top,
        args.batch_size,
        crop=args.image_size,
        resize=args.resize,
        flip=args.flip,
        precision=args.precision,
        orientation=args.orientation,
        limits=limits,
        reach=reach,
    )
