import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from tarn.sharding.errors import UsageError
from tarn.sharding.sample.drawing import draw
from tarn.sharding.sample.sample import CLASSES, WNIDS, SampleConfig, draw_sample

TINY = SampleConfig(train_per_class=2, val_per_class=1)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_layout_is_the_one_of_the_kaggle_download(pictures: Path) -> None:
    home = pictures / "ILSVRC" / "Data" / "CLS-LOC"
    assert sorted(folder.name for folder in (home / "train").iterdir()) == WNIDS
    for path in (home / "train").rglob("*.*"):
        assert path.name.startswith(f"{path.parent.name}_")
        assert path.suffix == ".JPEG"
    assert sorted(path.name for path in (home / "val").iterdir())[:2] == [
        "ILSVRC2012_val_00000001.JPEG",
        "ILSVRC2012_val_00000002.JPEG",
    ]
    lines = (pictures / "LOC_synset_mapping.txt").read_text().splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == sorted(WNIDS)


def test_the_solution_has_no_order_several_boxes_and_trailing_blanks(pictures: Path) -> None:
    with (pictures / "LOC_val_solution.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["ImageId"] for row in rows]
    assert names != sorted(names)
    assert len(set(names)) == 40
    assert all(row["PredictionString"].endswith(" ") for row in rows)
    assert {len(row["PredictionString"].split()) // 5 for row in rows} >= {1, 2}


def test_the_oddities_of_the_real_set_are_among_them(pictures: Path) -> None:
    for split in ("train", "val"):
        modes, formats, sampling, progressive = set(), set(), set(), 0
        for path in (pictures / "ILSVRC" / "Data" / "CLS-LOC" / split).rglob("*.JPEG"):
            with Image.open(path) as image:
                modes.add(image.mode)
                formats.add(image.format)
                progressive += bool(image.info.get("progressive"))
                if isinstance(image, JpegImagePlugin.JpegImageFile) and image.mode == "RGB":
                    sampling.add(JpegImagePlugin.get_sampling(image))
        assert modes == {"RGB", "L", "CMYK"}
        assert formats == {"JPEG", "PNG"}
        assert {0, 2} <= sampling
        assert progressive == 1


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    for name, workers, seed in (("one", 1, 0), ("two", 2, 0), ("other", 1, 1)):
        draw_sample(tmp_path / name, SampleConfig(train_per_class=1, val_per_class=1, seed=seed), workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_drawing_again_changes_nothing_and_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    assert draw_sample(tmp_path / "s", TINY, 1)
    before = contents(tmp_path / "s")
    assert not draw_sample(tmp_path / "s", TINY, 1)
    with pytest.raises(UsageError, match=r"not this sample"):
        draw_sample(tmp_path / "s", SampleConfig(train_per_class=3, val_per_class=1), 1)
    assert contents(tmp_path / "s") == before


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(job: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tarn.sharding.sample.sample.draw_one", stop)
    with pytest.raises(KeyboardInterrupt):
        draw_sample(tmp_path / "s", TINY, 1)
    assert list(tmp_path.iterdir()) == []


def test_mean_colour_does_not_tell_the_class() -> None:
    """A linear classifier on the mean colours of a 3 x 3 grid, trained on 400 pictures, stays near chance (10 %).

    So does one on the mean colour of the whole picture and its squares, which tell light and dark from what is between.
    """
    grids, means, labels = [], [], []
    for index in range(600):
        label = index % len(CLASSES)
        drawn = draw(*CLASSES[label], np.random.default_rng([9, index]))
        for features, side in ((grids, 3), (means, 1)):
            small = drawn.image.resize((side, side), Image.Resampling.BOX)
            features.append(np.asarray(small, float).ravel() / 255)
        labels.append(label)
    mean = np.array(means)
    assert accuracy_of_linear_classifier(np.array(grids), np.array(labels)) < 0.25
    assert accuracy_of_linear_classifier(np.c_[mean, mean**2], np.array(labels)) < 0.25


def accuracy_of_linear_classifier(features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Least squares on the first 400 rows, scored on the others."""
    x = np.c_[features, np.ones(len(features))]
    weights = np.linalg.lstsq(x[:400], np.eye(len(CLASSES))[labels[:400]], rcond=None)[0]
    return float(((x[400:] @ weights).argmax(axis=1) == labels[400:]).mean())


def test_every_shape_comes_with_every_texture_so_that_neither_alone_tells_the_class() -> None:
    shapes, textures = {shape for shape, _ in CLASSES}, {texture for _, texture in CLASSES}
    assert len(CLASSES) == len(shapes) * len(textures) == 10
