"""Tarn under its own name, beside people's own `training.py`, and as an installed wheel without the checkout."""

import os
import pickle
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

from support.checkout import ROOT
from tarn.inference.models.weights import read_weights
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
from tarn.training.model import BasicBlock, ResNet, build_model
from tarn.training.pixels.preprocessing import Preprocessing

LOADING = """
import sys
import training, inference, sharding.mine
from tarn.training.streaming import ShardLoader

loader = ShardLoader(sys.argv[1], global_batch=24, image_size=16, num_workers=2)
print(training.MINE, inference.MINE, sharding.mine.MINE, sum(len(batch.labels) for batch in loader))
loader.close()
"""


def python(*words: str, at: Path, interpreter: str = sys.executable, **environment: str) -> str:
    """What it prints. The checkout is on no path but by the editable installation of the interpreter that runs us."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [interpreter, *words], cwd=at, env=inherited | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's own, with a training.py, an inference.py and a sharding folder."""
    folder = tmp_path / "project"
    (folder / "sharding").mkdir(parents=True)
    for path in ("training.py", "inference.py", "sharding/__init__.py", "sharding/mine.py"):
        (folder / path).write_text("MINE = 'own'\n")
    (folder / "script.py").write_text(LOADING)
    return folder


def test_a_project_with_its_own_training_and_sharding_uses_the_loader_with_workers(project: Path, shards: Path) -> None:
    assert python("script.py", str(shards), at=project) == "own own own 120\n"
    assert "fit" in python("-m", "tarn.training", "--help", at=project)


def test_another_project_is_type_checked_against_an_editable_installation(project: Path) -> None:
    code = "from tarn.sharding.sizes import parse_size\nreveal_type(parse_size('1MB'))"
    words = ["--strict", "--cache-dir", os.devnull, "-c", code]
    assert 'Revealed type is "int"' in python("-m", "mypy", *words, at=project)


def test_in_a_checkout_both_names_are_one_module() -> None:
    code = """
import sharding.errors, tarn.sharding.errors, training.run.trainer, inference
import tarn.inference, tarn.training.run.trainer
from training.streaming import ShardLoader
import tarn.training.streaming.loader
assert sharding.errors is tarn.sharding.errors
assert training.run.trainer is tarn.training.run.trainer
assert inference is tarn.inference
assert ShardLoader is tarn.training.streaming.loader.ShardLoader
try:
    import training.nothing
except ModuleNotFoundError as error:
    print(error)
"""
    assert python("-c", code, at=ROOT) == "No module named 'training.nothing'\n"


def test_threads_that_import_by_the_other_name_at_a_time_get_the_whole_module() -> None:
    code = """
import threading, time
import training
found = []
def look(after):
    time.sleep(after)
    from training.streaming.loader import ShardLoader  # takes a second: it imports torch
    found.append(ShardLoader)
threads = [threading.Thread(target=look, args=(after,)) for after in (0, 0.1, 0.3, 0.5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), len(set(found)))
"""
    assert python("-c", code, at=ROOT) == "4 1\n"


def test_a_module_runs_by_the_other_name_too() -> None:
    words = ["-c", "import sys, runpy; sys.argv[1:] = []; runpy.run_module('training.export.comparison')"]
    assert python(*words, at=ROOT) == ""


@pytest.mark.parametrize("folder", ["sharding", "training", "inference"])
def test_in_a_checkout_commands_are_called_by_either_name(folder: str) -> None:
    told = python("-m", folder, "--help", at=ROOT)
    assert told == python("-m", f"tarn.{folder}", "--help", at=ROOT)
    assert f"usage: python -m tarn.{folder}" in told


def exported(folder: Path) -> Path:
    weights = build_model("resnet18", 3, small_stem=True, seed=1).state_dict()
    artifact = Artifact(
        arch="resnet18",
        small_stem=True,
        classes=tuple(ClassInfo(f"n{number:08d}", str(number)) for number in range(3)),
        preprocessing=Preprocessing(resize=36, crop=32),
        provenance={},
        state_dict=weights,
    )
    return publish(artifact, folder)[0]


def test_a_pickle_from_before_the_folders_had_their_name_still_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.pkl"
    pt = exported(tmp_path)
    module = pickle.loads(pt.with_suffix(".pkl").read_bytes())
    monkeypatch.syspath_prepend(str(ROOT))  # pickle looks the old name up
    for kind in (ResNet, BasicBlock):
        monkeypatch.setattr(kind, "__module__", "training.model")
    old.write_bytes(pickle.dumps(module, protocol=4))
    monkeypatch.undo()
    assert b"tarn.training" not in old.read_bytes()
    assert b"training.model" in old.read_bytes()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(read_weights(old).build()(images), read_weights(pt).build()(images))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment that holds the built wheel, and nothing of the checkout.

    What Tarn needs is read from where it is installed already: torch alone is gigabytes.
    """
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in ("src", "tarn", "sharding", "training", "inference"):
        kept = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=kept)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for stale in ("tarn/stale.py", "training/__init__.py"):  # left by earlier builds, before they were deleted or moved
        path = source / "build" / "lib" / stale
        path.parent.mkdir(parents=True)
        path.touch()
    uv = [sys.executable, "-m", "uv"]
    words = ["--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*uv, "build", *words, "--out-dir", folder, source], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith("tarn_train-")
    subprocess.run([*uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel], check=True)
    site = next((folder / "env" / "lib").glob("python3*")) / "site-packages"
    (site / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")  # a folder so named runs no .pth of its own
    return str(python)


def test_an_installed_wheel_packs_trains_and_predicts_without_the_checkout(
    installed: str, pictures: Path, tmp_path: Path
) -> None:
    where = "import tarn.training, tarn.sharding.jpeg as j; print(tarn.training.__file__, sorted(j.__path__))"
    assert str(ROOT) not in python("-c", where, at=tmp_path, interpreter=installed)
    look = "import importlib.util as u; print(u.find_spec('tarn.stale'), u.find_spec('training'))"
    assert python("-c", look, at=tmp_path, interpreter=installed) == "None None\n"
    kernels = tmp_path / "cache" / "tarn" / "kernels"  # empty at first: they are compiled from what the wheel holds
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    python("-m", "tarn.sharding", "pack", str(pictures), "shards", at=tmp_path, interpreter=installed, **cache)
    words = [
        "--data.shards=shards", "--out=run", "--device=cpu", "--amp=off", "--optim.epochs=1", "--optim.global_batch=24",
        "--data.image_size=32", "--data.eval_resize=36", "--data.workers=1", "--model.arch=resnet18",
        "--model.small_stem=true", "--optim.warmup_epochs=0",
    ]  # fmt: skip
    python("-m", "tarn.training", "fit", *words, at=tmp_path, interpreter=installed, **cache)
    assert {path.name.split("-")[0] for path in kernels.glob("*.so")} == {"parse", "png_rows", "region", "resize"}
    picture = next(pictures.rglob("val/*.JPEG"))
    told = python(
        "-m", "tarn.inference", "predict", "run/model.pkl", str(picture), "--format=csv",
        at=tmp_path, interpreter=installed, **cache,
    )  # fmt: skip
    assert len(told.splitlines()) == 1 + 5


@pytest.mark.parametrize("module", ["tarn.training", "tarn.sharding", "tarn.inference"])
def test_on_windows_a_command_ends_in_one_sentence(module: str, tmp_path: Path) -> None:
    code = f"import sys; sys.platform = 'win32'; import runpy; runpy._run_module_as_main({module!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "Tarn runs on Linux" in done.stderr


def test_without_memfd_batches_lie_in_a_file_that_has_no_name(shards: Path, tmp_path: Path) -> None:
    """As on macOS, where neither memfd_create nor an affinity is known."""
    code = f"""
import os
del os.memfd_create, os.sched_getaffinity
from tarn.training.streaming import ShardLoader
loader = ShardLoader({str(shards)!r}, global_batch=24, image_size=16, num_workers=2)
print(sum(len(batch.labels) for batch in loader))
loader.close()
"""
    assert python("-c", code, at=tmp_path, TMPDIR=str(tmp_path)) == "120\n"
    assert list(tmp_path.iterdir()) == []
