"""Two halves on different hosts start only with all that they need; what is missing or wrong is one sentence with its mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.reach import reach_problem
from deploy.wire_keys import main as make_keys
from shared import exit_codes, wire_keys
from shared.environment import load
from shared.errors import ConfigurationError, SettingsError
from shared.seldom import INTERVAL_S, SUBJECTS_MAX, Seldom
from shared.settings import Settings
from shared.split_rules import HostPort, host_port

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # of RFC 26's own example
WORKERS = {"ROLE": "workers", "WIRE_BIND": "tcp://10.0.0.21:7400", "WIRE_KEY": KEY, "WIRE_PEERS": "allowed"}
GATEWAY = {"ROLE": "gateway", "WIRE_HOSTS": "10.0.0.21:7400", "WIRE_KEY": KEY, "WIRE_PEERS": "servers"}


def loaded(settings: dict[str, str]) -> Settings:
    return load({f"FACE_API_{name}": value for name, value in settings.items() if value})[0]


def test_each_half_starts_with_what_it_needs() -> None:
    assert loaded(WORKERS).role == "workers"
    assert loaded(GATEWAY).role == "gateway"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (WORKERS | {"WIRE_KEY": ""}, "FACE_API_WIRE_KEY: is empty, and hosts speak to one another only with keys"),
        (GATEWAY | {"WIRE_KEY": ""}, "`python -m deploy.wire_keys NAME` makes a pair"),
        (WORKERS | {"WIRE_KEY": KEY[:-1]}, "has 39 characters where a key has 40"),
        (WORKERS | {"WIRE_KEY": KEY[:-1] + "~"}, "has characters that no key has"),
        (WORKERS | {"WIRE_KEY": "#" * 40}, "is no key"),
        (WORKERS | {"WIRE_PEERS": ""}, "FACE_API_WIRE_PEERS: is empty"),
        (WORKERS | {"WIRE_BIND": ""}, "FACE_API_WIRE_BIND: is empty: FACE_API_ROLE=workers needs it"),
        (WORKERS | {"WIRE_BIND": "10.0.0.21"}, "10.0.0.21 is no address; write tcp://10.0.0.21:7400"),
        (WORKERS | {"WIRE_BIND": "tcp://10.0.0.21:70000"}, "the port must be 1 to 65535"),
        (WORKERS | {"WIRE_HOSTS": "10.0.0.22:7400"}, "is for the other half"),
        (GATEWAY | {"WIRE_HOSTS": ""}, "FACE_API_WIRE_HOSTS: is empty: FACE_API_ROLE=gateway needs it"),
        (WORKERS | {"ROLE": "both"}, "is for one half alone: set FACE_API_ROLE to gateway or workers"),
    ],
)
def test_what_is_missing_or_wrong_is_told_with_its_mend_and_the_key_is_not(
    settings: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(settings)
    assert words in str(caught.value)
    assert KEY[:-1] not in str(caught.value)


def test_addresses_are_read_as_people_write_them() -> None:
    assert host_port("tcp://workers.internal:7400") == HostPort("workers.internal", 7400)
    assert host_port("[fd00::1]:7400").endpoint(2) == "tcp://[fd00::1]:7402"
    for text in ("fd00::1:7400", "tcp://:7400", "a:b", "a:0", "http://a:7400", "a:٧"):
        with pytest.raises(ValueError, match=r"address|port"):
            host_port(text)


def test_the_command_makes_a_pair_that_both_halves_can_read_and_writes_over_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_keys(["workers", str(tmp_path)]) == exit_codes.OK
    secret, public = tmp_path / "workers.key", tmp_path / "workers.pub"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert wire_keys.problem(secret.read_text().strip()) == ""
    assert set(wire_keys.read_peers(tmp_path).values()) == {"workers"}
    assert secret.read_text().strip() not in public.read_text() + capsys.readouterr().out
    assert make_keys(["workers", str(tmp_path)]) == exit_codes.FAILED
    assert "exists; choose another name" in capsys.readouterr().err


def test_keys_of_the_other_half_are_read_from_a_file_or_from_a_folder_while_one_replaces_another(
    tmp_path: Path,
) -> None:
    (tmp_path / "old.pub").write_text(f"{KEY} gateways before\n")
    (tmp_path / "new.pub").write_text("1" * 40 + "\n\n")
    (tmp_path / "old.key").write_text("no business of ours")
    assert sorted(wire_keys.read_peers(tmp_path).values()) == ["gateways before", "new"]
    assert wire_keys.read_peers(tmp_path / "old.pub") == {KEY: "gateways before"}


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "cannot be read"), ("", "holds 0 public keys"), ("short name\n", "has 5 characters where a key has 40")],
)
def test_a_half_that_knows_nobody_says_what_to_put_where(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "peers"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        wire_keys.read_peers(path)
    assert words in reach_problem(Settings(role="workers", wire_peers=str(path)))


def test_a_name_without_records_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    path.write_text(KEY)
    known = Settings(role="gateway", wire_peers=str(path), wire_hosts="127.0.0.1:7400,localhost:7400")
    assert reach_problem(known) == ""
    nameless = Settings(role="gateway", wire_peers=str(path), wire_hosts="nowhere.invalid:7400")
    assert "nowhere.invalid has no address" in reach_problem(nameless)


def test_what_could_be_said_over_and_over_is_said_once_a_while_for_each_subject_and_strangers_cannot_fill_the_log() -> (
    None
):
    seldom = Seldom()
    assert [seldom.may("a", now) for now in (0.0, 1.0, INTERVAL_S - 1, INTERVAL_S)] == [True, False, False, True]
    said = sum(seldom.may(f"stranger {number}", INTERVAL_S) for number in range(10 * SUBJECTS_MAX))
    assert said <= SUBJECTS_MAX
    assert seldom.may("a", 3 * INTERVAL_S)
