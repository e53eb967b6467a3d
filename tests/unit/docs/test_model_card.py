"""The open model's card says what was measured on the very file that is served."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from models.training.judge.report import Report, table

OPEN = Path(__file__).parents[3] / "models" / "open"
CARD = (OPEN / "README.md").read_text(encoding="utf-8")
REPORT = msgspec.json.decode((OPEN / "figures.json").read_bytes(), type=Report)
ROW = re.compile(
    r"^\| (?:everyday scenes|gatherings|masks|samples|crowds and groups|portraits) \(\d+, \d+\) \|.*$|^\| scrfd_\S+ (?:int8|fp32) \| \d+ \| .*$",
    re.MULTILINE,
)


def test_the_figures_are_of_the_very_file_that_is_served() -> None:
    served = hashlib.sha256((OPEN / "scrfd_500m_open.onnx").read_bytes()).hexdigest()
    assert REPORT.files["scrfd_500m_open int8"] == served


def test_beside_every_network_stands_its_sum() -> None:
    networks = sorted(OPEN.glob("*.onnx"))
    assert len(networks) == 2
    for path in networks:
        said = msgspec.json.decode(path.with_suffix(".json").read_bytes())
        assert (said["name"], said["sha256"]) == (path.stem, hashlib.sha256(path.read_bytes()).hexdigest())


def test_every_row_of_figures_in_the_card_is_one_that_was_measured() -> None:
    rows = ROW.findall(CARD)
    assert len(rows) >= 8
    assert set(rows) <= set(table(REPORT).splitlines())


def test_the_card_tells_both_halves_apart_and_leads_with_the_one_nobody_tuned_to() -> None:
    assert set(REPORT.halves) == {"development", "release"}
    of_release = [line for line in table(REPORT).splitlines() if line.startswith("| masks")]
    ours = [line for line in of_release if "scrfd_500m_open int8" in line]
    assert 0 < CARD.index(ours[1]) < CARD.index(ours[0])
