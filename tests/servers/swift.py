"""OpenStack Swift with its S3 interface, from PyPI: its own environment, and the configuration of one small node."""

import fcntl
import getpass
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VERSION = "2.38.3"
KEY, SECRET, REGION = "test:tester", "testing", "us-east-1"
SERVERS = ("account", "container", "object", "proxy")

# Every Swift that is in use has it; without, each request asks after its account and its bucket anew.
MEMCACHED = shutil.which("memcached")

_HOME = Path(__file__).parents[2] / "build" / f"swift-{VERSION}"

# Readers in parallel are served in parallel only by several workers.
_WORKERS = {"proxy": 2, "object": 2}

# Updates of a listing that come late would be left to a daemon that is not run here: wait for them, however busy the
# machine. Objects stay in the page cache, as on a warm store.
_OBJECT_OPTIONS = """
container_update_timeout = 60
conn_timeout = 20
node_timeout = 60
keep_cache_size = 1073741824
network_chunk_size = 1048576
disk_chunk_size = 1048576
mb_per_sync = 0
"""

# A test may kill servers at will: errors of the past must not keep a node from being asked again.
_PROXY_OPTIONS = """
account_autocreate = true
allow_account_management = true
object_chunk_size = 1048576
client_chunk_size = 1048576
conn_timeout = 20
node_timeout = 60
error_suppression_limit = 1000000
"""

_FILTERS = {
    "catch_errors": "",
    "healthcheck": "",
    "gatekeeper": "",
    "listing_formats": "",
    "bulk": "",
    "s3api": f"location = {REGION}\ndns_compliant_bucket_names = true",
    "tempauth": f"user_{KEY.replace(':', '_')} = {SECRET} .admin",
    "copy": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_object_versioning = true",
    "symlink": "",
}

_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(("account", "container", "object"), map(int, sys.argv[2:])):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1.0,
                     "meta": "", "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
"""


def install() -> Path:
    """The folder of Swift's programs, installed when first needed. Workers of pytest-xdist wait for one of them."""
    _HOME.parent.mkdir(exist_ok=True)
    with _HOME.with_name(f"{_HOME.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = _HOME / ".ready"
        if not ready.exists() or ready.read_text() != sys.version:
            shutil.rmtree(_HOME, ignore_errors=True)
            try:
                _install_into(_HOME)
            except (OSError, subprocess.SubprocessError) as error:
                output = getattr(error, "stderr", None) or error
                pytest.skip(f"Swift {VERSION} cannot be installed: {output}")
            ready.write_text(sys.version)
    return _HOME / "bin"


def _install_into(home: Path) -> None:
    python = str(home / "bin" / "python")
    uv = shutil.which("uv", path=str(Path(sys.prefix) / "bin")) or shutil.which("uv")
    if uv:
        commands = [[uv, "venv", "--python", sys.executable, str(home)], [uv, "pip", "install", "--python", python]]
    else:
        commands = [[sys.executable, "-m", "venv", str(home)], [python, "-m", "pip", "install"]]
    commands[1].append(f"swift=={VERSION}")
    for command in (*commands, [python, "-c", "import swift.common.wsgi"]):
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


def commands(programs: Path, etc: Path, ports: dict[str, int]) -> dict[str, list[str]]:
    """Of all that runs, by name."""
    servers = {
        name: [str(programs / f"swift-{name}-server"), str(etc / f"{name}-server.conf"), "-v"] for name in SERVERS
    }
    cache = [str(MEMCACHED), "-l", "127.0.0.1", "-p", str(ports["memcached"]), "-U", "0", "-u", getpass.getuser()]
    return ({"memcached": cache} if MEMCACHED else {}) | servers


def configure(programs: Path, etc: Path, disks: Path, ports: dict[str, int]) -> None:
    """Write what the servers read: one region, one zone, one disk, one copy."""
    etc.mkdir(parents=True)
    (disks / "disk").mkdir(parents=True)
    (etc / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = tarn\nswift_hash_path_suffix = tarn\n"
        "[storage-policy:0]\nname = default\ndefault = yes\n"
    )
    used = dict(_FILTERS)
    if MEMCACHED:
        used = {"memcache": f"memcache_servers = 127.0.0.1:{ports['memcached']}"} | used
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n{options}\n" for name, options in used.items())
    for name in SERVERS:
        app = f"{name}-server"
        pipeline = " ".join([*used, app]) if name == "proxy" else app
        options = {"object": _OBJECT_OPTIONS, "proxy": _PROXY_OPTIONS}.get(name, "")
        (etc / f"{app}.conf").write_text(
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {ports[name]}\nuser = {getpass.getuser()}\n"
            f"swift_dir = {etc}\ndevices = {disks}\nmount_check = false\ndisable_fallocate = true\n"
            f"workers = {_WORKERS.get(name, 0)}\nlog_level = WARNING\nlog_requests = false\n"
            f"[pipeline:main]\npipeline = {pipeline}\n[app:{app}]\nuse = egg:swift#{name}\n{options}"
            + (filters if name == "proxy" else "")
        )
    storage = [str(ports[name]) for name in SERVERS[:3]]
    subprocess.run([programs / "python", "-c", _RINGS, etc, *storage], check=True)
