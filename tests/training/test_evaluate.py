"""An evaluation from folder to report, with pictures and labels made here; needs no torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from models.catalogue.choose import choose_file
from models.training.judge.canvases import Canvases
from models.training.judge.evaluate import main, parse
from models.training.judge.report import DEVELOPMENT, RELEASE, Report
from models.training.judge.served import alone, closer_of
from models.training.judge.sets import MASKED, everyday, is_release, left_out, without_people

OPEN = Path("models/open/scrfd_500m_open.onnx")
NAMES = {half: [n for n in (f"made_{i}.png" for i in range(40)) if is_release(n) == half][:2] for half in (False, True)}


def picture(path: Path, ink: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((80, 120, 3), ink, np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, with_open_model: Path) -> Path:
    tmp_path = tmp_path_factory.mktemp("judged")
    shutil.copytree(with_open_model / "data", tmp_path / "kept")
    labels = {}
    for name in NAMES[False] + NAMES[True]:
        picture(tmp_path / "everyday" / "photos" / name)
        labels[name] = {"faces": [[10, 10, 50, 50]], "loose": [], "kinds": ["with_mask"]}
    (tmp_path / "everyday" / "labels.json").write_text(json.dumps(labels))
    picture(tmp_path / "alarms" / "made_0.png")
    return tmp_path


def evaluated(folder: Path, *more: str) -> Report:
    told = folder / "report.json"
    named = {"everyday": "everyday", "alarms": "alarms", "photos": "none", "truth": "none.onnx", "kept": "kept"}
    named["real"] = "none"
    options = [part for name, value in named.items() for part in (f"--{name}", str(folder / value))]
    main([str(OPEN), "--forms", "fp32", "--json", str(told), *options, *more])
    return msgspec.json.decode(told.read_bytes(), type=Report)


def test_the_release_half_is_looked_at_only_when_it_is_for_a_release(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = evaluated(folder)
    assert set(report.halves) == {"development"}
    assert report.halves["development"]["made"]["scrfd_500m_open fp32"].photographs == 2
    words = capsys.readouterr().out
    assert DEVELOPMENT in words and RELEASE not in words

    whole = evaluated(folder, "--release")
    assert [len(whole.halves), whole.halves["release"]["made"]["scrfd_500m_open fp32"].photographs] == [2, 2]
    assert RELEASE in capsys.readouterr().out
    assert whole.halves["development"] == report.halves["development"]


def test_a_face_that_is_not_there_is_missed_and_drawn(folder: Path) -> None:
    made = evaluated(folder, "--sets", "made", "--draw", str(folder / "drawn")).halves["development"]
    assert set(made) == {"made"}
    assert made["made"]["scrfd_500m_open fp32"].recall.value == 0
    drawings = sorted(path.name for path in (folder / "drawn" / "scrfd_500m_open fp32").iterdir())
    assert drawings == sorted(f"{Path(name).stem}.jpg" for name in NAMES[False])


def test_without_photographs_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--everyday"):
        evaluated(tmp_path)


def test_labels_tell_set_mask_and_half(folder: Path) -> None:
    one = next(p for p in everyday(folder / "everyday") if p.path.name == NAMES[True][0])
    assert (one.kind, one.masked.tolist(), one.release) == ("made", [MASKED], True)
    assert [p.kind for p in without_people([folder / "alarms" / "made_0.png"])] == ["without people"]


def test_the_half_is_told_by_the_name_alone_and_both_are_half() -> None:
    release = [is_release(f"masks_{i:03}.jpg") for i in range(400)]
    assert 150 < sum(release) < 250
    assert is_release("masks_000.jpg") is is_release("masks_000.jpg")


def test_a_fitted_picture_is_kept_until_its_file_changes(tmp_path: Path) -> None:
    path, kept = tmp_path / "a.png", Canvases(tmp_path / "kept")
    picture(path, 20)
    first = kept.of(path)
    assert (kept.of(path).pixels == first.pixels).all() and len(list(kept.folder.iterdir())) == 1
    path.unlink()
    picture(path, 200)
    (tmp_path / "b").touch()
    assert kept.of(path).pixels.mean() == 200


def test_new_weights_are_judged_before_they_have_a_closer_network(tmp_path: Path) -> None:
    fresh = tmp_path / OPEN.name
    shutil.copyfile(OPEN, fresh)
    assert closer_of(OPEN) is not None
    assert closer_of(fresh) is None
    assert alone(choose_file(fresh)).closer is None


def test_a_folder_that_is_none_of_real_photographs_is_told_from_one_that_is_not_there(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        parse(["--real", str(tmp_path)])
    assert "coco/labels.json, scenes.json" in capsys.readouterr().err
    assert left_out(parse(["--real", str(tmp_path / "none")]).real) == {}
