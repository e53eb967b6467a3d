"""python -m gateway.keys: for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.keys.__main__ import main
from gateway.stores.key_format import well_formed
from shared.exit_codes import CONFIGURATION, FAILED, OK, STORE_DOWN


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_API_DATA_DIR", str(tmp_path / "var"))


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    def ask(*words: str) -> Any:
        assert main([*words, "--json"]) == OK
        return json.loads(capsys.readouterr().out)

    return ask


def test_create_answers_scripts_with_id_key_and_name(ask: Any) -> None:
    made = ask(
        "create", "--name", "ci", "--scope", "detect", "--expires", "90d", "--detect-limit", "5", "--records-ttl", "6h"
    )
    assert list(made)[:3] == ["id", "key", "name"]
    assert well_formed(made["key"].encode())
    assert (made["scopes"], made["detect_limit"], made["mask_limit"]) == (["detect"], 5, None)
    assert made["records_ttl"] == 6 * 3600


def test_list_never_shows_a_key(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    key = ask("create", "--name", "one")["key"]
    listed = ask("list")
    assert [(row["name"], row["state"], row["requests_today"]) for row in listed] == [("one", "active", 0)]
    main(["list"])
    table = capsys.readouterr().out
    assert table.splitlines()[0].split()[:3] == ["id", "name", "key"]
    assert key[:10] + "…" in table
    assert key[10:] not in table + json.dumps(listed)


def test_an_empty_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == OK
    assert capsys.readouterr().out == "no keys\n"


def test_rotate_and_revoke_take_id_or_beginning(ask: Any) -> None:
    made = ask("create", "--name", "one")
    successor = ask("rotate", made["hint"], "--grace", "1h")
    assert successor["key"] != made["key"]
    assert ask("revoke", successor["id"])["state"] == "revoked"
    states = {row["id"]: row["state"] for row in ask("list")}
    assert states == {made["id"]: "active", successor["id"]: "revoked"}
    assert [row["id"] for row in ask("list", "--state", "revoked")] == [successor["id"]]


def test_refusals_have_a_reason_on_stderr_and_a_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["revoke", "key_000000000000"]) == FAILED
    assert main(["create", "--name", "n", "--expires", "soon"]) == FAILED
    assert "write 90d" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["create"])
    with pytest.raises(SystemExit):
        main(["create", "--name", "n", "--scope", "root"])
    (tmp_path / "var" / "keys.sqlite").unlink()
    (tmp_path / "var" / "keys.sqlite").write_bytes(b"nothing of the kind" * 100)
    assert main(["list"]) == STORE_DOWN


def test_wrong_settings_are_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FACE_API_KEY_PEPPER", "short")
    assert main(["list"]) == CONFIGURATION
    assert "FACE_API_KEY_PEPPER" in capsys.readouterr().err


def test_the_pepper_is_rotated_and_old_keys_stay(ask: Any) -> None:
    made = ask("create", "--name", "one")
    before = ask("rotate-pepper")
    assert len(before["known"]) == 2
    assert ask("list")[0]["id"] == made["id"]


def test_a_console_link_is_made(ask: Any) -> None:
    assert ask("console-link")["path"].startswith("/console/welcome?token=")
