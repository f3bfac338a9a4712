"""C kernels, compiled on this machine for its own processor at their first use and kept for every later one.

The compiler comes as a wheel (ziglang: clang, with a C library of its own), so that no system package is needed; where
that wheel is missing, the machine's own `cc` is taken. TARN_CC and TARN_CFLAGS choose others. A compiled kernel is a
file in the user's cache whose name tells its sources, flags, compiler and processor: a change in any of them compiles
anew, and hosts of other kinds that share a home folder do not take each other's. Loading one takes a millisecond; calls
release the interpreter lock.
"""

import contextlib
import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.home import home_cache, temporary

FLAGS = ("-std=c11", "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-sanitize=undefined", "-Wall", "-Wextra")
NATIVE = {"zig": "-mcpu=native", "cc": "-march=native"}
LONGEST_COMPILE = 300.0  # s


class NoCompilerError(TarnError):
    """Neither the ziglang wheel nor a C compiler is here, or what is here cannot compile."""


def load_kernel(*sources: Path, defines: Sequence[str] = ()) -> ctypes.CDLL:
    """The library of C files, in which `defines` are defined; all files `*.h` beside them count as their sources too.
    Raises NoCompilerError.
    """
    headers = sorted({header for source in sources for header in source.parent.glob("*.h")})
    kind, command = find_compiler()
    macros = [f"-D{name}" for name in defines]
    flags = (*FLAGS, *macros, NATIVE[kind], *shlex.split(os.environ.get("TARN_CFLAGS", "")))
    compiler = (kind, os.environ.get("TARN_CC", ""), compiler_version(kind, command))
    told = hashlib.sha256("\0".join((*compiler, processor(), *flags)).encode())
    for path in (*sources, *headers):
        told.update(path.read_bytes())
    folders = [f"-I{folder}" for folder in sorted({str(path.parent) for path in sources})]
    name = f"{sources[0].stem}-{told.hexdigest()[:24]}.so"
    for folder in kernel_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid != os.getuid():
                continue  # machine code of somebody else's is not run
            return ctypes.CDLL(str(compiled(folder / name, [*command, *flags, *folders], sources)))
        except OSError:
            continue
    raise NoCompilerError("no folder to keep compiled kernels in: make ~/.cache writable, or set XDG_CACHE_HOME.")


def compiled(path: Path, command: Sequence[str], sources: Sequence[Path]) -> Path:
    """Compiles where nobody did, one process at a time; the file appears whole, by rename."""
    if path.exists():
        return path
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            subprocess.run(
                [*command, "-o", str(part), *map(str, sources), "-lm"],
                check=True,
                capture_output=True,
                timeout=LONGEST_COMPILE,
                env=environment(path.parent),
            )
            part.rename(path)
        except subprocess.CalledProcessError as error:
            raise NoCompilerError(
                f"{command[0]} cannot compile {sources[0].name}: {last_line(error.stderr)}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise NoCompilerError(f"{command[0]} took over {LONGEST_COMPILE:.0f} s for {sources[0].name}.") from error
        finally:
            part.unlink(missing_ok=True)
    return path


def environment(folder: Path) -> dict[str, str]:
    """Of a compiler: zig keeps things in the user's cache; where kernels are not kept there, beside them."""
    home = home_cache()
    if home is not None and folder.is_relative_to(home):
        return dict(os.environ)
    return {"ZIG_GLOBAL_CACHE_DIR": str(folder / "zig"), **os.environ}


def last_line(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if "error" in line]
    return (lines or ["no reason told"])[0].strip()


@functools.cache
def find_compiler() -> tuple[str, tuple[str, ...]]:
    """Kind and command. Raises NoCompilerError."""
    told = os.environ.get("TARN_CC")
    if told:
        return "cc", tuple(shlex.split(told))
    if importlib.util.find_spec("ziglang") is not None:
        return "zig", (sys.executable, "-m", "ziglang", "cc")
    for name in ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found is not None:
            return "cc", (found,)
    raise NoCompilerError("there is no C compiler: install the wheel by `pip install ziglang`, or a cc.")


def compiler_version(kind: str, command: Sequence[str]) -> str:
    if kind == "zig":
        return wheel_version("ziglang")
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0]


def wheel_version(package: str) -> str:
    """As its folder beside it tells. importlib.metadata, which reads e-mail headers, would cost every process 10 ms."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        for told in Path(folder).parent.glob(f"{package}-*.dist-info"):
            return told.name.removeprefix(f"{package}-").removesuffix(".dist-info")
    from importlib.metadata import version

    return version(package)


def processor() -> str:
    """What the machine code depends on: architecture and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    sets = next((line for line in lines if line.lower().startswith(("flags", "features"))), platform.processor())
    return f"{platform.system()} {platform.machine()} {sets}"


def kernel_folders() -> list[Path]:
    """The user's cache, else a folder of this user's among the temporary ones."""
    cache = home_cache()
    folders = [cache / "tarn" / "kernels"] if cache is not None else []
    with contextlib.suppress(FileNotFoundError):
        folders.append(temporary("kernels"))
    return folders
