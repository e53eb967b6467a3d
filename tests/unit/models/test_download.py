"""Pulling a model: verified, resumed, within limits, whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import io
import random
import zipfile
from dataclasses import replace

import pytest

from models.catalogue import download
from models.catalogue.download import pull
from models.catalogue.fetch import Limits, WrongSum, fetch
from models.catalogue.registry import Source, spec_named
from shared.errors import DownloadError
from tests.unit.models.file_server import file_server

DATA = random.Random(0).randbytes(700_000)
SUM = hashlib.sha256(DATA).hexdigest()
QUICK = Limits(pause_s=0.0, idle_s=5.0)


@pytest.fixture
def server():
    with file_server() as behaviour:
        behaviour.files["/model.onnx"] = DATA
        yield behaviour


def got(server, tmp_path, limits=QUICK, sha256=SUM, path="/model.onnx"):
    place = tmp_path / "model.onnx"
    fetch(server.url(path), sha256, place, lambda done, total: None, limits)
    return place


def left_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_arrives_whole_and_alone(server, tmp_path):
    assert got(server, tmp_path).read_bytes() == DATA
    assert left_in(tmp_path) == ["model.onnx"]


def test_a_wrong_sum_leaves_nothing(server, tmp_path):
    with pytest.raises(WrongSum, match="nothing was kept"):
        got(server, tmp_path, sha256="0" * 64)
    assert left_in(tmp_path) == []


def test_a_cut_connection_is_continued_where_it_ended(server, tmp_path):
    server.cut_after = [300_000, 100_000]
    assert got(server, tmp_path).read_bytes() == DATA
    assert [asked for _, asked in server.asked] == ["", "bytes=300000-", "bytes=400000-"]


def test_a_later_call_continues_an_earlier_one(server, tmp_path):
    server.cut_after = [300_000]
    with pytest.raises(DownloadError, match="ended after 300000 of 700000"):
        got(server, tmp_path, replace(QUICK, attempts=1))
    assert [name for name in left_in(tmp_path) if not name.startswith(".")] == []
    assert got(server, tmp_path).read_bytes() == DATA
    assert server.asked[-1] == ("/model.onnx", "bytes=300000-")


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.cut_after, server.ranges = [300_000], False
    assert got(server, tmp_path).read_bytes() == DATA


def test_a_file_that_was_whole_but_not_yet_renamed_is_not_downloaded_again(server, tmp_path):
    (tmp_path / f".model.onnx.{SUM[:12]}.part").write_bytes(DATA)
    assert got(server, tmp_path).read_bytes() == DATA
    assert server.asked == [("/model.onnx", "bytes=700000-")]


def test_a_part_of_another_file_is_started_again(server, tmp_path):
    (tmp_path / f".model.onnx.{SUM[:12]}.part").write_bytes(b"x" * 1000)
    assert got(server, tmp_path).read_bytes() == DATA


def test_a_part_longer_than_the_file_is_started_again(server, tmp_path):
    (tmp_path / f".model.onnx.{SUM[:12]}.part").write_bytes(b"x" * 800_000)
    assert got(server, tmp_path).read_bytes() == DATA


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server, tmp_path):
    server.refuses = [503, 502]
    assert got(server, tmp_path).read_bytes() == DATA
    server.asked.clear()
    with pytest.raises(DownloadError, match="answered 404"):
        got(server, tmp_path, path="/other.onnx")
    assert len(server.asked) == 1


def test_a_redirect_is_followed_and_any_other_scheme_is_not(server, tmp_path):
    server.redirects = {"/moved": "/model.onnx", "/away": "file:///etc/hostname"}
    assert got(server, tmp_path, path="/moved").read_bytes() == DATA
    with pytest.raises(DownloadError):
        got(server, tmp_path, replace(QUICK, attempts=1), path="/away")


def test_a_file_of_the_largest_size_passes_and_one_byte_more_does_not(server, tmp_path):
    assert got(server, tmp_path, replace(QUICK, bytes_max=len(DATA))).read_bytes() == DATA
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(DownloadError, match="allowed"):
        got(server, tmp_path, replace(QUICK, bytes_max=len(DATA) - 1))
    assert left_in(tmp_path) == []


def test_a_length_that_was_not_announced_is_bounded_as_well(server, tmp_path):
    server.announces_length = False
    with pytest.raises(DownloadError, match="allowed"):
        got(server, tmp_path, replace(QUICK, bytes_max=len(DATA) - 1))
    assert not (tmp_path / "model.onnx").exists()


def test_time_is_bounded(server, tmp_path):
    with pytest.raises(DownloadError, match="run the command again"):
        got(server, tmp_path, replace(QUICK, seconds=0.0))


def test_a_server_that_does_not_answer_is_named(tmp_path):
    with file_server() as gone:
        address = gone.url("/model.onnx")
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch(address, SUM, tmp_path / "model.onnx", lambda done, total: None, replace(QUICK, attempts=2))


def test_two_downloads_of_one_file_do_not_mix(server, tmp_path):
    with (tmp_path / f".model.onnx.{SUM[:12]}.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="another process"):
            got(server, tmp_path)


def test_progress_ends_at_the_whole(server, tmp_path):
    seen = []
    fetch(server.url("/model.onnx"), SUM, tmp_path / "m", lambda done, total: seen.append((done, total)), QUICK)
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


def zipped(*members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def spec_from(*sources, sha256=SUM):
    return replace(spec_named("scrfd_500m"), sources=sources, sha256=sha256, size=len(DATA))


def source_of(server, path, member=""):
    data = server.files[path]
    return Source(server.url(path), hashlib.sha256(data).hexdigest(), len(data), member)


def pulled(spec, folder, told=lambda line: None):
    return pull(spec, folder, told, lambda done, total: None, QUICK)


@pytest.mark.parametrize("inside", ["det_500m.onnx", "buffalo_sc/det_500m.onnx"])
def test_a_model_is_taken_out_of_its_zip_and_the_rest_is_not_kept(server, tmp_path, inside):
    server.files["/pack.zip"] = zipped(("w600k.onnx", b"other"), (inside, DATA))
    place = pulled(spec_from(source_of(server, "/pack.zip", "det_500m.onnx")), tmp_path)
    assert place.read_bytes() == DATA
    assert left_in(tmp_path) == ["scrfd_500m.onnx"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("other.onnx", DATA)], "0 files named det_500m.onnx"),
        ([("a/det_500m.onnx", DATA), ("b/det_500m.onnx", DATA)], "2 files"),
        ([("det_500m.onnx", b"something else")], "not the published file"),
    ],
)
def test_a_zip_with_something_else_leaves_nothing(server, tmp_path, members, words):
    server.files["/pack.zip"] = zipped(*members)
    with pytest.raises(DownloadError, match=words):
        pulled(spec_from(source_of(server, "/pack.zip", "det_500m.onnx")), tmp_path)
    assert left_in(tmp_path) == []


def test_a_broken_zip_of_the_right_sum_leaves_nothing(server, tmp_path):
    server.files["/pack.zip"] = b"PK not really"
    with pytest.raises(DownloadError, match="cannot be read"):
        pulled(spec_from(source_of(server, "/pack.zip", "det_500m.onnx")), tmp_path)
    assert left_in(tmp_path) == []


def test_what_comes_out_of_a_zip_is_bounded(tmp_path, monkeypatch):
    archive = tmp_path / "pack.zip"
    archive.write_bytes(zipped(("m.onnx", b"0" * 2000)))
    monkeypatch.setattr(download, "FILE_BYTES_MAX", 2000)
    download.extract(archive, "m.onnx", tmp_path / "fits.onnx", "")
    monkeypatch.setattr(download, "FILE_BYTES_MAX", 1999)
    with pytest.raises(DownloadError, match="larger"):
        download.extract(archive, "m.onnx", tmp_path / "large.onnx", "")
    assert left_in(tmp_path) == ["fits.onnx", "pack.zip"]


def test_the_next_source_is_tried_when_one_fails(server, tmp_path):
    lines = []
    wrong = Source(server.url("/model.onnx"), "0" * 64)
    missing = Source(server.url("/nowhere.onnx"), SUM)
    assert pulled(spec_from(wrong, missing, source_of(server, "/model.onnx")), tmp_path, lines.append).exists()
    assert sum(line.startswith("failed") for line in lines) == 2


def test_when_every_source_fails_all_are_named(server, tmp_path):
    with pytest.raises(DownloadError, match=r"(?s)nowhere.*elsewhere"):
        pulled(spec_from(Source(server.url("/nowhere"), SUM), Source(server.url("/elsewhere"), SUM)), tmp_path)


def test_a_right_file_that_is_there_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "scrfd_500m.onnx").write_bytes(DATA)
    pulled(spec_from(source_of(server, "/model.onnx")), tmp_path)
    assert server.asked == []


def test_a_wrong_file_that_is_there_is_replaced(server, tmp_path):
    (tmp_path / "scrfd_500m.onnx").write_bytes(b"half")
    assert pulled(spec_from(source_of(server, "/model.onnx")), tmp_path).read_bytes() == DATA
