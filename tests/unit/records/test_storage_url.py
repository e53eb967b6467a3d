"""FACE_API_STORAGE_URL at the start: what is refused, in one sentence with its mend, and what a folder does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.first_start import prepare_first_start
from gateway.stores.folder_objects import FolderObjects, open_folder
from gateway.stores.objects import MARK
from gateway.stores.storage_url import open_objects
from shared.errors import ConfigurationError, StorageDown
from shared.settings import Settings


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/srv/pictures", "begins with file:// or s3://"),
        ("https://bucket.s3.amazonaws.com", "begins with file:// or s3://"),
        ("file://srv/pictures", "absolute path"),
        ("s3:///prefix", "the bucket is missing"),
        ("s3://key:secret@bucket/prefix", "no credentials in the URL"),
        ("s3://bucket/a/../b", "neither"),
        ("s3://bucket?region=eu", "neither"),
        ("s3://[bucket", "no URL"),
    ],
)
def test_a_wrong_url_is_told_with_its_mend(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match="FACE_API_STORAGE_URL") as caught:
        open_objects(Settings(storage_url=url))
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_encryption_is_for_buckets(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="FACE_API_STORAGE_ENCRYPTION"):
        open_objects(Settings(storage_url=tmp_path.as_uri(), storage_encryption="AES256"))


def test_a_bucket_is_known_by_its_place_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    objects = open_objects(Settings(storage_url="s3://bucket/some/prefix/", storage_encryption="AES256"))
    assert objects is not None
    assert objects.place == "s3://bucket/some/prefix"
    url = objects.url("0a", 60)
    assert url is not None
    assert "/some/prefix/0a" in url


def test_a_folder_that_cannot_be_made_or_written_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be made or written"):
        prepare_first_start(Settings(data_dir=str(tmp_path), storage_url=(tmp_path / "file" / "in").as_uri()))
    with pytest.raises(ConfigurationError, match="cannot be made or written"):
        open_folder("/proc")


def test_the_start_makes_and_marks_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    settings = Settings(data_dir=str(tmp_path), storage_url=folder.as_uri())
    for _ in range(2):
        prepare_first_start(settings, terminal=True)
    assert [file.name for file in folder.iterdir()] == [MARK]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_start_with_another_databases_folder_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    prepare_first_start(Settings(data_dir=str(tmp_path / "a"), storage_url=folder.as_uri()), terminal=True)
    with pytest.raises(ConfigurationError, match="name a place of its own"):
        prepare_first_start(Settings(data_dir=str(tmp_path / "b"), storage_url=folder.as_uri()), terminal=True)


def marked(folder: Path) -> FolderObjects:
    """As the start leaves one."""
    objects = FolderObjects(folder)
    objects.put(MARK, b"of this database", "text/plain")
    return objects


def test_a_folder_without_its_mark_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageDown, match="mount its disk again"):
        FolderObjects(tmp_path).put("0a", b"x", "image/png")
    assert list(tmp_path.iterdir()) == []


def test_a_put_goes_over_nothing_and_what_a_killed_one_left_is_listed(tmp_path: Path) -> None:
    objects = marked(tmp_path)
    objects.put("0a", b"first", "image/png")
    with pytest.raises(StorageDown):
        objects.put("0a", b"second", "image/png")
    assert objects.read("0a") == b"first"
    (tmp_path / ".0b.k3j4h5").write_bytes(b"cut of")
    assert {found.name for found in objects.found()} == {MARK, "0a", ".0b.k3j4h5"}
    objects.delete(["0a", "never"])
    assert objects.read("0a") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = marked(tmp_path)
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (os.open("/dev/full", os.O_WRONLY), str(tmp_path / "t")))
    with pytest.raises(StorageDown, match="is full"):
        objects.put("0a", b"x", "image/png")
    assert [file.name for file in tmp_path.iterdir()] == [MARK]
