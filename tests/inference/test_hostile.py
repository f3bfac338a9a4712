"""Files that want more than a model may: refused by what they ask for, in one sentence; nothing of them runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.hostile import archives, pickles, safetensors_files

pytest.importorskip("safetensors", reason="needs the extra `inference`: uv pip install --editable '.[inference]'")
pytest.importorskip("timm", reason="needs the extra `timm`: uv pip install --editable '.[timm]'")

CASES = [*pickles(Path("canary")), *archives(Path("canary")), *safetensors_files()]
MOST = 300_000_000  # bytes that all of them together may take

LOADING = """
import json, resource, sys
from pathlib import Path
import safetensors.torch
from tarn.inference.models import foreign, weights
from tarn.inference.models.load import load
from tarn.sharding.errors import TarnError

def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

said, before = {}, memory()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load(path)
        said[path.name] = "loaded"
    except TarnError as error:
        said[path.name] = str(error)
print(json.dumps({"said": said, "grown": memory() - before}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a process that loads them all is told; it stands in a folder of its own, where a canary would be."""
    folder, home = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("home")
    for name, data, _ in CASES:
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(folder)], capture_output=True, text=True, check=False, cwd=home
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []  # no canary
    told = json.loads(done.stdout)
    assert told["grown"] < MOST
    return told["said"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("name", "pattern"), [(name, pattern) for name, _, pattern in CASES])
def test_a_hostile_file_is_refused_for_what_it_asks(name: str, pattern: str, answers: dict[str, str]) -> None:
    assert re.search(pattern, answers[name]), answers[name]
    assert name in answers[name]
    assert "\n" not in answers[name]


def test_the_canary_sings_where_the_same_pickle_is_trusted(tmp_path: Path) -> None:
    trusting = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    name, data, _ = next(case for case in CASES if case[0] == "os-system.pkl")
    (tmp_path / name).write_bytes(data)
    subprocess.run([sys.executable, "-c", trusting, name], cwd=tmp_path, check=True)
    assert (tmp_path / "canary").exists()
