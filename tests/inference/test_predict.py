import csv
import io
import json
import pickle
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms import v2 as transforms

from support.models import val
from support.web import served
from tarn.inference.__main__ import main
from tarn.inference.models.load import load
from tarn.inference.sources.words import Sources
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.export.artifact import Artifact
from tarn.training.model.resnet import build_model


def test_probabilities_equal_those_of_torchvisions_own_pipeline(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model), str(val(pictures, 9)), "--format=json", "--top=3"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    chain = transforms.Compose(
        [
            transforms.Resize(72),
            transforms.CenterCrop(64),
            transforms.PILToTensor(),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with Image.open(val(pictures, 9)) as image, torch.no_grad():
        theirs = Artifact.read(model).build()(chain(image.convert("RGB"))[None]).softmax(1)[0]
    best = theirs.topk(3)
    assert [guess["index"] for guess in told["predictions"]] == best.indices.tolist()
    assert [guess["probability"] for guess in told["predictions"]] == pytest.approx(best.values.tolist(), abs=2e-3)
    assert told["predictions"][0]["name"] == load(model).card.classes[int(best.indices[0])].name


def test_a_turned_picture_is_seen_upright_but_where_the_command_says_ignore(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(val(pictures, 2)) as image:
        image.save(tmp_path / "stored.png")
        image.save(tmp_path / "turned.png", exif=exif)
        image.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.png")

    def told(name: str, *words: str) -> object:
        assert main(["predict", str(model), str(tmp_path / name), "--format=json", *words]) == 0
        return json.loads(capsys.readouterr().out)[0]["predictions"]

    assert told("turned.png") == told("turned.png", "--orientation=exif") == told("upright.png")
    assert told("turned.png", "--orientation=ignore") == told("stored.png") != told("upright.png")


def test_pt_and_pickle_predict_the_same(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for file in (model, model.with_suffix(".pkl")):
        assert main(["predict", str(file), str(val(pictures, 2)), "--format=json"]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_files_folders_and_shards_name_the_same_pictures_alike(
    model: Path, pictures: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = val(pictures, 1).parent
    last = len(list((shards / "val").glob("*.tar"))) - 1
    found = []
    for path in (str(folder), f"{shards}/val/val-{{000000..{last:06d}}}.tar"):
        assert main(["predict", str(model), path, "--format=csv", "--top=1", "--batch-size=16"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        found.append({Path(row["picture"]).stem: (row["wnid"], row["probability"][:5]) for row in rows})
    assert len(found[0]) == 40
    assert {key: wnid for key, (wnid, _) in found[0].items()} == {key: wnid for key, (wnid, _) in found[1].items()}


@pytest.mark.parametrize("kind", ["table", "json", "csv"])
def test_a_broken_picture_is_reported_and_the_rest_goes_on(
    kind: str, model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(val(pictures, 2).read_bytes()[:3000])
    words = [str(val(pictures, 1)), str(tmp_path / "broken.jpg"), str(val(pictures, 3))]
    assert main(["predict", str(model), *words, f"--format={kind}", "--top=2"]) == 1
    told = capsys.readouterr()
    assert "broken.jpg" in told.err
    assert "Traceback" not in told.err
    if kind == "json":
        assert [len(each["predictions"]) for each in json.loads(told.out)] == [2, 0, 2]
        assert json.loads(told.out)[1]["error"]
    elif kind == "csv":
        assert [row["rank"] for row in csv.DictReader(io.StringIO(told.out))] == ["1", "2", "0", "1", "2"]
    else:
        assert told.out.count("%") == 4
        assert "error: damaged pixels" in told.out


def test_a_tar_cut_in_the_middle_gives_its_sound_pictures_and_an_error(
    model: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shards / "val" / "val-000000.tar"
    with tarfile.open(path) as tar:
        offsets = [member.offset_data for member in tar if not member.name.endswith(".cls")]
    (tmp_path / "cut.tar").write_bytes(path.read_bytes()[: offsets[3] + 100])
    assert main(["predict", str(model), str(tmp_path / "cut.tar"), "--format=json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["error"] is None for each in told] == [True, True, True, False]
    assert "cut.tar" in told[3]["error"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["MODEL", "nowhere.jpg"], "nowhere.jpg is not there"),
        (["MODEL", "EMPTY"], "holds no pictures"),
        (["MODEL", "PICTURE", "--top=0"], "--top=0"),
        (["MODEL", "PICTURE", "--device=tpu"], "device='tpu'"),
    ],
)
def test_a_mistaken_call_is_answered_in_one_sentence_before_anything_runs(
    words: list[str],
    told: str,
    model: Path,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"MODEL": str(model), "EMPTY": str(tmp_path), "PICTURE": str(val(pictures, 1))}
    assert main(["predict", *(names.get(word, word) for word in words)]) == 2
    out = capsys.readouterr()
    assert told in out.err
    assert out.err.count("\n") == 1
    assert out.out == ""


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (Path.touch, (self.path,))


def test_a_pickle_that_wants_more_than_a_model_is_refused_and_runs_nothing(model: Path, tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil(canary)))
    network = build_model("resnet18", 10, seed=0)
    network.tarn = {"inside": Evil(canary)}  # type: ignore[assignment]
    (tmp_path / "hidden.pkl").write_bytes(pickle.dumps(network))
    stored = io.BytesIO()
    torch.save(Evil(canary), stored)
    call = pickle.dumps(stored.getvalue())[:-1].removeprefix(b"\x80\x04")
    (tmp_path / "storage.pkl").write_bytes(b"ctorch.storage\n_load_from_bytes\n" + call + b"\x85R.")
    for name in ("evil.pkl", "hidden.pkl", "storage.pkl"):
        with pytest.raises(TarnError, match=name):
            load(tmp_path / name)
    assert not canary.exists()


@pytest.mark.parametrize("ending", [".pt", ".pkl"])
def test_a_damaged_model_file_is_refused_by_name(ending: str, model: Path, tmp_path: Path) -> None:
    raw = model.with_suffix(ending).read_bytes()
    for length in (0, 3, 1000, len(raw) // 2):
        (tmp_path / f"cut{ending}").write_bytes(raw[:length])
        with pytest.raises(TarnError, match=rf"cut\{ending}"):
            load(tmp_path / f"cut{ending}")


def test_pictures_and_shards_of_a_store_come_by_the_options_told(
    model: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = read_manifest(str(shards)).split("val").shards[0].name
    key = ("--storage-option", "client_kwargs.headers.X-Key=open sesame")
    with served(shards, key="open sesame") as web:
        words = ["predict", str(model), f"{web.url}/{name}", "--format=json"]
        assert main(words) == 1
        assert "access was refused (403)" in capsys.readouterr().err
        assert main([*words, *key]) == 0
        remote = json.loads(capsys.readouterr().out)
    assert main(["predict", str(model), str(shards / name), "--format=json"]) == 0
    local = json.loads(capsys.readouterr().out)
    assert [told["predictions"] for told in remote] == [told["predictions"] for told in local]


def test_paths_may_begin_with_the_home_folder(
    model: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    (model.parent / "one.jpg").write_bytes(val(pictures, 2).read_bytes())
    assert main(["predict", f"~/{model.name}", "~/one.jpg", "--format=csv"]) == 0
    assert "one.jpg" in capsys.readouterr().out
    (unit,) = Sources(words=[Path("~/one.jpg")]).units()
    assert [picture.load(10**6) for picture in unit.open()] == [val(pictures, 2).read_bytes()]
