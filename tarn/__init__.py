"""Tarn under one name of its own: the folders beside this one, so that no script's `training.py` is in their way."""

import sys

if sys.platform == "win32":
    told = "Tarn runs on Linux, and on macOS for trying things out; on Windows, run it within WSL 2."
    raise ImportError(told, name="tarn")  # by the name `python -m` knows whom to tell it for, in one line
