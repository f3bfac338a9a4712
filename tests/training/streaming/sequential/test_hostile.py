"""Input that wants to do harm."""

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.sequential_tars import Picture, evaluated, keys_of, loader, members, tar_of
from tarn.sharding.errors import UsageError


@pytest.mark.parametrize(
    "form",
    [
        lambda canary: f"pipe:touch {canary}",
        lambda canary: f"PIPE:touch {canary} #.tar",
        lambda canary: f" pipe:touch {canary}",
        lambda canary: f"{{pipe:touch {canary},pipe:true}}",
        lambda canary: f"simplecache::pipe:touch {canary}",
        lambda canary: f"pipe://touch {canary}",
        lambda canary: f"ssh://-oProxyCommand=touch {canary}/x.tar",
        lambda canary: "file:x.tar",
        lambda canary: "data:application/x-tar;base64,AAAA",
    ],
)
def test_urls_that_run_commands_are_refused(tmp_path: Path, form: Callable[[Path], str]) -> None:
    canary = tmp_path / "canary"
    for urls in (form(canary), ["x.tar", form(canary)]):
        with pytest.raises(UsageError, match="is refused"):
            loader(urls)
    assert not canary.exists()


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_members_that_run_code_when_decoded_are_never_decoded(source: list[Picture], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload = pickle.dumps(Touch(canary))
    endings = ("pyd", "pickle", "pkl", "pth", "npy", "pt", "json.pyd", "cls.pkl")
    key, data, label = source[0]
    path = tmp_path / "x.tar"
    path.write_bytes(
        tar_of([*members(key, data, label), *((f"{key}.{ending}", payload) for ending in endings), ("b.pyd", payload)])
    )
    assert keys_of(evaluated(path, global_batch=1)) == [key]
    assert not canary.exists()
    pickle.loads(payload)
    assert canary.exists()


def test_names_that_lead_outside_are_keys_and_links_are_passed_over(source: list[Picture], tmp_path: Path) -> None:
    _, data, label = source[0]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members("../../out", data, label):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("link.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.tar").write_bytes(file.getvalue())
    assert keys_of(evaluated(tmp_path / "in" / "x.tar", global_batch=1)) == ["../../out"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "x.tar"]
