"""Photographs without people: which there are, under which licence, and how to get them.

python -m models.training.judge.alarms --clones FOLDER      from clones of the repositories, owner+name each
python -m models.training.judge.alarms --fetch              from where the repositories are published
"""

from __future__ import annotations

from pathlib import Path

from models.training.judge.sets import pictures_in

FOLDER = Path("build/alarms")


def present(folder: Path) -> list[Path]:
    """Those of the list that are at hand."""
    return pictures_in(folder)
