"""The report of an evaluation: as a table for a reader, and what of it is a development figure."""

from __future__ import annotations

import msgspec

from models.training.judge.counting import SIZES, Figures, Share
from models.training.judge.sets import WITHOUT_PEOPLE

DEVELOPMENT = "development figures: choices were made by these photographs"
RELEASE = "release figures: photographs that are looked at before a release only"


class Report(msgspec.Struct, kw_only=True):
    """halves: "development" or "release" -> set -> detector -> figures. files: detector -> sum of the model's file."""

    confidence: float
    side: int
    files: dict[str, str] = {}
    halves: dict[str, dict[str, dict[str, Figures]]]


def table(report: Report) -> str:
    """Markdown: a table per half of faces found, one of false boxes."""
    lines = [f"At confidence {report.confidence}, side {report.side}; in brackets the 95 % interval over photographs."]
    for half, sets in report.halves.items():
        lines += ["", f"**{DEVELOPMENT if half == 'development' else RELEASE}**", ""]
        names = ["set (photographs, faces ≥ 16 px)", "detector", "recall", *(f"{size} px" for size in SIZES)]
        names += ["masked", "bare", "precision", "≥ 16 px", "landmarks"]
        lines += [_cells(names), _cells(["---"] * len(names))]
        for kind, detectors in sets.items():
            if kind != WITHOUT_PEOPLE:
                lines += [_cells(_found(kind, name, one)) for name, one in detectors.items()]
        if alarms := sets.get(WITHOUT_PEOPLE):
            lines += ["", "| without people | photographs | false boxes | per 100 |", "| --- | --- | --- | --- |"]
            lines += [_cells(_alarms(name, one)) for name, one in alarms.items()]
    return "\n".join(lines)


def _found(kind: str, name: str, one: Figures) -> list[str]:
    covers = [_short(one.by_cover.get(cover)) for cover in ("masked", "bare")]
    landmarks = "" if one.landmark_error is None else f"{one.landmark_error:.3f}"
    found = [f"{kind} ({one.photographs}, {one.faces})", name, _long(one.recall), *map(_short, one.by_size.values())]
    return [*found, *covers, _long(one.precision), _short(one.precision_large), landmarks]


def _alarms(name: str, one: Figures) -> list[str]:
    share = one.per_photograph
    hundred = [f"{100 * value:.1f}" for value in (share.value, share.low, share.high) if value is not None]
    return [name, str(one.photographs), str(one.false), f"{hundred[0]} ({hundred[1]}–{hundred[2]})"]


def _short(share: Share | None) -> str:
    return "" if share is None or share.value is None else f"{share.value:.3f}"


def _long(share: Share) -> str:
    return f"{share.value:.3f} ({share.low:.2f}–{share.high:.2f})" if share.value is not None else ""


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
