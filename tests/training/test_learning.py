"""The network learns, and the file that is served says what PyTorch says."""

from __future__ import annotations

import json
import random
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
functional = torch.nn.functional

from models.training.export import calibrate  # noqa: E402
from models.training.export.calibrate import ALARMS, PRECISION, STEEPEST, Findings, fits_of, fitted, outcome, passed  # noqa: E402
from models.training.export.join import joined  # noqa: E402
from models.training.export.serving_form import OUTPUTS, build  # noqa: E402
from models.training.export.unfold import served_checkpoint  # noqa: E402
from models.training.export.write import verify  # noqa: E402
from models.training.network.detector import Detector, count_macs  # noqa: E402
from models.training.network.mirror import TwoViews  # noqa: E402
from models.training.run.checkpoint import Progress, State, fresh, load, next_cycle, resume, save  # noqa: E402
from models.training.run.feed import Batch, collate  # noqa: E402
from models.training.run.losses import LEAST, MOST, stride_weights  # noqa: E402
from models.training.run.train import Forward, rate_at, train_step, used_share  # noqa: E402
from models.training.scenes import layouts  # noqa: E402
from models.training.scenes.composer import Composer, finish  # noqa: E402
from tests.training import drawn  # noqa: E402


@pytest.fixture(scope="module")
def batch() -> Batch:
    torch.set_num_threads(1)  # two would wait for one another on a busy machine
    composer, rng = Composer(drawn.material(2), 1), random.Random(2)
    return collate([finish(layouts.mosaic(composer, rng, 128), rng) for _ in range(2)])


def learn(state: State, batch: Batch, rate: float) -> None:
    train_step(state, Forward(state.model, rounded_from=1.0), batch, 0.0, rate)


def shaken() -> Detector:
    """A detector with batch norms and calibration far from their first values."""
    torch.manual_seed(3)
    model = Detector()
    for _ in range(2):
        model(torch.randn(2, 3, 128, 128))
    model.score_scale.copy_(torch.tensor([1.5, 0.7, 2.0]))
    model.score_shift.copy_(torch.tensor([4.0, 3.0, 5.0]))
    return model.eval().requires_grad_(False)


def test_the_loss_falls_on_one_repeated_batch(batch: Batch) -> None:
    state = fresh(1, 2e-3)
    forward = Forward(state.model, rounded_from=0.5)
    for step in range(25):
        train_step(state, forward, batch, step / 25, 2e-3)
    sums = [sum(parts) for parts in state.recent]
    assert np.mean(sums[-3:]) < 0.8 * np.mean(sums[:3])


def test_another_cycle_begins_with_the_weights_and_remembers_what_came_before(batch: Batch, tmp_path: Path) -> None:
    state = fresh(1, 2e-3)
    for cycle in (1, 2):
        learn(state, batch, 2e-3)
        save(state, tmp_path / "last.pt", {})
        following = next_cycle(tmp_path / "last.pt", 1, 2e-3)
        assert all(map(torch.equal, following.model.state_dict().values(), state.model.state_dict().values()))
        assert (following.progress.step, following.progress.pictures) == (0, 0)
        assert (following.before["step"], following.before["pictures"]) == (cycle, 2 * cycle)
        state = following
    save(state, tmp_path / "last.pt", {})
    assert resume(tmp_path / "last.pt", 1, 2e-3).before == state.before


def test_joined_cycles_are_their_mean_with_batch_norms_measured_anew(batch: Batch, tmp_path: Path) -> None:
    held = []
    for seed in (1, 2):
        state = fresh(seed, 2e-3)
        learn(state, batch, 2e-3)
        save(state, tmp_path / f"{seed}.pt", {"seed": seed})
        held.append(load(tmp_path / f"{seed}.pt"))
    pictures = [torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(place)) for place in range(3)]
    one = joined(held, iter(pictures))
    stem = "backbone.stem.weight"
    torch.testing.assert_close(one["average"][stem], (held[0]["average"][stem] + held[1]["average"][stem]) / 2)
    seen = torch.cat([functional.conv2d(p, one["average"][stem], stride=2, padding=1) for p in pictures])
    torch.testing.assert_close(one["average"]["backbone.stem_norm.running_mean"], seen.mean(dim=(0, 2, 3)))
    assert one["facts"] == {"joined": [{"seed": 1}, {"seed": 2}]}
    torch.save(one, tmp_path / "joined.pt")
    following = next_cycle(tmp_path / "joined.pt", 3, 2e-3)
    assert torch.equal(following.model.state_dict()[stem], one["average"][stem])


def test_one_view_costs_no_more_than_the_official_500m() -> None:
    assert count_macs(Detector()) <= 0.68e9


@pytest.mark.parametrize("twice", [True, False])
def test_the_export_equals_pytorch_alone_and_in_a_batch(twice: bool) -> None:
    model = shaken()
    data = build(model, {}, twice=twice).SerializeToString()
    assert verify(model, data, ((1, 128, 128), (4, 64, 64), (2, 96, 160)), twice=twice) < 1e-4
    assert verify(model, data, ((1, 64, 64),), twice=not twice) > 1e-3


def test_the_export_keeps_the_contract_of_the_worker() -> None:
    model = build(shaken(), {"face_api.form": "serving-1"})
    (images,) = model.graph.input
    assert images.name == "images" and images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [out.name for out in model.graph.output] == OUTPUTS
    assert [(s.domain, s.version) for s in model.opset_import] == [("", 17)]
    assert not any(n.op_type in {"BatchNormalization", "Shape"} for n in model.graph.node)
    assert {p.key: p.value for p in model.metadata_props} == {"face_api.form": "serving-1"}


def test_a_served_file_becomes_a_checkpoint_that_answers_as_it_does_without_its_calibration(tmp_path: Path) -> None:
    model = shaken()
    served = tmp_path / "served.onnx"
    onnx.save(build(model, {}), served)
    fits = zip((8, 16, 32), model.score_scale.tolist(), model.score_shift.tolist(), strict=True)
    validation = {f"stride_{stride}": {"slope": slope, "shift": shift} for stride, slope, shift in fits}
    facts = {"sha256": "5", "trained_steps": 7, "trained_pictures": 8, "trained_minutes": 2.0, "validation": validation}
    served.with_suffix(".json").write_text(json.dumps(facts))

    pictures = [torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(place)) for place in range(3)]
    torch.save(served_checkpoint(served, iter(pictures)), tmp_path / "served.pt")
    following = next_cycle(tmp_path / "served.pt", 1, 2e-3)
    assert following.before == {"step": 7, "pictures": 8, "seconds": 120.0}
    answers = TwoViews(following.model.eval())(pictures[0]), TwoViews(model)(pictures[0])
    for mine, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    stem = following.model.backbone.stem(torch.cat(pictures))
    norm = following.model.backbone.stem_norm
    torch.testing.assert_close(norm.running_mean, stem.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, stem.var((0, 2, 3), correction=0), rtol=1e-4, atol=1e-4)


def test_a_closer_networks_file_becomes_a_checkpoint_too(tmp_path: Path) -> None:
    model = shaken()
    model.score_scale.fill_(1.5)
    model.score_shift.fill_(-0.25)
    for place, head in enumerate(model.heads):  # equal ones would share a name in the file
        head.score.bias += 0.1 * place
    served = tmp_path / "closer.onnx"
    onnx.save(build(model, {}, twice=False), served)
    facts = {"sha256": "5", "trained_steps": 7, "trained_pictures": 8, "trained_minutes": 2.0}
    served.with_suffix(".json").write_text(json.dumps(facts | {"validation": {"slope": 1.5, "shift": -0.25}}))
    pictures = [torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(place)) for place in range(3)]
    torch.save(served_checkpoint(served, iter(pictures)), tmp_path / "closer.pt")
    following = next_cycle(tmp_path / "closer.pt", 1, 2e-3)
    for mine, theirs in zip(following.model.eval()(pictures[0]), model(pictures[0]), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_a_checkpoint_resumes_where_it_stopped(batch: Batch, tmp_path: Path) -> None:
    state = fresh(1, 1e-3)
    learn(state, batch, 1e-3)
    save(state, tmp_path / "last.pt", {})
    again = resume(tmp_path / "last.pt", 1, 1e-3)
    assert again.progress.step == 1 and again.progress.pictures == 2
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])


def test_the_rate_warms_up_and_falls() -> None:
    assert rate_at(0.0, 0, 1.0) < 0.01 < rate_at(1.0, 999, 1.0) + 1e-9 < rate_at(0.5, 999, 1.0)


def test_a_run_is_measured_in_steps_or_in_minutes() -> None:
    state = Namespace(progress=Progress(step=50, seconds=30.0))
    assert used_share(Namespace(steps=200, minutes=1.0), state) == 0.25
    assert used_share(Namespace(steps=0, minutes=1.0), state) == 0.5


def findings(logits: np.ndarray, true: np.ndarray) -> Findings:
    """Of three strides, as many each."""
    places = np.repeat(np.arange(3.0), len(logits) // 3).astype(np.float32)
    alarms, weights = np.zeros_like(places), np.ones_like(places)
    return Findings(logits.astype(np.float32), places, true.astype(np.float32), alarms, weights, int(true.sum()))


def some_findings(count: int = 900) -> Findings:
    rng = np.random.default_rng(1)
    true = (rng.random(count) < 0.7).astype(np.float32)
    return findings(rng.normal(0, 1, count) + 3.5 * true, true)


def test_a_fit_is_half_where_true_and_false_balance() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, 4000).astype(np.float32)
    true = (rng.random(4000) < 1 / (1 + np.exp(-(2 * logits - 1)))).astype(np.float32)
    assert fitted(logits[:, None], true) == pytest.approx([2, -1], abs=0.2)


def test_what_passes_reaches_the_goal_on_what_it_was_chosen_by_at_every_stride() -> None:
    found = some_findings()
    kept = passed(found, fits_of(found))
    for place in range(3):
        assert found.true[kept & (found.places == place)].mean() >= PRECISION
    assert outcome(found, kept)[0] > 0.7


def test_what_is_false_on_photographs_raises_the_threshold_more_than_on_composed_scenes() -> None:
    found = some_findings()
    heavy = replace(found, weights=np.where(found.true == 0, np.float32(4), np.float32(1)))
    assert passed(heavy, fits_of(heavy)).sum() < passed(found, fits_of(found)).sum()


@pytest.mark.parametrize("place", [1, 2])
def test_no_more_passes_where_no_face_is_than_is_allowed(place: int) -> None:
    found, few = some_findings(3000), ALARMS[place]  # so many that precision alone would let more pass
    false = np.where((found.places == place) & (found.true == 0), found.logits, -9)
    worst = np.argsort(-false)[: few + 1].astype(int)

    def passing(count: int) -> int:
        alarms = found.alarms.copy()
        alarms[worst[:count]] = 1
        strict = replace(found, alarms=alarms)
        return int(passed(strict, fits_of(strict))[worst[:count]].sum())

    assert passing(few) == few
    assert passing(few + 1) == few


def test_scores_of_sure_faces_stay_apart_and_the_threshold_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = some_findings()
    found = replace(found, logits=found.logits / 10)
    flat = fits_of(found)
    monkeypatch.setattr(calibrate, "STEEPEST", 1e9)
    steep = fits_of(found)
    assert all(slope <= STEEPEST for slope, _ in flat) and any(slope > STEEPEST for slope, _ in steep)
    assert (passed(found, flat) == passed(found, steep)).all()


def test_the_more_a_false_box_covers_the_fewer_are_allowed() -> None:
    assert ALARMS[0] > ALARMS[1] > ALARMS[2]


def test_a_stride_with_too_few_faces_takes_what_the_finer_one_has() -> None:
    found = some_findings()
    true = np.where(found.places == 2, 0, found.true).astype(np.float32)
    fits = fits_of(replace(found, true=true))
    assert fits[2] == fits[1] != fits[0]


def test_a_scarce_stride_weighs_more_but_not_without_bound() -> None:
    learning = torch.tensor([8.0] * 90 + [16.0] * 9 + [32.0])
    weights = stride_weights(learning, torch.tensor([8.0, 16.0, 32.0]))
    assert LEAST <= weights[0] < weights[1] < weights[2] <= MOST
