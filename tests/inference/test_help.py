"""What the commands say of themselves."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.web import served
from tarn.inference.__main__ import build_parser, main, parse
from tarn.training.__main__ import build_parser as training_parser


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = (it for it in parser._actions if isinstance(it, argparse._SubParsersAction))
    return dict(found.choices)


def explained() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield from commands(build_parser()).items()
    yield "export", commands(training_parser())["export"]


@pytest.mark.parametrize(("name", "parser"), list(explained()))
def test_every_option_is_told_in_words_and_every_example_can_be_given(
    name: str, parser: argparse.ArgumentParser
) -> None:
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            assert re.search(r"[a-z]{2}", re.sub(r"\(?%\(\w+\)s\)?", "", action.help or "")), (name, action.dest)
    examples = re.findall(r"python -m tarn\.(\w+) ((?:.*\\\n)*.*)", parser.epilog or "")
    assert examples, name
    for package, words in examples:
        told = shlex.split(words.replace("\\\n", " "))
        args = parse(told) if package == "inference" else training_parser().parse_args(told)
        assert args.run is not None


def test_a_picture_that_a_server_lacks_is_told_without_a_word_of_runs_and_datasets(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path) as web:
        assert main(["predict", str(model), f"{web.url}/gone.jpg"]) == 1
    said = capsys.readouterr().err
    assert re.search(r"gone\.jpg cannot be read \(.*it is not there\): check the name, or put it back\.$", said.strip())
