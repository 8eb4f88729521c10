"""``linnet serve`` under Schemathesis, which makes requests from the server's own OpenAPI: ``make test-fuzz``."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.server_process import serving
from environments import make_environment
from program import ROOT

# A model that is not loaded, and a full queue, are no faults; the requests unload the model too.
_CHECKS = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 503, 504]\n'


@pytest.mark.fuzz
def test_no_request_is_answered_with_a_fault(small_bundle: Path, tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "environment", "schemathesis>=4", ROOT / "constraints.txt")
    (environment.folder / "schemathesis.toml").write_text(_CHECKS)
    with serving(small_bundle, "--device", "fake", "--queue", 16) as server:
        address = f"http://127.0.0.1:{server.port}"
        options = ["--url", address, "--phases", "examples,coverage,fuzzing", "--max-examples", 40]
        options += ["--checks", "not_a_server_error"]
        environment.run("schemathesis", "run", f"{address}/openapi.json", *options)
        status, _, errors = server.end()
    assert status == 0
    assert "Traceback" not in errors
