"""The times of balancer, host and supervisor stand in order, and every shipped file is made from them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from deploy.balancing import HOSTS_FILE, SHIPPED, Host, configuration, host_settings, main
from deploy.service import grace_problem
from deploy.timings import TimeTable, of_hosts, out_of_order
from shared.environment import load
from shared.settings import Settings


def test_the_shipped_times_stand_in_order() -> None:
    assert list(out_of_order(TimeTable())) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"request": 10}, "a busy host"),
        ({"looks_failed": 4}, "a dead host"),
        ({"retries": 3}, "do not fit into whole"),
        ({"client_silence": 32}, "client_silence must be more"),
        ({"client_idle": 60}, "from the outside in"),
        ({"host_idle": 75}, "from the outside in"),
        ({"drain_delay": 4}, "who stops gets requests"),
        ({"settle": 5}, "who starts gets requests after 5"),
        ({"stop_grace": 8}, "stop_grace, 8 s, must be more"),
        ({"grace": 49}, "grace, 49 s, must be"),
    ],
)
def test_each_time_out_of_order_is_told(changed: dict[str, float], told: str) -> None:
    found = list(out_of_order(msgspec.structs.replace(TimeTable(), **changed)))
    assert any(told in words for words in found), found


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_what_the_table_makes(name: str) -> None:
    """`python -m deploy.balancing --write` renews it."""
    assert SHIPPED[name].read_text() == configuration(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_time_that_a_balancer_knows_comes_from_the_table(name: str) -> None:
    """Times that no file holds by chance, each found once it is in the table."""
    known = ("headers", "upload", "client_silence", "client_idle", "connect", "per_try", "look_interval", "look")
    odd = {time: 1001 + number for number, time in enumerate(known)}
    text = configuration(name, timings=TimeTable(**odd))
    assert {time for time, seconds in odd.items() if f"{seconds}s" not in text} == set()


def test_the_settings_of_hosts_are_what_the_table_makes_and_a_host_starts_with_them() -> None:
    assert HOSTS_FILE.read_text() == host_settings()
    settings, warnings = load({"FACE_API_SETTINGS_FILE": str(HOSTS_FILE)})
    assert warnings == []
    assert (settings.request_timeout, settings.termination_grace) == (TimeTable().request, TimeTable().grace)
    assert grace_problem(settings) == ""
    assert set(of_hosts(TimeTable())) <= {f"FACE_API_{name.upper()}" for name in Settings.__struct_fields__}


def test_a_grace_shorter_than_the_drain_is_told_with_its_mend() -> None:
    assert grace_problem(Settings()) == ""
    wrong = grace_problem(Settings(drain_delay=5, stop_grace=15, termination_grace=49))
    assert "is less than the 50 s" in wrong
    assert "FACE_API_DRAIN_DELAY" in wrong


def test_other_hosts_are_named_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envoy", "--host", "one.internal:9000", "--host", "[2001:db8::1]:8000"]) == 0
    text = capsys.readouterr().out
    assert "address: one.internal, port_value: 9000" in text
    assert "address: 2001:db8::1, port_value: 8000" in text


def test_how_much_haproxy_holds_is_told_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["haproxy", "--host", "one.internal:9000", "--held-bytes", "22020096"]) == 0
    assert "tune.bufsize 22020096" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["envoy"], ["envoy", "--host", "one"], ["haproxy", "--host", "one:0"]])
def test_a_command_that_names_no_host_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "python -m deploy.balancing" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")
def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(configuration("haproxy", [Host("10.0.0.11", 8000), Host("2001:db8::1", 8000)]))
    checked = subprocess.run(["haproxy", "-c", "-f", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
