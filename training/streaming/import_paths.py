"""Functions of somebody else, named as `module:function`: other processes find them without a look at `__main__`."""

import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

from tarn.sharding.errors import TarnError, UsageError

WRITTEN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
LONGEST = 200  # characters of an error of somebody else's


def check_written(path: object, name: str) -> None:
    """Raises UsageError for what is no import path of a module that is there. name: of the setting."""
    if not isinstance(path, str):
        where = f"{getattr(path, '__module__', 'mymodule')}:{getattr(path, '__name__', 'augment')}"
        raise UsageError(
            f"{name}={path!r} must be an import path, such as {name}={where.replace('__main__', 'mymodule')!r}: the "
            "processes that decode import it."
        )
    if not WRITTEN.fullmatch(path) or path.startswith("__main__:"):
        raise UsageError(
            f"{name}={path!r} is no import path: write {name}='mymodule:augment', of a module that is a file."
        )
    module = path.partition(":")[0]
    try:
        found = importlib.util.find_spec(module)
    except ImportError:
        found = None
    except ValueError:  # a module that was made by hand
        found = None if module not in sys.modules else importlib.machinery.ModuleSpec(module, None)
    except Exception as error:  # whatever a package of it raises
        raise UsageError(f"{name}={path!r}: importing the package of {module} raised {shown(error)}.") from error
    if found is None:
        raise UsageError(
            f"{name}={path!r}: there is no module {module} on sys.path: check its name, or add its folder."
        )
    program = getattr(sys.modules["__main__"], "__file__", None)
    if program is not None and found.origin is not None and os.path.realpath(program) == os.path.realpath(found.origin):
        raise UsageError(
            f"{name}={path!r} lies in the program that is running, {program}, which the processes that decode would "
            "run once more when they import it: put it into a file of its own."
        )


def imported(path: str, name: str) -> Callable[..., Any]:
    """Raises TarnError."""
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:  # whatever somebody's module raises
        raise TarnError(f"{name}={path!r}: importing {module} raised {shown(error)}.") from error
    if not callable(found):
        raise TarnError(f"{name}={path!r}: {module} has no function {attribute}.")
    return found  # type: ignore[no-any-return]


def shown(error: Exception, of: str = "") -> str:
    """of: import path of the function that raised it, whose file and line are told: the last one of its own module."""
    try:
        text = " ".join(str(error).split())[:LONGEST]
    except Exception:  # an exception whose words raise one
        text = ""
    file = getattr(sys.modules.get(of.partition(":")[0]), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" in line {lines[-1]} of {file}" if lines else ""
    return f"{type(error).__name__}{f' ({text})' if text else ''}{where}"
