"""Kernels are compiled once for what they depend on, and anew when that changes."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tarn.sharding.home import home_cache
from tarn.sharding.kernel import NoCompilerError, find_compiler, load_kernel, wheel_version


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    compilers = home_cache()  # it keeps what it has made of the C library, for seconds
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str((compilers or tmp_path) / "zig"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "answer.c"
    path.write_text("int answer(void) { return ANSWER; }\n")
    return path


def kept(source: Path) -> list[Path]:
    return sorted(source.parent.glob("cache/tarn/kernels/*.so"))


def test_a_kernel_is_compiled_once_and_again_for_other_definitions_and_sources(source: Path) -> None:
    assert load_kernel(source, defines=["ANSWER=42"]).answer() == 42
    (first,) = kept(source)
    written = first.stat().st_mtime_ns
    assert load_kernel(source, defines=["ANSWER=42"]).answer() == 42
    assert first.stat().st_mtime_ns == written
    assert load_kernel(source, defines=["ANSWER=43"]).answer() == 43
    source.write_text("int answer(void) { return ANSWER + 1; }\n")
    assert load_kernel(source, defines=["ANSWER=42"]).answer() == 43
    assert len(kept(source)) == 3


def test_a_header_beside_a_kernel_counts_as_its_source(source: Path) -> None:
    source.with_name("told.h").write_text("#define ANSWER 1\n")
    source.write_text('#include "told.h"\nint answer(void) { return ANSWER; }\n')
    assert load_kernel(source).answer() == 1
    source.with_name("told.h").write_text("#define ANSWER 2\n")
    assert load_kernel(source).answer() == 2


def test_what_does_not_compile_is_told_with_the_compilers_reason_and_leaves_nothing(source: Path) -> None:
    with pytest.raises(NoCompilerError, match=r"answer\.c: .*ANSWER"):
        load_kernel(source)
    assert not [path for path in source.parent.glob("cache/tarn/kernels/*") if path.suffix != ".lock"]


def test_a_wheels_version_is_what_its_metadata_says() -> None:
    for package in ("ziglang", "numpy", "torch"):
        assert wheel_version(package) == importlib.metadata.version(package)


def test_a_package_of_no_wheel_is_asked_of_its_metadata() -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        wheel_version("json")


def test_no_compiler_at_all_is_one_sentence(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(source.parent))
    find_compiler.cache_clear()
    try:
        with pytest.raises(NoCompilerError, match="pip install ziglang"):
            load_kernel(source)
    finally:
        find_compiler.cache_clear()


def test_a_workers_start_reads_no_metadata_of_packages() -> None:
    """It would import e-mail's parser: a tenth of the time until a worker begins its first batch."""
    told = "import sys, tarn.training.streaming.workers.worker; print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
