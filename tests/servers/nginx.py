"""A real nginx that serves a folder: with ranges at `url`, and without at `plain_url`, as simple web servers do."""

import os
import shutil
from pathlib import Path

import pytest

from servers import guard

# One process in the foreground. It never changes its user, so that it may read what the tests wrote.
_CONFIG = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    default_type application/octet-stream;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {folder}; }}
        location /plain/ {{ alias {folder}/; max_ranges 0; }}
    }}
}}
"""


class Nginx:
    """Files put into `folder` are served at once."""

    def __init__(self, home: Path) -> None:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if not program:
            pytest.skip("nginx is not installed")
        self.program = program
        self.home = home
        self.folder = home / "served"
        self.folder.mkdir(parents=True)
        (self.port,) = guard.free_ports(1)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.endpoint}/"
        self.plain_url = f"{self.endpoint}/plain/"

    def start(self) -> None:
        config = self.home / "nginx.conf"
        config.write_text(_CONFIG.format(home=self.home, folder=self.folder, port=self.port))
        command = [self.program, "-e", "stderr", "-p", str(self.home), "-c", str(config)]
        guard.start({"nginx": command}, self.home, os.getpid())
        guard.wait_for(lambda: guard.listens(self.port), self.home)

    def stop(self) -> None:
        guard.stop(self.home)
