"""Users without HOME and without an entry in passwd, as containers run with --user have, or with a home that cannot be
written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tarn.sharding.home import temporary
from tarn.sharding.kernel import kernel_folders
from tarn.training.streaming.access import default_cache


@pytest.fixture
def homeless(tmp_path: Path) -> dict[str, str]:
    """The environment of such a user."""
    (tmp_path / "stub").mkdir()
    (tmp_path / "temporary").mkdir()
    stub = "import pwd\ndef none(uid): raise KeyError(uid)\npwd.getpwuid = none\n"
    (tmp_path / "stub" / "sitecustomize.py").write_text(stub)
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "TARN_CACHE")}
    return kept | {"PYTHONPATH": str(tmp_path / "stub"), "TMPDIR": str(tmp_path / "temporary")}


def test_a_user_without_a_home_packs_and_loads(
    homeless: dict[str, str], pictures: Path, shards: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from tarn.training.streaming import ShardLoader\n"
        "from tarn.training.streaming.access import AccessConfig\n"
        "print(sum(len(b.labels) for b in ShardLoader(sys.argv[1], global_batch=8, image_size=32, num_workers=1)))\n"
        "print(AccessConfig().resolve('s3://bucket/x').cache)"
    )
    words = ["-m", "tarn.sharding", "pack", str(pictures), str(tmp_path / "out"), "--split=val", "--workers=1"]
    packing = subprocess.run([sys.executable, *words], env=homeless, capture_output=True, text=True, check=False)
    assert packing.returncode == 0, packing.stderr
    words = ["-c", code, str(shards)]
    loading = subprocess.run([sys.executable, *words], env=homeless, capture_output=True, text=True, check=False)
    assert loading.returncode == 0, loading.stderr
    count, cache = loading.stdout.split()
    assert int(count) == 120
    assert cache == f"{homeless['TMPDIR']}/tarn-cache-{os.getuid()}"
    assert list(Path(homeless["TMPDIR"]).glob("tarn-kernels-*/*.so"))


def test_a_home_that_cannot_be_written_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("TARN_CACHE", raising=False)
    assert default_cache() == temporary("cache")
    assert kernel_folders() == [tmp_path / "file" / "tarn" / "kernels", temporary("kernels")]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / "tarn"
    monkeypatch.setenv("TARN_CACHE", str(tmp_path / "told"))
    assert default_cache() == tmp_path / "told"
