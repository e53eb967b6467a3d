"""Who asks for a closer look, by parameter, setting or default, and by which rule it is taken."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gateway.endpoints import Task
from gateway.looking import looking
from gateway.params import DetectParams, MaskParams
from gateway.pictures.headers.facts import Header
from shared.cells import CLOSER_SHEETS, OWN_SHEETS, SHEETS, SheetForm
from shared.doubts import COVERING, COVERING_FAINT, TELLING, Rule
from shared.settings import Settings


def rule_of(task: Task, params: DetectParams | MaskParams, *, closer_network: bool = False, **said: Any) -> Rule | None:
    return looking(task, params, Settings(**said), closer_network=closer_network).question.closer


@pytest.mark.parametrize("closer_network", [False, True])
def test_mask_looks_closer_to_cover(closer_network: bool) -> None:
    mask = partial(rule_of, "mask", closer_network=closer_network)
    assert mask(MaskParams()) is (COVERING_FAINT if closer_network else COVERING)
    assert mask(MaskParams(closer="tell")) is TELLING
    assert mask(MaskParams(closer=False)) is mask(MaskParams(), mask_closer=False) is None


def test_detect_looks_closer_to_tell_where_the_model_has_a_closer_network() -> None:
    assert rule_of("detect", DetectParams()) is None
    assert rule_of("detect", DetectParams(), closer_network=True) is TELLING
    for closer_network, covering in ((False, COVERING), (True, COVERING_FAINT)):
        detect = partial(rule_of, "detect", closer_network=closer_network)
        assert detect(DetectParams(closer=False)) is detect(DetectParams(), detect_closer="false") is None
        assert detect(DetectParams(closer="tell")) is detect(DetectParams(), detect_closer="tell") is TELLING
        assert detect(DetectParams(closer=True)) is detect(DetectParams(), detect_closer="true") is covering
        assert detect(DetectParams(thorough=True)) is covering


def test_who_names_faces_by_detects_index_masks_what_detect_saw() -> None:
    for params in (MaskParams(keep=(0,)), MaskParams(only=(1,))):
        for closer_network in (False, True):
            for said in ("auto", "true", "false", "tell"):
                seen = partial(rule_of, closer_network=closer_network, detect_closer=said)
                assert seen("mask", params) is seen("detect", DetectParams())


@pytest.mark.parametrize(("closer_network", "form"), [(True, CLOSER_SHEETS), (False, OWN_SHEETS)])
def test_its_price_is_that_of_all_sheets_there_may_be_of_those_that_its_network_is_shown(
    closer_network: bool, form: SheetForm
) -> None:
    picture = Header("jpeg", 400, 300)
    looks = [
        looking("detect", DetectParams(closer=closer), Settings(), closer_network=closer_network)
        for closer in (False, True)
    ]
    assert looks[1].question.sheets == form
    assert [look.passes(picture) for look in looks] == [
        1,
        pytest.approx(1 + SHEETS * (form.side_max / Settings().input_side) ** 2),
    ]
