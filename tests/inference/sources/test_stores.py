"""Pictures and shards of a real object store."""

import csv
from pathlib import Path

from support.models import val
from tarn.inference import Predictor
from tarn.inference.__main__ import main
from tarn.sharding import storage


def results(path: Path, root: str) -> list[list[str]]:
    with path.open(newline="") as file:
        return [[row[0].removeprefix(root), *row[1:]] for row in csv.reader(file)]


def test_what_lies_in_a_store_is_predicted_as_what_lies_on_a_disk(
    model: Path, pictures: Path, shards: Path, bucket: str, s3_env: dict[str, str], tmp_path: Path
) -> None:
    here, there = tmp_path / "here", f"{bucket}/data"
    for name in ("a/1.jpg", "a/b/2.jpg", "3.png.jpg"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(val(pictures, len(name)).read_bytes())
    for tar in (shards / "val").glob("*.tar"):
        (here / "shards").mkdir(exist_ok=True)
        (here / "shards" / tar.name).write_bytes(tar.read_bytes())
    (here / "list.csv").write_text("path,label\na/1.jpg,3\n")
    for path in here.rglob("*.*"):
        storage.publish(f"{there}/{path.relative_to(here)}", path.read_bytes())
    storage.publish(f"{there}/model.pt", model.read_bytes())
    names = ("a", "3.png.jpg", "a/**/*.jpg", "shards/*.tar", "list.csv")
    for root, out, file in ((str(here), "here.csv", str(model)), (there, "there.csv", f"{there}/model.pt")):
        words = [f"{root}/{name}" for name in names]
        assert main(["predict", file, *words, f"--out={tmp_path / out}", "--device=cpu", "--workers=1"]) == 0
    found = results(tmp_path / "there.csv", there)
    assert len(found) == 1 + 2 + 1 + 2 + 40 + 1
    assert found == results(tmp_path / "here.csv", str(here))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "here.csv", "there.csv"]
    predictor = Predictor.load(model, "cpu")
    alone, far = predictor.predict([here / "a/1.jpg", f"{there}/a/1.jpg"])
    assert alone.guesses == far.guesses != ()
