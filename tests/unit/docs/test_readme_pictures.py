"""The README's picture: its scene has the faces that are masked in it, and it is there, small."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gateway.pictures.mask_methods import METHODS
from loadtest.readme_pictures import TARGET, WAYS, sheet, told
from loadtest.readme_plot import SERVERS, SOURCE, Kind, kinds_of, plot_of
from loadtest.scene import HEIGHT, PEOPLE, WIDTH, scene
from tests.unit.pictures.hiding import OPEN_MODEL, Detector

ROOT = Path(__file__).resolve().parents[3]


def test_the_model_that_ships_finds_everybody_in_the_drawn_scene() -> None:
    pixels = scene()
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    found = Detector(OPEN_MODEL).faces(pixels, confidence=0.6)
    middles = sorted(((found.boxes[:, 0] + found.boxes[:, 2]) / 2).tolist())
    assert len(middles) == len(PEOPLE)
    for middle, person in zip(middles, sorted(PEOPLE, key=lambda one: one.x), strict=True):
        assert abs(middle - person.x) < person.size / 3


def test_every_picture_the_readme_shows_is_there_and_small() -> None:
    shown = re.findall(r"!\[.+?\]\((\S+?)\)", (ROOT / "README.md").read_text())
    assert str(TARGET.relative_to(ROOT)) in shown
    assert sum((ROOT / name).stat().st_size for name in shown) < 150_000


def test_the_sheet_holds_the_original_and_every_method() -> None:
    tile = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    whole = sheet([("original", tile), *((told(way), tile) for way in WAYS)])
    assert whole.size == (976, 733)
    assert {way["method"] for way in WAYS if "method" in way} == METHODS.keys()
    assert {"annotate", "keep"} <= {name for way in WAYS for name in way}


def test_the_plot_shows_the_figures_of_the_bench_and_nothing_else() -> None:
    kinds = kinds_of(SOURCE.read_text())
    assert len(kinds) == 6
    assert plot_of(kinds) == (ROOT / "deploy" / "readme" / "speed.svg").read_text(), "python -m loadtest.readme_plot"
    assert plot_of(kinds[:1]).count("<rect") == 2 * len(SERVERS)
    assert "&lt;b&gt;" in plot_of([Kind("<b>", [1.0, 1.0, 1.0])])
