"""What is measured in the service's own environment starts there: matplotlib is for who draws."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loadtest.servers import ROOT


@pytest.mark.parametrize("command", ["memory", "side_by_side"])
def test_a_command_that_draws_nothing_wants_no_matplotlib(command: str) -> None:
    without = f"import sys; sys.modules['matplotlib'] = None; import loadtest.{command}"
    subprocess.run([sys.executable, "-c", without], cwd=ROOT, check=True)
