"""Shards with something wrong in them: an error that says what, or a skip that is counted and named; and nothing is
written but below the output."""

import gzip
import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from support.downloads import add, add_strangers, claiming_two_gigabytes
from support.interrupting import interrupt_behind
from support.webdataset_tars import Members, members, webdataset_tars, write_tar
from tarn.sharding.__main__ import main
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.find import read_source

Packing = Callable[..., tuple[int, str, str]]
FIRST, SECOND = "x-train-0000.tar", "x-train-0001.tar"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_tree(tmp_path_factory.mktemp("mistakes") / "tree")


@pytest.fixture
def tars(tree: Path, tmp_path: Path) -> Path:
    """Two tars of train with a dozen samples each, and one of val."""
    return webdataset_tars(read_source(tree, "all"), tmp_path / "in", of_each=12)


@pytest.fixture
def packing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Packing:
    """Exit code, output and errors; nothing was written beside the output, and nothing at all where it failed."""

    def run(source: Path | str, *words: str) -> tuple[int, str, str]:
        before = contents(tmp_path / "in")
        code = main(["pack", str(source), str(tmp_path / "out"), "--workers=1", "--no-tile", *words])
        told = capsys.readouterr()
        assert contents(tmp_path / "in") == before
        assert {path.name for path in tmp_path.iterdir()} <= {"in", "out", "out.bad-pictures.jsonl"}
        assert not code or not (tmp_path / "out").exists() or contents(tmp_path / "out") == {}
        return code, told.out, told.err

    return run


def samples(tar: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(tar) as found:
        return [(member.name, found.extractfile(member).read()) for member in found]  # type: ignore[union-attr]


def rewritten(tar: Path, change: Callable[[list[tuple[str, bytes]]], Members]) -> None:
    write_tar(tar, change(samples(tar)))


def test_a_tar_that_is_cut_is_told(tars: Path, packing: Packing) -> None:
    raw = (tars / FIRST).read_bytes()
    for size in (len(raw) // 2, 700, 100):
        (tars / FIRST).write_bytes(raw[:size])
        code, _, error = packing(tars)
        assert code == 1
        assert f"1 damaged tar ({FIRST}: it ends at byte " in error
        assert "cut short, copy it again" in error


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "it ends at byte 0"),
        (b"no tar at all" * 100, "the header at byte 0 does not have its checksum"),
        (gzip.compress(bytes(10_240), mtime=0).ljust(1024, b"\0"), "it is compressed (gzip) and cannot be read"),
        (bytes(10_240), f"1 tar without a sample ({FIRST})"),
    ],
    ids=["nothing", "text", "gzip", "empty"],
)
def test_what_is_no_tar_is_told(raw: bytes, words: str, tars: Path, packing: Packing) -> None:
    (tars / FIRST).write_bytes(raw)
    code, _, error = packing(tars)
    assert code == 1
    assert words in error
    assert "cannot be packed" in error


@pytest.mark.parametrize("name", ["x-train-0002.tar.gz", "x-train-0002.tgz", "x-train-0002.tar.zst"])
def test_compressed_shards_are_refused_in_one_sentence(name: str, tars: Path, packing: Packing) -> None:
    (tars / name).write_bytes(gzip.compress((tars / FIRST).read_bytes()))
    code, _, error = packing(tars)
    assert code == 2
    assert f"{name} is compressed, so it cannot be read at random: unpack it to a plain .tar" in error
    code, _, error = packing(tars / name)
    assert code == 2
    assert "unpack it" in error


def test_a_header_that_claims_two_gigabytes_is_told(tars: Path, packing: Packing) -> None:
    (tars / FIRST).write_bytes(claiming_two_gigabytes("huge.jpg"))
    code, _, error = packing(tars)
    assert code == 1
    assert "huge.jpg has 2000000000 bytes, at most 536870912 are read" in error


def test_names_that_lead_out_links_and_devices_are_passed_over(tars: Path, packing: Packing) -> None:
    with tarfile.open(tars / FIRST, "a") as out:
        for name in ("../evil.jpg", "../evil.cls", "/etc/evil.jpg", "a/../../evil.jpg"):
            add(out, name, b"0")
        add_strangers(out, ("link.jpg", "dev.jpg", "hard.jpg"))
        add(out, "._evil.jpg", b"fork")
        add(out, "README", b"read me")
    code, told, _ = packing(tars)
    assert code == 0
    assert f"4 names in a tar that lead out of it, or are none ({FIRST}/../evil.cls, " in told
    assert f"3 links and devices in a tar ({FIRST}/dev.jpg, " in told
    assert f"2 hidden members, and members without an ending ({FIRST}/._evil.jpg, {FIRST}/README)" in told
    assert "train: 24 pictures" in told


def test_dots_spaces_and_unicode_in_names_make_keys_that_a_tar_can_hold(
    tars: Path, tree: Path, packing: Packing
) -> None:
    picture = (tree / "train" / "class0" / "train0.jpg").read_bytes()
    names = ["./plain", "my cat", "Kätzchen", "v1.2/cat", "k" * 95, "x" * 200]
    write_tar(tars / FIRST, [it for name in names for it in ((f"{name}.jpg", picture), (f"{name}.cls", b"0"))])
    code, _, error = packing(tars)
    assert code == 0, error
    keys = [picture.key for picture in read_source(tars, "train").splits["train"]]
    assert {"plain", "my_cat", "v1_2/cat"} < set(keys)
    assert all(key.isascii() and len(key) <= 90 and "." not in key for key in keys)
    assert len(set(keys)) == len(keys) == 12 + len(names)


def test_the_same_sample_in_two_tars_is_refused(tars: Path, packing: Packing) -> None:
    shutil.copy(tars / FIRST, tars / "x-train-0007.tar")
    code, _, error = packing(tars)
    assert code == 1
    assert f"1 pair of tars of train that holds the same samples ({FIRST} and x-train-0007.tar: 12, such as " in error


def test_keys_that_begin_anew_in_each_tar_are_told_apart_by_it(tars: Path, packing: Packing, tmp_path: Path) -> None:
    for name in (FIRST, SECOND):
        rewritten(
            tars / name,
            lambda found: [(f"{n // 2:04d}{member[-4:]}", data) for n, (member, data) in enumerate(found)],
        )
    code, told, error = packing(tars)
    assert code == 0, error
    assert (
        f"12 keys of train come again in another tar with another picture, first 0000 in {FIRST} and {SECOND}" in told
    )
    keys = [picture.key for picture in read_source(tars, "train").splits["train"]]
    assert keys[0] == "x-train-0000/0000"
    assert len(set(keys)) == 24
    assert main(["verify", str(tmp_path / "out"), f"--source={tars}"]) == 0


def test_another_picture_of_the_same_key_and_size_is_another_sample(tars: Path, tree: Path, packing: Packing) -> None:
    picture = (tree / "train" / "class0" / "train0.jpg").read_bytes()
    other = picture.replace(b"JFIF\0\1\1", b"JFIF\0\1\2")
    assert other != picture
    write_tar(tars / FIRST, [("a.jpg", picture), ("a.cls", b"0")])
    write_tar(tars / SECOND, [("a.jpg", other), ("a.cls", b"0")])
    code, told, error = packing(tars, "--split=train")
    assert code == 0, error
    assert "train: 2 pictures" in told


def test_members_out_of_order_are_refused(tars: Path, packing: Packing) -> None:
    rewritten(tars / FIRST, lambda found: found[::2] + found[1::2])
    code, _, error = packing(tars)
    assert code == 1
    assert "12 keys that come again behind other samples" in error
    assert "sort the members by name, for those of a sample must follow each other" in error


def test_two_pictures_of_one_sample_are_told_which_may_be_chosen(tars: Path, tree: Path, packing: Packing) -> None:
    picture = (tree / "train" / "class0" / "train0.jpg").read_bytes()
    write_tar(tars / FIRST, [("a.jpg", picture), ("a.png", picture), ("a.cls", b"0")])
    assert "1 sample with several pictures" in packing(tars)[2]
    code, told, error = packing(tars, "--picture=jpg")
    assert code == 0, error
    assert "beside picture and label goes along: 1 .png" in told


def test_what_goes_along_of_an_indexed_dataset_is_counted_too(tars: Path, tmp_path: Path) -> None:
    rewritten(tars / FIRST, lambda found: [*found, (f"{found[-1][0][:-4]}.txt", b"a caption")])
    index(str(tars), IndexConfig(out=str(tmp_path / "index")))
    told = "what samples hold beside picture and label goes along: 1 .txt"
    assert told in read_source(tmp_path / "index", "all").notes
    assert told in read_source(tars, "all").notes
    assert told not in read_source(tmp_path / "index", "val").notes


def test_a_shard_without_labels_is_told(tars: Path, packing: Packing) -> None:
    rewritten(tars / FIRST, lambda found: [each for each in found if not each[0].endswith(".cls")])
    code, _, error = packing(tars)
    assert code == 1
    assert f"12 samples without a label (cls, json or wnid), which have jpg ({FIRST}: " in error


def test_labels_by_number_here_and_by_wnid_there_are_refused(tars: Path, packing: Packing) -> None:
    rewritten(tars / FIRST, lambda found: [(n, b"n01440764" if n.endswith(".cls") else data) for n, data in found])
    code, _, error = packing(tars)
    assert code == 1
    assert "18 samples labelled by number, others by wnid" in error


def test_labels_that_train_does_not_have_are_noted(tars: Path, packing: Packing) -> None:
    rewritten(tars / "x-val-0000.tar", lambda found: [(n, b"3" if n.endswith(".cls") else data) for n, data in found])
    code, told, _ = packing(tars)
    assert code == 0
    assert "note: 1 class of val (3) is not in train; train has labels 0 to 2, val 3: make sure that both count" in told


@pytest.mark.parametrize("label", [b"-1", b"2000000", b"", b"3.5e", b"\xff\xfe", b"1" * 40])
def test_labels_that_are_none_are_told(label: bytes, tars: Path, packing: Packing) -> None:
    rewritten(tars / FIRST, lambda found: [(n, label if n.endswith(".cls") else data) for n, data in found])
    code, _, error = packing(tars)
    assert code == 1
    assert FIRST in error
    assert "label" in error


def test_names_of_classes_need_a_list(tars: Path, packing: Packing, tmp_path: Path) -> None:
    names = [b"cat", b"dog", b"eel"]
    for name in (FIRST, SECOND, "x-val-0000.tar"):
        rewritten(
            tars / name, lambda found: [(n, names[int(data)] if n.endswith(".cls") else data) for n, data in found]
        )
    code, _, error = packing(tars)
    assert code == 1
    assert "give --class-list FILE, whose lines name the classes" in error
    (tars / "names.txt").write_bytes(b"\xef\xbb\xbfeel\r\ndog\r\ncat\r\n")
    assert packing(tars, f"--class-list={tars}/names.txt")[0] == 0
    assert [info.wnid for info in read_manifest(tmp_path / "out").classes] == ["eel", "dog", "cat"]
    shutil.rmtree(tmp_path / "out")
    (tars / "names.txt").write_text("eel\ndog\n")
    code, _, error = packing(tars, f"--class-list={tars}/names.txt")
    assert code == 1
    assert "10 samples of a class that --class-list does not list" in error


@pytest.mark.parametrize(("word", "code"), [("--bad=fail", 1), ("--bad=skip", 0)])
def test_empty_and_cut_pictures_and_texts_are_unreadable_pictures(
    word: str, code: int, tars: Path, packing: Packing, tmp_path: Path
) -> None:
    bad = {0: b"", 2: b"text", 4: samples(tars / FIRST)[4][1][:200]}
    rewritten(tars / FIRST, lambda found: [(name, bad.get(n, data)) for n, (name, data) in enumerate(found)])
    found, told, error = packing(tars, word, "--split=train")
    assert found == code
    if code:
        assert "3 unreadable pictures (" in error
    else:
        assert "skipped as unreadable: 3, named in" in told
        lines = (tmp_path / "out" / "train.bad-pictures.jsonl").read_text().splitlines()
        assert {json.loads(line)["path"].partition("/")[0] for line in lines} == {FIRST}


@pytest.mark.parametrize("out", ["in", "in/deeper", "."])
def test_packing_onto_itself_is_refused(out: str, tars: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    assert main(["pack", str(tars), str(tmp_path / out), "--overwrite"]) == 2
    assert contents(tmp_path) == before
    pack(tars, tmp_path / "in2" / "set", PackConfig())
    before = contents(tmp_path / "in2")
    for target in ("in2/set", "in2/set/again", "in2"):
        assert main(["pack", str(tmp_path / "in2" / "set"), str(tmp_path / target), "--overwrite"]) == 2
    index(str(tars), IndexConfig(out=str(tmp_path / "index")))
    assert main(["pack", str(tmp_path / "index"), str(tars), "--overwrite"]) == 2
    assert contents(tmp_path / "in2") == before


def test_beside_tars_that_are_named_is_no_place_but_a_folder_there_is(
    tars: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tars)
    assert main(["pack", "x-train-*.tar", "."]) == 2
    assert "the output . holds the source, ." in capsys.readouterr().err
    assert main(["pack", "x-train-*.tar", "packed", "--workers=1"]) == 0
    assert main(["pack", "x-train-*.tar", "packed", "--workers=1"]) == 0
    assert "up to date" in capsys.readouterr().out


@pytest.fixture
def ours(tree: Path, tmp_path: Path) -> Path:
    pack(tree, tmp_path / "in", PackConfig(shard_size=40_000))
    return tmp_path / "in"


def flipped(path: Path, offset: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.write_bytes(raw)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a shard is gone": (lambda root: (root / "train/train-000000.tar").unlink(), "1 shard that cannot be looked at ("),
    "a shard is cut": (
        lambda root: (root / "train/train-000000.tar").write_bytes(b"x"),
        "1 shard of another size than the manifest's (train/train-000000.tar: 1 bytes, ",
    ),
    "an index is gone": (lambda root: (root / "val/val-000000.idx").unlink(), "1 index that cannot be read ("),
    "an index is another": (
        lambda root: flipped(root / "val/val-000000.idx", 20),
        "1 index without the SHA-256 of the manifest (val/val-000000.idx)",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_dataset_that_is_not_as_its_manifest_says_is_told(name: str, ours: Path, packing: Packing) -> None:
    change, words = DAMAGE[name]
    change(ours)
    code, _, error = packing(ours)
    assert code == 1
    assert words in error


def test_a_picture_that_has_not_the_checksum_of_its_index_is_told_and_may_be_skipped(
    ours: Path, packing: Packing
) -> None:
    flipped(ours / "train/train-000000.tar", 2000)
    code, _, error = packing(ours, "--split=train")
    assert code == 1
    assert "1 unreadable picture (" in error
    assert "its bytes do not have the CRC-32 of its index" in error
    code, told, _ = packing(ours, "--bad=skip")
    assert code == 0
    assert "skipped as unreadable: 1" in told


def test_an_index_that_is_not_that_of_its_tar_is_told(ours: Path, packing: Packing) -> None:
    manifest, path = ours / "manifest.json", ours / "val/val-000000.idx"
    raw = bytearray(path.read_bytes())
    raw[16:24] = (512 * 3 + 7).to_bytes(8, "little")
    path.write_bytes(raw)
    told = json.loads(manifest.read_text())
    told["splits"]["val"]["shards"][0]["index_sha256"] = hashlib.sha256(raw).hexdigest()
    manifest.write_text(json.dumps(told))
    code, _, error = packing(ours)
    assert code == 1
    assert "val/val-000000" in error


def test_the_samples_of_a_source_are_the_members_of_its_tars(tree: Path, tmp_path: Path) -> None:
    found = read_source(tree, "val").splits["val"]
    tar = write_tar(tmp_path / "val.tar", [it for picture in found for it in members(picture, "json")])
    assert [(it.key, it.label, it.place.read()) for it in read_source(tar, "val").splits["val"]] == [
        (it.key, it.label, it.place.read()) for it in found
    ]


def test_a_packing_that_is_not_at_its_end_is_no_source(
    tree: Path, tmp_path: Path, packing: Packing, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_behind(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pack(tree, tmp_path / "in", PackConfig(shard_size=10_000))
    monkeypatch.undo()
    code, _, error = packing(tmp_path / "in", "--split=train")
    assert code == 1
    assert "only what a packing or indexing left that did not come to its end: start it again" in error
