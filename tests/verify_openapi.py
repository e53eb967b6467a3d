"""The real service against its own OpenAPI document, asked by schemathesis; part of `make verify`.

Requests are made from the document, right ones and wrong ones; pictures are pictures of every format as often as
noise (`openapi_hooks.py`). Whatever is asked: no 5xx, only documented statuses, media types, headers and shapes of
answers; what the document allows is taken, what it forbids is refused, and nobody gets in without a key.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.service import ROOT, environment, running_service

#: In an environment of its own (`make fuzz` and `make verify` set it up).
SCHEMATHESIS = ROOT / ".venv-fuzz" / "bin" / "schemathesis"
SCOPES = ("detect", "mask", "records:read", "records:delete", "admin")


def key_for_everything(folder: Path) -> str:
    """Made beside the running service."""
    command = [sys.executable, "-m", "gateway.keys", "create", "--name=everything", "--json"]
    scopes = [f"--scope={scope}" for scope in SCOPES]
    made = subprocess.run(
        [*command, *scopes], cwd=ROOT, env=environment(data_dir=folder), check=True, capture_output=True, text=True
    )
    return str(json.loads(made.stdout)["key"])


def test_every_answer_is_as_documented(tmp_path: Path) -> None:
    wanted = {
        "model": "scrfd_500m_open",
        "precision": "fp32",
        "workers": 1,
        "gateway_processes": 1,
        "records": "required",
    }
    with running_service(tmp_path, api_key_enabled="true", rate_limit_wrong_keys=10_000, **wanted) as service:
        told = environment(test_key=key_for_everything(tmp_path)) | {"PYTHONPATH": str(ROOT)}  # it is no part of it
        asked = subprocess.run(
            [
                SCHEMATHESIS, f"--config-file={ROOT / 'tests' / 'schemathesis.toml'}", "run", "--checks=all",
                "--no-color", f"{service.url}/openapi.json",
            ],
            cwd=tmp_path, env=told, check=False, capture_output=True, text=True,
        )  # fmt: skip
    assert asked.returncode == 0, asked.stdout + asked.stderr
