"""Every package that is installed and every vendored file has its licence on the page."""

from __future__ import annotations

import re

import pytest

from deploy import licences


@pytest.mark.parametrize("file", ["cpu.txt", "gpu.txt", "dev.txt"])
def test_every_locked_package_stands_on_the_page(file: str) -> None:
    told = set(re.findall(r"[\w.-]+", licences.PAGE.read_text()))
    assert licences.locked(file) - told == set(), "python -m deploy.licences writes the page anew"


def test_no_package_on_the_page_has_gone() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([\w., -]+) \|$", licences.PAGE.read_text(), re.MULTILINE)
    told = {name for row in rows for name in row.split(", ")} - {"packages", "---"}
    assert told == licences.locked("cpu.txt") | licences.locked("gpu.txt") | licences.locked("dev.txt")


def test_everything_vendored_stands_on_the_page_with_its_words() -> None:
    told = {where for *_, where in licences.VENDORED}
    assert {str(path.relative_to(licences.ROOT)) for path in licences.ROOT.glob("gateway/**/VENDORED.*")} == told
    for name, _, where in licences.VENDORED:
        assert name in (licences.ROOT / where).read_text()


def test_a_package_that_nobody_knows_is_refused() -> None:
    with pytest.raises(LookupError):
        licences.licence_of("no-such-package-anywhere")
