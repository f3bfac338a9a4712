"""A program of docs/loader-guide.md, as `python PROGRAM` runs it in the folder where it lies."""

import os
import runpy
import sys
import warnings

from support.exactness import Life


def train(life: Life) -> None:
    """life.shards: the program's name."""
    warnings.simplefilter("ignore")
    os.chdir(life.home)
    sys.path.insert(0, life.home)
    runpy.run_path(life.shards, run_name="__main__")
