"""When int8 is served: figures, the canary, the gate, and what was asked for."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from msgspec import structs

from models.__main__ import main
from models.catalogue.choose import choose
from models.catalogue.fetch import sha256_of
from models.catalogue.registry import OPEN_FOLDER, OPEN_MODEL, spec_named
from models.ensure import ensure
from models.int8 import figures as figures_files
from models.int8.best import base_network, best_of, in_int8, int8_network, judged
from models.int8.calibrate import mosaics, picture_files
from models.int8.figures import Figures
from models.int8.judge import PICTURES_MIN, make_figures, pictures_from
from models.preparing.machine import Machine, flags_of, machine_with
from models.preparing.prepare import place_of, prepared_fp32
from models.served.facts import Int8Facts, read_sidecar, write_sidecar
from shared.errors import ConfigurationError
from shared.exit_codes import FAILED, OK
from tests.networks import Form, beacon_network, beacon_picture, random_network
from tests.unit.models.material import SIDE, official_models, settings_for


def silent(_line):
    pass


@pytest.fixture
def folder_of_pictures(tmp_path):
    """Two folders of drawn pictures, all different."""
    chance = np.random.default_rng(0)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        for number in range(PICTURES_MIN):
            picture = cv2.resize(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8), (80, 60))
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), picture)
    return tmp_path


@pytest.fixture
def house(folder_of_pictures):
    """A small model with figures in the data folder: (settings, place, fp32 model)."""
    folder = folder_of_pictures
    path = random_network(folder / "export.onnx", Form(side=SIDE))
    settings = settings_for(folder, str(path), accelerator="cpu")
    place = place_of(choose(settings), settings)
    exact = prepared_fp32(place, silent)
    made = make_figures(place, exact, pictures_from([folder / "first"], folder / "second"), silent)
    write_figures(place, passing(made))
    return settings, place, exact


def passing(figures):
    """The same figures, as if they had been judged on enough faces with none changed."""
    good = structs.replace(figures.accuracy, faces=1000, lost=0, gained=0, score_drift=0.0, box_drift_px=0.0)
    return structs.replace(figures, accuracy=good)


def write_figures(place, figures):
    figures_files.write(figures, figures_files.folders(place.data_dir)[0])


def figures_of(place):
    return figures_files.find(place.source_sha256, figures_files.folders(place.data_dir))


def with_facts(place, exact, *shortcomings):
    """The cached int8 entry, its gate answered as the test wants."""
    model = in_int8(place, exact, silent)
    facts = Int8Facts(speed_ratio=2.0, accuracy={"lost": 0, "gained": 0, "faces": 200}, shortcomings=[*shortcomings])
    write_sidecar(model.path, structs.replace(read_sidecar(model.path), int8=facts))


def test_int8_that_passed_is_served_by_auto(house):
    settings, place, exact = house
    with_facts(place, exact)
    served = ensure(settings, silent)
    assert served.info.precision == "int8"
    assert served.info.batch_invariant
    assert served.canary.faces == exact.canary.faces
    assert served.canary.score_tolerance > exact.canary.score_tolerance


def test_int8_that_did_not_pass_is_not_served_by_auto_and_the_start_says_why(house):
    settings, place, exact = house
    with_facts(place, exact, "too slow by far")
    lines = []
    assert ensure(settings, lines.append).info.precision == "fp32"
    assert any("too slow by far" in line for line in lines)


def test_where_the_figures_fail_auto_builds_nothing(house):
    settings, place, _ = house
    figures = figures_of(place)
    write_figures(place, structs.replace(figures, accuracy=structs.replace(figures.accuracy, lost=21)))
    lines = []
    assert ensure(settings, lines.append).info.precision == "fp32"
    assert any("21 lost" in line for line in lines) and not any("preparing" in line for line in lines)


def test_int8_asked_for_by_name_is_served_with_a_loud_note(house):
    settings, place, exact = house
    with_facts(place, exact, "too slow by far")
    lines = []
    served = ensure(structs.replace(settings, precision="int8"), lines.append)
    assert served.info.precision == "int8"
    assert "too slow by far" in served.info.note
    assert any(line.startswith("WARNING") for line in lines)


def test_fp32_asked_for_by_name_is_served_whatever_passed(house):
    settings, place, exact = house
    with_facts(place, exact)
    assert ensure(structs.replace(settings, precision="fp32"), silent).info.precision == "fp32"


def test_a_closer_network_goes_along_in_fp32(house):
    _, place, exact = house
    spec = spec_named(OPEN_MODEL)
    random_network(exact.path.with_name("source") / spec.closer, Form(side=SIDE), seed=1)
    path = exact.path.with_name("source") / "export.onnx"
    path.write_bytes(place.choice.path.read_bytes())
    place = replace(place, choice=replace(place.choice, path=path, spec=spec))
    exact = prepared_fp32(place, silent)
    served = best_of(place, exact, silent, asked_for=True)
    assert served.info.precision == "int8"
    assert served.closer.parent == served.path.parent != exact.path.parent
    assert served.closer.read_bytes() == exact.closer.read_bytes()


def test_without_figures_auto_serves_fp32_and_int8_by_name_says_how_to_get_them(tmp_path):
    settings = settings_for(tmp_path, str(random_network(tmp_path / "mine.onnx", Form(side=SIDE))), accelerator="cpu")
    assert ensure(settings, silent).info.precision == "fp32"
    with pytest.raises(ConfigurationError, match="python -m models quantize mine --pictures"):
        ensure(structs.replace(settings, precision="int8"), silent)


def test_an_int8_network_that_misses_the_canary_is_never_served(folder_of_pictures):
    """Ranges that squash every value: nothing is found any more."""
    folder = folder_of_pictures
    path = beacon_network(folder / "beacon.onnx", side=320)
    settings = settings_for(folder, str(path), accelerator="cpu", input_side=320)
    place = place_of(choose(settings), settings)
    exact = prepared_fp32(place, silent)
    made = make_figures(place, exact, pictures_from([folder / "first"], folder / "second"), silent)
    tiny = {name: (np.array(values) * 1e-3).tolist() for name, values in made.ranges.items()}
    write_figures(place, passing(structs.replace(made, ranges=tiny)))
    lines = []
    assert best_of(place, exact, lines.append, asked_for=False) is exact
    assert any("canary" in line for line in lines)
    with pytest.raises(ConfigurationError, match="canary"):
        best_of(place, exact, silent, asked_for=True)


def test_figures_judged_on_another_network_or_at_another_side_do_not_count(house):
    _, place, _ = house
    enough = figures_of(place)
    network = int8_network(base_network(place), enough.arrays(), shifts=enough.shifts)
    assert not any("judged" in words for words in judged(enough, network, SIDE, 2.0).shortcomings)
    assert any("another network" in words for words in judged(enough, network + b" ", SIDE, 2.0).shortcomings)
    assert any("not at 96×96" in words for words in judged(enough, network, 96, 2.0).shortcomings)


def shipped():
    """(figures, path of the model they are of) for every shipped file whose model is on this machine."""
    models = [*official_models(), *sorted(OPEN_FOLDER.glob("*.onnx"))]
    for path in sorted(figures_files.SHIPPED_FOLDER.glob("*.json")):
        figures = figures_files.read(path)
        yield from ((figures, model) for model in models if sha256_of(model) == figures.source_sha256)


def test_shipped_figures_speak_of_the_networks_made_here(tmp_path):
    """After a change of the code that makes them: `python -m models quantize NAME --pictures …` judges anew."""
    for figures, path in shipped():
        settings = settings_for(tmp_path, str(path), input_side=640, accelerator="cpu")
        base = base_network(place_of(choose(settings), settings))
        network = int8_network(base, figures.arrays(), shifts=figures.shifts)
        assert not any("another network" in words for words in judged(figures, network, 640, 9.0).shortcomings), (
            figures.name
        )


@pytest.mark.parametrize("name", ["scrfd_2.5g_bnkps", "scrfd_500m_kps"])
def test_the_shipped_figures_of_official_models_pass_the_gate(name):
    figures = figures_files.read(figures_files.SHIPPED_FOLDER / f"{name}.json")
    assert figures.accuracy.faces >= 250
    assert figures.accuracy.lost + figures.accuracy.gained <= 0.02 * figures.accuracy.faces


def test_figures_survive_their_file(tmp_path, house):
    _, place, _ = house
    figures = figures_files.find(place.source_sha256, figures_files.folders(place.data_dir))
    assert isinstance(figures, Figures)
    again = figures_files.read(figures_files.write(figures, tmp_path / "elsewhere"))
    assert again == figures
    assert figures_files.find("0" * 64, [tmp_path / "elsewhere", tmp_path / "missing"]) is None


def test_a_broken_file_of_figures_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"name": 1}')
    with pytest.raises(ConfigurationError, match=r"x\.json"):
        figures_files.find("0" * 64, [tmp_path])


def test_no_picture_may_calibrate_and_judge(folder_of_pictures):
    folder = folder_of_pictures
    (folder / "second" / "copy.png").write_bytes((folder / "first" / "0.png").read_bytes())
    with pytest.raises(ConfigurationError, match="in both"):
        pictures_from([folder / "first"], folder / "second")


def test_one_folder_is_split_without_overlap(folder_of_pictures):
    folder = folder_of_pictures
    for number in range(4 * PICTURES_MIN):
        picture = np.full((10, 10, 3), number, np.uint8)
        cv2.imwrite(str(folder / "first" / f"more{number}.png"), picture)
    split = pictures_from([folder / "first"], None)
    assert set(split.calibration).isdisjoint(split.judging)
    assert len(split.calibration) + len(split.judging) == 5 * PICTURES_MIN


def test_two_folders_calibrate_as_one_and_nothing_beside_them_does(folder_of_pictures):
    folder = folder_of_pictures
    for number, place in enumerate(("portraits", "streets", "elsewhere")):
        (folder / "all" / place).mkdir(parents=True)
        cv2.imwrite(str(folder / "all" / place / "a.png"), np.full((10, 10, 3), number, np.uint8))
    named = [folder / "all" / "streets", folder / "all" / "portraits", folder / "first"]
    split = pictures_from(named, folder / "second")
    assert len(split.calibration) == PICTURES_MIN + 2
    assert not [path for path in split.calibration if path.parent.name == "elsewhere"]
    assert split.calibrated_on.endswith(f"{PICTURES_MIN + 2} pictures of streets and portraits and first")


def test_one_picture_too_few_is_refused(folder_of_pictures):
    folder = folder_of_pictures
    assert len(pictures_from([folder / "first"], folder / "second").calibration) == PICTURES_MIN
    (folder / "second" / "0.png").unlink()
    with pytest.raises(ConfigurationError, match=f"{PICTURES_MIN} of each are needed"):
        pictures_from([folder / "first"], folder / "second")


def test_mosaics_are_the_same_every_time_and_hold_faces_of_many_sizes(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), beacon_picture([(32, 24, 20, 0.9)], 64, 48, 64))
    files = picture_files(tmp_path)
    first, second = (list(mosaics(files, SIDE, 7)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert len({int((mosaic > 0).sum()) for mosaic in first}) > 3


def test_the_command_measures_judges_and_says_the_verdict(folder_of_pictures, monkeypatch, capsys):
    folder = folder_of_pictures
    path = random_network(folder / "export.onnx", Form(side=SIDE))
    for name, value in (("DATA_DIR", folder / "data"), ("INPUT_SIDE", SIDE), ("ACCELERATOR", "cpu")):
        monkeypatch.setenv(f"FACE_API_{name}", str(value))
    arguments = ["quantize", str(path), "--pictures", str(folder / "first"), "--judge", str(folder / "second")]
    assert main([*arguments, "--save", str(folder / "elsewhere")]) in (OK, FAILED)  # not a folder that is searched
    words = capsys.readouterr()
    assert "gate" in words.out
    assert "figures written to" in words.err


def test_processor_flags_decide_blocks_and_byte_products():
    assert machine_with(frozenset({"avx512f", "avx512_vnni"}), on_cpu=True) == Machine(True, 16, True)
    assert machine_with(frozenset({"avx2"}), on_cpu=True) == Machine(True, 1, False)
    assert machine_with(frozenset({"avx512f", "avx512_vnni"}), on_cpu=False) == Machine(False, 8, False)
    assert flags_of("processor: 0\nflags\t\t: fpu avx2\nflags: other") == frozenset({"fpu", "avx2"})
    assert flags_of("Features: asimd asimddp") == frozenset({"asimd", "asimddp"})
    assert flags_of("") == frozenset()
