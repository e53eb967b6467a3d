"""`python -m models` as people and scripts use it."""

from __future__ import annotations

import io
import json

import pytest

from models.__main__ import _accepted, main
from models.terminal import Talk, progress_bar, table
from shared.exit_codes import CONFIGURATION, FAILED, OK, USAGE
from tests.networks import Form, random_network
from tests.unit.models.material import SIDE


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A data folder of our own, a model folder and a small input."""
    for name, value in (("DATA_DIR", tmp_path / "data"), ("MODEL_DIR", tmp_path / "models"), ("INPUT_SIDE", SIDE)):
        monkeypatch.setenv(f"FACE_API_{name}", str(value))
    (tmp_path / "models").mkdir()
    return tmp_path


def answer(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list_names_every_model_and_the_one_that_auto_serves(house, capsys):
    random_network(house / "models" / "det_10g.onnx", Form(side=SIDE))
    assert main(["list", "--json"]) == OK
    (rows,) = answer(capsys)
    assert {"scrfd_10g", "scrfd_2.5g", "scrfd_500m", "scrfd_500m_open"} <= {row["name"] for row in rows}
    assert [row["name"] for row in rows if row["auto"]] == ["scrfd_10g"]
    assert main(["list"]) == OK
    assert "det_10g.onnx" in capsys.readouterr().out


def test_verify_fails_on_a_file_that_is_not_the_published_one(house, capsys):
    assert main(["verify", "--json"]) == OK
    random_network(house / "models" / "det_10g.onnx", Form(side=SIDE))
    assert main(["verify", "--json"]) == FAILED
    assert answer(capsys)[-1][0]["verdict"] == "differs"


def test_prepare_makes_a_model_ready_by_path(house, capsys):
    path = random_network(house / "mine.onnx", Form(side=SIDE))
    assert main(["prepare", str(path), "--json"]) == OK
    assert answer(capsys)[-1]["info"]["name"] == "mine"


def test_prepare_of_what_is_not_there_says_how_to_mend_it(house, capsys):
    assert main(["prepare", "scrfd_500m"]) == CONFIGURATION
    assert "python -m models pull scrfd_500m" in capsys.readouterr().err


def test_pull_shows_the_licence_and_downloads_nothing_without_consent(house, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["pull", "scrfd_10g"]) == USAGE
    words = capsys.readouterr().err
    assert "non-commercial" in words
    assert "--accept-license" in words
    assert not (house / "data").exists()


@pytest.mark.parametrize(
    ("typed", "accepted"), [("y\n", True), ("YES\n", True), ("\n", False), ("no\n", False), ("", False)]
)
def test_the_licence_is_accepted_by_a_plain_yes_at_a_terminal(monkeypatch, typed, accepted):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert _accepted(Talk(json=False)) is accepted


def test_scripts_that_read_json_are_never_asked(monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert not _accepted(Talk(json=True))


def test_pull_of_what_cannot_be_pulled_names_what_can(house, capsys):
    assert main(["pull", "scrfd_2.5g_bnkps", "--accept-license"]) == CONFIGURATION
    assert "scrfd_2.5g, scrfd_500m" in capsys.readouterr().err


def test_wrong_settings_are_reported(house, capsys, monkeypatch):
    monkeypatch.setenv("FACE_API_INPUT_SIDE", "65")
    assert main(["list"]) == CONFIGURATION
    assert "multiple of 32" in capsys.readouterr().err


def test_json_errors_are_json_too(house, capsys):
    assert main(["prepare", "scrfd_500m", "--json"]) == CONFIGURATION
    assert "pull scrfd_500m" in answer(capsys)[-1]["error"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_a_bar_that_is_cleared_before_the_next_line():
    screen = Terminal()
    talk = Talk(json=False, err=screen)
    talk.arrived(50, 100)
    talk.arrived(100, 100)
    talk.say("done")
    assert "#####" in screen.getvalue()
    assert screen.getvalue().endswith(" \rdone\n")


def test_a_log_sees_lines_and_not_one_for_every_chunk():
    screen = io.StringIO()
    talk = Talk(json=False, err=screen)
    for done in range(0, 1000, 10):
        talk.arrived(done << 20, 1000 << 20)
    assert len(screen.getvalue().splitlines()) == 1
    assert "1000.0 MiB" in screen.getvalue()


def test_progress_of_unknown_length_is_shown_as_such():
    assert progress_bar(3 << 20, 0).endswith("3.0 MiB of ?")


def test_tables_are_aligned():
    assert table(("a", "b"), [("longer", "x")]).splitlines() == ["a       b", "------  -", "longer  x"]
