"""Which model serves, and what a start without one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.catalogue import choose
from models.catalogue.choose import ModelFile, decide, recognise, search
from models.catalogue.choose import choose as chosen
from models.catalogue.registry import OPEN_FOLDER, OPEN_MODEL, SPECS, spec_for_file, spec_named
from shared.errors import ConfigurationError
from tests.unit.models.material import official_models, settings_for


def found(*names):
    return [ModelFile(Path(f"/m/{name}.onnx"), spec_named(name)) for name in names]


def test_auto_takes_the_best_of_what_is_found():
    choice = decide("auto", found(OPEN_MODEL, "scrfd_500m", "scrfd_10g", "scrfd_2.5g"), [])
    assert choice.name == "scrfd_10g"
    assert "best of the models found" in choice.reason


@pytest.mark.parametrize(
    ("better", "worse"),
    [("scrfd_10g", "scrfd_2.5g"), ("scrfd_2.5g", "scrfd_500m"), ("scrfd_500m", OPEN_MODEL),
     ("scrfd_2.5g_bnkps", "scrfd_500m"), ("scrfd_500m_kps", OPEN_MODEL)],
)  # fmt: skip
def test_the_order_of_auto(better, worse):
    assert decide("auto", found(worse, better), []).name == better


def test_the_open_model_says_what_would_be_more_accurate():
    choice = decide("auto", found(OPEN_MODEL), [])
    assert "python -m models pull scrfd_10g" in choice.reason
    assert "licence" in choice.reason


def test_no_model_at_all_stops_with_the_command_that_mends_it():
    with pytest.raises(ConfigurationError, match=r"python -m models pull scrfd_10g"):
        decide("auto", [], [Path("/m")])


def test_a_named_model_that_is_missing_stops_with_its_own_command():
    with pytest.raises(ConfigurationError, match=r"/m; run `python -m models pull scrfd_500m`"):
        decide("scrfd_500m", found("scrfd_10g"), [Path("/m")])


def test_a_named_model_that_cannot_be_pulled_says_what_there_is():
    with pytest.raises(ConfigurationError, match="found are scrfd_10g"):
        decide("scrfd_2.5g_bnkps", found("scrfd_10g"), [Path("/m")])


def test_the_first_folder_wins_for_a_named_model():
    first, second = ModelFile(Path("/a/x.onnx"), SPECS[0]), ModelFile(Path("/b/x.onnx"), SPECS[0])
    assert decide(SPECS[0].name, [first, second], []).path == first.path


def test_a_path_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"x")
    choice = chosen(settings_for(tmp_path, str(path)))
    assert (choice.path, choice.name, choice.spec) == (path, "mine", None)
    assert choice.license == "unknown: a model of your own"


def test_neither_a_name_nor_a_path_is_refused_with_the_names_there_are(tmp_path):
    with pytest.raises(ConfigurationError, match=r"scrfd_2\.5g.*auto"):
        chosen(settings_for(tmp_path, "scrfd_11g"))


def test_files_are_recognised_by_the_names_of_the_packs(tmp_path):
    for name in ("det_10g.onnx", "unknown.onnx", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [(file.path.name, file.spec.name) for file in search([tmp_path])] == [("det_10g.onnx", "scrfd_10g")]


def test_files_are_recognised_by_their_sum_under_any_name(tmp_path):
    """Only where official models lie beside the repository."""
    for source in official_models():
        renamed = tmp_path / f"{source.stem}-renamed.onnx"
        renamed.write_bytes(source.read_bytes())
        assert recognise(renamed).name == source.stem


def test_the_sum_speaks_before_the_name():
    spec = spec_named("scrfd_500m")
    assert spec_for_file("det_10g.onnx", spec.size, spec.sha256) is spec


def test_folders_are_searched_in_the_order_given_and_missing_ones_passed_over(tmp_path):
    settings = settings_for(tmp_path, model_dir=f"{tmp_path}/a:{tmp_path}/missing:{tmp_path}/b")
    places = choose.folders(settings)
    assert [place.name for place in places] == ["a", "missing", "b", "models", "open"]
    for place in (tmp_path / "a", tmp_path / "b"):
        place.mkdir()
        (place / "det_500m.onnx").write_bytes(b"x")
    assert [file.path.parent.name for file in search(places[:3])] == ["a", "b"]


def test_an_empty_or_enormous_file_is_no_model(tmp_path, monkeypatch):
    empty, large = tmp_path / "det_10g.onnx", tmp_path / "det_500m.onnx"
    empty.write_bytes(b"")
    with large.open("wb") as file:
        file.truncate(choose.FILE_BYTES_MAX)
    assert recognise(empty) is None
    assert recognise(large).name == "scrfd_500m"
    with large.open("wb") as file:
        file.truncate(choose.FILE_BYTES_MAX + 1)
    assert recognise(large) is None


def test_names_file_names_and_ranks_are_each_unique():
    for values in (
        [spec.name for spec in SPECS],
        [spec.rank for spec in SPECS],
        [name for spec in SPECS for name in spec.file_names],
    ):
        assert len(values) == len(set(values))


def test_only_the_open_model_may_be_shown_other_pixels_than_the_reference_would_show_it():
    assert [spec.name for spec in SPECS if not spec.exact_pixels] == [OPEN_MODEL]


def test_a_closer_network_lies_beside_its_model_and_is_no_model_to_serve():
    (model,) = search([OPEN_FOLDER])
    choice = decide("auto", [model], [])
    assert choice.name == OPEN_MODEL
    assert choice.closer.is_file()
    assert recognise(choice.closer) is None
    assert decide("auto", found("scrfd_10g"), []).closer is None
