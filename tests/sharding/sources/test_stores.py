"""Archives and trees that lie in a store or on a web server, packed by ranges."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from servers.nginx import Nginx
from servers.proxy import Proxy
from servers.s3 import S3Server
from support.datasets import contents, picture_tree
from support.downloads import ilsvrc_tars, zipped
from support.tables import hub_parquet, rows_of_kaggle, write_csv
from support.web import served
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.find import look_at, read_source

SMALL = PackConfig(shard_size=1_000_000)


def shards_of(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(root).items() if not name.endswith(".json")}


def test_a_zip_of_a_web_server_is_packed_by_ranges(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "tree")
    zipped(tree, tmp_path / "x.zip", zipfile.ZIP_DEFLATED)
    pack(tree, tmp_path / "one", SMALL)
    with served(tmp_path) as web:
        pack(f"{web.url}/x.zip", tmp_path / "two", SMALL)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert all(told for _, told in web.asked)
    assert len(web.asked) == 30 + 3  # each picture once; end, zip64's locator, directory


def test_a_tree_of_a_web_server_cannot_be_listed_and_a_zip_that_is_gone_is_told(tmp_path: Path) -> None:
    with served(tmp_path) as web:
        with pytest.raises(UsageError, match=r"lists no folders: give a zip there, or ILSVRC's tars, or copy"):
            look_at(f"{web.url}/tree")
        with pytest.raises(TarnError, match=r"gone\.zip cannot be read .*it is not there"):
            look_at(f"{web.url}/gone.zip")


def test_the_tars_of_a_web_server_are_found_by_their_names(pictures: Path, shards: Path, tmp_path: Path) -> None:
    ilsvrc_tars(pictures, tmp_path / "tars")
    with served(tmp_path) as web:
        pack(f"{web.url}/tars", tmp_path / "out", replace(SMALL, split="val"))
        assert len(read_source(f"{web.url}/tars/ILSVRC2012_img_train.tar", "train").splits["train"]) == 120
    assert shards_of(tmp_path / "out") == {n: data for n, data in shards_of(shards).items() if n.startswith("val")}


def test_pictures_that_break_on_the_way_are_asked_for_again(nginx: Nginx, nginx_proxy: Proxy, tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "tree")
    home = nginx.folder / tmp_path.name
    home.mkdir()
    zipped(tree, home / "x.zip")
    pack(tree, tmp_path / "one", SMALL)
    url = f"{nginx_proxy.endpoint}/{tmp_path.name}/x.zip"
    nginx_proxy.fault("rst", times=3, after=5)
    nginx_proxy.fault("status", times=3, after=10)
    pack(url, tmp_path / "two", SMALL)
    assert {"rst", "status", "pass"} == {request.outcome for request in nginx_proxy.log}
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    nginx_proxy.fault("corrupt", times=1, after=5)
    with pytest.raises(TarnError, match=r"1 unreadable picture .* do not have the CRC-32"):
        pack(url, tmp_path / "three", SMALL)


@pytest.mark.usefixtures("s3_env")
def test_zip_tars_and_tree_of_an_object_store(
    s3: S3Server, bucket: str, pictures: Path, shards: Path, tmp_path: Path
) -> None:
    (tmp_path / "up").mkdir()
    tree = picture_tree(tmp_path / "up" / "tree")
    zipped(tree, tmp_path / "up" / "x.zip")
    ilsvrc_tars(pictures, tmp_path / "up" / "tars")
    s3.put_tree(f"{bucket}/up", tmp_path / "up")
    pack(tree, tmp_path / "out", SMALL)
    for name in ("x.zip", "tree"):
        pack(f"{bucket}/up/{name}", tmp_path / name, SMALL)
        assert contents(tmp_path / name) == contents(tmp_path / "out")
    pack(f"{bucket}/up/tars", tmp_path / "tars", replace(SMALL, split="val", workers=2))
    assert shards_of(tmp_path / "tars") == {n: data for n, data in shards_of(shards).items() if n.startswith("val")}


@pytest.mark.usefixtures("s3_env")
def test_parquet_and_a_listing_of_an_object_store(s3: S3Server, bucket: str, pictures: Path, tmp_path: Path) -> None:
    up = tmp_path / "up"
    rows = [row for row in rows_of_kaggle(pictures) if row["split"] == "val"]
    hub_parquet(pictures, up / "hub")
    write_csv(up / "x.csv", rows)
    urls = [{**row, "path": f"{bucket}/up/{row['path']}"} for row in rows]
    for row in rows:
        (up / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        (up / row["path"]).write_bytes((pictures / row["path"]).read_bytes())
    s3.put_tree(f"{bucket}/up", up)
    config = replace(SMALL, shard_size=100_000_000, split="val")
    pack(pictures, tmp_path / "tree", config)
    given = {"hub": f"{bucket}/up/hub", "listing": f"{bucket}/up/x.csv", "urls": write_csv(tmp_path / "y.csv", urls)}
    given["one"] = f"{bucket}/up/hub/data"
    for name, source in given.items():
        pack(source, tmp_path / name, replace(config, workers=2))
        assert shards_of(tmp_path / name) == shards_of(tmp_path / "tree")
    write_csv(tmp_path / "y.csv", [*urls, {**urls[0], "path": f"{bucket}/up/gone.jpg"}])
    with pytest.raises(TarnError, match=r"1 picture that is not there \(s3:.*gone\.jpg \(it is not there\) in line 42"):
        pack(tmp_path / "y.csv", tmp_path / "gone", config)
