"""The balancers' own programs take the files that are made for them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.balancing import SHIPPED_HOSTS, Host, configuration
from tests.cluster.programs import program

HOSTS = {"two addresses": SHIPPED_HOSTS, "a name and IPv6": (Host("face-api.internal", 80), Host("2001:db8::1", 8000))}


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS)
def test_envoy_takes_its_file(hosts: tuple[Host, ...], tmp_path: Path) -> None:
    file, envoy = tmp_path / "envoy.yaml", program("envoy")
    assert envoy, "`make verify` installs Envoy into .venv-cluster"
    file.write_text(configuration("envoy", hosts))
    checked = subprocess.run([envoy, "--mode", "validate", "-c", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "deprecated" not in checked.stderr.lower(), checked.stderr
