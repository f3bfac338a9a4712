"""nginx, serving a folder as a bucket: as good as no work for the server, so that a figure is the client's.

An S3 client's GET of a whole object or of a range is plain HTTP; nginx does not look at the signature.
"""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

BUCKET = "static"
CONFIG = """
daemon off;
pid {home}/nginx.pid;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 100000;
    default_type application/octet-stream;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /{bucket}/ {{ alias {folder}/; }}
    }}
}}
"""


@contextlib.contextmanager
def static_store(folder: Path) -> Iterator[str]:
    """The endpoint at which the folder is the bucket `static`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed: install it, or name a store's URL.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        config = Path(home) / "nginx.conf"
        config.write_text(CONFIG.format(home=home, port=port, bucket=BUCKET, folder=folder.resolve()))
        process = subprocess.Popen([program, "-e", f"{home}/error.log", "-p", home, "-c", str(config)])
        try:
            while not answers(port):
                if process.poll() is not None:
                    raise SystemExit(f"nginx ended ({process.returncode}) at its start: its words are above.")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
