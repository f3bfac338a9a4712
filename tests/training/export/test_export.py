import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.__main__ import main
from tarn.training.export import publish as export
from tarn.training.export.artifact import Artifact
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing


def artifact(seed: int = 0) -> Artifact:
    return Artifact(
        arch="resnet18",
        small_stem=True,
        classes=tuple(ClassInfo(f"n{label}", f"name {label}") for label in range(7)),
        preprocessing=Preprocessing(resize=36, crop=32),
        provenance={"step": 3, "top1": 0.5},
        state_dict=build_model("resnet18", 7, small_stem=True, seed=seed).state_dict(),
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """model.pt and model.pkl, alone in their folder. To be read only."""
    return export.publish(artifact(), tmp_path_factory.mktemp("published"))


def test_both_files_come_back_with_the_same_logits_and_metadata(published: tuple[Path, Path]) -> None:
    pt, pkl = published
    read = Artifact.read(pt)
    assert read.metadata() == artifact().metadata()
    images = torch.rand(3, 3, 32, 32)
    with pkl.open("rb") as file:
        module = pickle.load(file)
    with torch.no_grad():
        assert torch.equal(module(images), read.build()(images))
    assert sorted(path.name for path in pt.parent.iterdir()) == ["model.pkl", "model.pt"]


def test_the_weights_load_with_torch_alone_and_without_trust(published: tuple[Path, Path]) -> None:
    pt, _ = published
    payload = torch.load(pt, weights_only=True)
    assert payload["format"] == "tarn-model"
    assert payload["classes"][2] == {"wnid": "n2", "name": "name 2"}
    assert payload["preprocessing"]["crop"] == 32
    assert not any(name.startswith("module.") for name in payload["state_dict"])


def test_the_pickle_is_an_eval_mode_module_on_the_cpu_in_a_clean_process(published: tuple[Path, Path]) -> None:
    _, pkl = published
    code = (
        "import pickle, sys; m = pickle.load(open(sys.argv[1], 'rb'));"
        "print(type(m).__name__, m.training, {p.device.type for p in m.parameters()}, m.tarn['arch'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(pkl)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "ResNet False {'cpu'} resnet18"


def test_a_file_that_does_not_load_back_alike_is_not_published_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pt, pkl = export.publish(artifact(), tmp_path)
    before = pt.read_bytes(), pkl.read_bytes()
    other = build_model("resnet18", 7, small_stem=True, seed=9).eval()
    other.tarn = artifact().metadata()  # type: ignore[assignment]
    torn = pickle.dumps(other)
    monkeypatch.setattr(pickle, "dump", lambda model, file, protocol: file.write(torn))
    with pytest.raises(TarnError, match=r"not published.*model\.pkl gives logits that differ"):
        export.publish(artifact(seed=1), tmp_path)
    assert (pt.read_bytes(), pkl.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_no_model_is_refused_by_name(published: tuple[Path, Path], tmp_path: Path) -> None:
    pt, _ = published
    (tmp_path / "cut.pt").write_bytes(pt.read_bytes()[:-100])
    (tmp_path / "text.pt").write_text("hello")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "foreign.pt")
    for name in ("cut.pt", "text.pt", "foreign.pt", "nowhere.pt"):
        with pytest.raises(TarnError, match=name):
            Artifact.read(tmp_path / name)


def test_damaged_metadata_is_told_by_key(tmp_path: Path) -> None:
    payload = artifact().to_payload()
    for change, told in (
        ({"version": 9}, r"version 9"),
        ({"arch": "vgg"}, r"arch='vgg'"),
        ({"classes": [1]}, r"metadata"),
        ({"preprocessing": {}}, r"preprocessing"),
    ):
        with pytest.raises(TarnError, match=told):
            Artifact.from_payload({**payload, **change}, "m.pt")
    with pytest.raises(TarnError, match=r"lacks state_dict"):
        Artifact.from_payload({k: v for k, v in payload.items() if k != "state_dict"}, "m.pt")
    fewer = Artifact.from_payload({**payload, "classes": payload["classes"][:3]}, "m.pt")
    with pytest.raises(TarnError, match=r"do not fit resnet18"):
        fewer.build("m.pt")


def test_leftovers_of_killed_exports_are_swept_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    old, mine, foreign, living, older = (
        tmp_path / f".model.pt.tmp-{end}"
        for end in (
            f"{dead.pid}",
            f"{socket.gethostname()}-{dead.pid}",
            f"elsewhere-{dead.pid}",
            f"{os.getpid()}",
            f"{dead.pid}0000000",
        )
    )
    for path in (old, mine, foreign, living):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    os.utime(living, (0, 0))
    older.write_bytes(b"")  # just written: perhaps by a process of another host
    export.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted((foreign, living, older))


def test_an_export_that_is_asked_to_leave_leaves_nothing_and_the_earlier_one_stays(tmp_path: Path) -> None:
    pt, pkl = export.publish(artifact(), tmp_path)
    before = pt.read_bytes(), pkl.read_bytes()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".model.pkl.tmp-{socket.gethostname()}-{dead.pid}").write_bytes(b"of an export that was killed")
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 5:  # while it waits for the other process
            raise InterruptedByTest

    with pytest.raises(InterruptedByTest):
        export.publish(artifact(seed=1), tmp_path, look)
    assert (pt.read_bytes(), pkl.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


IN_A_TERMINAL = """
import os, signal, sys
from pathlib import Path
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
asked = []
signal.signal(signal.SIGINT, lambda *words: asked.append(1))
def look():
    if not asked and list(Path(sys.argv[2]).glob(".export.tmp-*/pixels.npy")):
        os.killpg(0, signal.SIGINT)
publish(Artifact.read(Path(sys.argv[1])), Path(sys.argv[2]), look)
print(asked)
"""


def test_an_interrupt_of_the_whole_process_group_does_not_reach_the_process_that_compares(
    published: tuple[Path, Path], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL, str(published[0]), str(tmp_path)],
        capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    assert done.stdout == "[1]\n", done.stderr
    assert len(list(tmp_path.iterdir())) == 2


def test_a_url_is_no_folder_for_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--checkpoint=run", "--out=s3://bucket/model"]) == 2
    assert "--out='s3:/bucket/model' is a URL: give a local folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def refusal(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence."""
    assert main(words) == code
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_what_exports_cannot_be_made_of_is_told_without_torchs_advice(
    published: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pt, pkl = published
    (tmp_path / "graph.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch" + bytes(100))
    out = f"--out={tmp_path / 'out'}"
    for path in (pkl, tmp_path / "graph.onnx"):
        said = refusal(["export", f"--checkpoint={path}", out], 1, capsys)
        assert f"{path} is not a Tarn checkpoint (it is a file of another kind): give one from RUN/checkpoints" in said
        said = refusal(["evaluate", f"--model={path}", "--shards=none"], 1, capsys)
        assert f"{path} is no model.pt: give one; files of other formats are scored by" in said
    assert "--averaged is of checkpoints" in refusal(["export", f"--checkpoint={pt}", out, "--averaged"], 2, capsys)
    (tmp_path / "file").touch()
    said = refusal(["export", f"--checkpoint={pt}", f"--out={tmp_path / 'file'}"], 2, capsys)
    assert "is a file: give the folder that is to receive model.pt" in said
    assert not (tmp_path / "out").exists()


class InterruptedByTest(Exception):  # noqa: N818  it is none
    pass
