"""The OpenAPI document: valid, and kept by a server with models, as schemathesis finds out."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from models import make_repository
from openapi_spec_validator import OpenAPIV31SpecValidator
from server_process import ServerProcess

HERE = os.path.dirname(os.path.abspath(__file__))

CHECKS = [
    "only_known_server_errors",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from openapi_hooks import MODELS

    folder = str(tmp_path_factory.mktemp("openapi"))
    make_repository(folder)
    # `cls` is a step of `ens`.
    for name in set(os.listdir(folder)) - {*MODELS, "cls"}:
        shutil.rmtree(os.path.join(folder, name))
    flags = ["--model-control-mode=explicit", "--load-model=*", "--allow-client-shm=true"]
    with ServerProcess(folder, flags=flags) as process:
        yield process
        assert process.alive(), process.log()[-4000:]


def document(process):
    status, body = process.get("/v2/openapi.json")
    assert status == 200
    return json.loads(body)


def test_the_document_is_valid(served):
    OpenAPIV31SpecValidator(document(served)).validate()


def test_what_is_switched_off_is_left_out(served, tmp_path):
    ends = {path.rsplit("/", 1)[1] for path in document(served)["paths"]}
    assert ends >= {"load", "unregister", "logging", "infer"}
    with ServerProcess(tmp_path, flags=["--model-control-mode=none", "--exit-on-error=false"]) as process:
        fewer = document(process)
        OpenAPIV31SpecValidator(fewer).validate()
        assert not any(path.endswith(("load", "register")) for path in fewer["paths"])
        assert "security" not in fewer


def test_answers_are_as_the_document_says(served, tmp_path):
    """Some 1,600 requests, made of the document: those it allows, and those it does not."""
    command = [
        sys.executable,
        *("-m", "schemathesis.cli", "run", f"http://{served.http}/v2/openapi.json"),
        *("--checks", ",".join(CHECKS)),
        *("--max-examples", "8", "--generation-deterministic", "--suppress-health-check", "all"),
        # They would change the log of this server, which a failing test shows.
        *("--exclude-path", "/v2/logging"),
        *("--continue-on-failure", "--no-color"),
    ]
    paths = [HERE, *sys.path]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "Tested: 35" in ran.stdout, ran.stdout[-2000:]
