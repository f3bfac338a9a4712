"""The service does what its OpenAPI document says, whatever is made of it."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from servers.client import fetch
from support.services import Running

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_the_document_names_every_path_and_every_answer(service: Running) -> None:
    status, told = fetch(service.url, "/openapi.json")
    assert status == 200
    document = json.loads(told)
    assert document["info"]["version"] == version("tarn-train")
    paths = document["paths"]
    assert set(paths) == {"/predict", "/explain", "/model", "/classes", "/healthz", "/readyz", "/metrics"}
    assert {"200", "401", "403", "408", "413", "415", "422", "503"} <= set(paths["/predict"]["post"]["responses"])
    assert set(paths["/predict"]["post"]["requestBody"]["content"]) >= {"multipart/form-data", "application/json"}


def test_schemathesis_finds_no_answer_that_is_not_in_it(service: Running, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{service.url}/openapi.json"]
    command += [f"--checks={CHECKS}", "--max-examples=10", "--seed=1", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
