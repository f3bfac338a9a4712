"""Predictions as a table, JSON or CSV, written as they come."""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TextIO

from tarn.inference.prediction import Prediction

NAME_WIDTH = 32


def shown(text: str) -> str:
    """For a terminal: what moves its cursor, changes its colours or turns its writing is told by its number."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def write_table(predictions: Iterable[Prediction], out: TextIO) -> None:
    """A line for each picture's likeliest class, indented ones for the others."""
    for prediction in predictions:
        print(shown(prediction.picture), file=out)
        if prediction.error is not None:
            print(f"    error: {shown(prediction.error)}", file=out)
        for guess in prediction.guesses:
            name = shown(guess.name)
            name = name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"
            print(f"    {guess.probability:>7.2%}  {name:<{NAME_WIDTH}}  {shown(guess.wnid)}", file=out)


def write_json(predictions: Iterable[Prediction], out: TextIO) -> None:
    """One array; an object a picture: picture, predictions [{index, wnid, name, probability}], error or null."""
    comma = "["
    for prediction in predictions:
        told = {
            "picture": prediction.picture,
            "predictions": [asdict(guess) for guess in prediction.guesses],
            "error": prediction.error,
        }
        print(f"{comma}\n{json.dumps(told, ensure_ascii=False)}", end="", file=out)
        comma = ","
    print("[]" if comma == "[" else "\n]", file=out)


def write_csv(predictions: Iterable[Prediction], out: TextIO) -> None:
    """One row for each picture and rank; a picture with an error has one row with rank 0."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["picture", "rank", "index", "wnid", "name", "probability", "error"])
    for prediction in predictions:
        if prediction.error is not None:
            writer.writerow([prediction.picture, 0, "", "", "", "", prediction.error])
        for rank, guess in enumerate(prediction.guesses, 1):
            row = [rank, guess.index, guess.wnid, guess.name, f"{guess.probability:.6f}", ""]
            writer.writerow([prediction.picture, *row])


FORMATS: dict[str, Callable[[Iterable[Prediction], TextIO], None]] = {
    "table": write_table,
    "json": write_json,
    "csv": write_csv,
}
