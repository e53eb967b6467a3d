"""A widened network answers as the narrow one does, and its copies do not stay copies."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from models.training.network.detector import NARROW, WIDE, Detector, Shape, detector_of, shape_of  # noqa: E402
from models.training.network.widening import copies, widened  # noqa: E402
from models.training.run.checkpoint import fresh, next_cycle, resume, save  # noqa: E402
from models.training.run.train import begin  # noqa: E402


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


@pytest.fixture(scope="module")
def narrow() -> Detector:
    """A network whose batch norms have seen something, and whose every end answers something."""
    torch.manual_seed(5)
    model = Detector()
    for head in model.heads:
        for end in (head.score, head.box, head.points):
            torch.nn.init.normal_(end.weight, std=0.2)
    for _ in range(3):
        model(torch.randn(2, 3, 96, 96))
    model.score_scale.fill_(2)
    return model.eval().requires_grad_(False)


def test_a_widened_network_answers_as_the_narrow_one(narrow: Detector) -> None:
    wide = widened(narrow, WIDE, generator()).eval()
    picture = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        for told, again in zip(narrow(picture), wide(picture), strict=True):
            for one, other in zip(told, again, strict=True):
                torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-3)
    assert torch.equal(wide.score_scale, narrow.score_scale)


def test_every_channel_is_there_and_some_twice() -> None:
    held = copies(8, 12, generator())
    assert held[:8].tolist() == list(range(8))
    assert len(set(held[8:].tolist())) == 4


def test_copies_part_with_the_first_step(narrow: Detector) -> None:
    wide, rate = widened(narrow, WIDE, generator()), 1e-3
    kernels = wide.backbone.stages[3][1].depth.weight  # (512, 1, 5, 5), each channel's twice
    copied = [torch.nonzero((kernels == one).flatten(1).all(dim=1)).flatten() for one in kernels[:256]]
    assert all(len(pair) == 2 for pair in copied)
    optimiser = torch.optim.AdamW(wide.parameters(), lr=rate)
    sum(part.square().sum() for kind in wide(torch.randn(2, 3, 64, 64)) for part in kind).backward()
    optimiser.step()
    apart = [float((kernels[one] - kernels[other]).detach().abs().max()) for one, other in copied]
    assert sum(distance > rate for distance in apart) > 128  # one went up where the other went down


def test_a_neck_as_wide_as_the_heads_is_refused(narrow: Detector) -> None:
    with pytest.raises(ValueError, match="add what they are given"):
        widened(narrow, Shape(NARROW.widths, 64, 64), generator())


def test_a_network_is_known_by_its_weights(narrow: Detector) -> None:
    for shape in (NARROW, WIDE):
        weights = Detector(shape).state_dict()
        assert shape_of(weights) == shape == shape_of(detector_of(weights).state_dict())


def test_a_cycle_widens_once_and_a_broken_off_one_goes_on_wide(narrow: Detector, tmp_path: Path) -> None:
    state = fresh(1, 1e-3)
    state.progress.stepped(2)
    save(state, tmp_path / "narrow.pt", {})
    following = next_cycle(tmp_path / "narrow.pt", 2, 1e-3, WIDE)
    assert shape_of(following.model.state_dict()) == shape_of(following.average.state_dict()) == WIDE
    assert (following.before["pictures"], following.progress.pictures) == (2, 0)
    save(following, tmp_path / "wide.pt", {})
    assert shape_of(resume(tmp_path / "wide.pt", 2, 1e-3).model.state_dict()) == WIDE
    again = next_cycle(tmp_path / "wide.pt", 3, 1e-3, WIDE).model.state_dict()
    assert all(map(torch.equal, again.values(), following.model.state_dict().values()))


@pytest.mark.parametrize("wide", [True, False])
def test_the_command_line_says_how_wide_a_run_from_nothing_is(wide: bool, tmp_path: Path) -> None:
    options = Namespace(resume=True, out=tmp_path / "none.pt", after=None, seed=1, rate=1e-3, wide=wide)
    assert shape_of(begin(options).model.state_dict()) == (WIDE if wide else NARROW)


def test_a_narrow_run_is_not_gone_on_with_as_a_wide_one(tmp_path: Path) -> None:
    out = tmp_path / "last.pt"
    save(fresh(1, 1e-3), out, {})
    with pytest.raises(SystemExit, match="leave --wide out"):
        begin(Namespace(resume=True, out=out, after=None, seed=1, rate=1e-3, wide=True))
