"""Odd and damaged files, read by the service and by witnesses: what all read alike is served, what is damaged is not.

One example of every fifth kind; `make differential` draws thousands.
"""

from __future__ import annotations

import itertools

import pytest

from tests.differential import judge
from tests.differential.oddity import Oddity
from tests.differential.readings import NOT_SHOWN, Reading
from tests.differential.trial import MAKERS, files, tried

ODD, BROKEN, TWINNED = Oddity("odd", b"x"), Oddity("broken", b"x", damaged=True), Oddity("odd", b"x", twin=b"y")
SERVED = Reading("", "a digest", "", "", "", 0.0, 0.0)
REFUSED = Reading("The file is corrupt", "", "", "", "", 0.0)


@pytest.mark.parametrize("stored_as", MAKERS)
def test_what_all_read_alike_is_served_and_what_is_damaged_is_refused(stored_as: str) -> None:
    trial = tried(itertools.islice(files(MAKERS[stored_as], [1]), 0, None, 5))
    assert trial.served > 10
    assert not trial.faults
    assert trial.decided["refused: bytes left over that go on as blocks do"] < trial.files / 50


@pytest.mark.parametrize(
    ("oddity", "reading", "twin", "words"),
    [
        (ODD, SERVED, None, ""),
        (ODD, REFUSED, None, "refused though all read alike"),
        (BROKEN, REFUSED, None, ""),
        (TWINNED, REFUSED, REFUSED, ""),
        (TWINNED, SERVED, REFUSED, "served though its twin is refused"),
        (TWINNED, SERVED, Reading("", "another"), "served with other pixels than its twin"),
        (ODD, Reading("", "a", "", "", "Premature end of JPEG file", 0.0, 0.0), None, "served though damage is reported"),
        (ODD, Reading("", "a", "OSError", "nothing"), None, "served though damage is reported"),
        (ODD, Reading("", "a", "", "", "", 0.0, 40.0), None, "served with other pixels"),
        (ODD, Reading("", ended=True), None, "the process ended"),
        (ODD, Reading("", "a", "", "", "", 0.0, 0.0, chromium="the browser shows other pixels"), None,
         "served though the browser differs"),
        (ODD, Reading("The file is corrupt", "", "", "", "", 0.0, chromium=NOT_SHOWN), None, ""),
        (ODD, Reading("The picture is 9×9 pixels; at least 10×10 are needed", "", "", "", "", 0.0), None, ""),
        (ODD, Reading("Corrupt", "", "", "", "Corrupt JPEG data: 3 extraneous bytes before marker 0xdb", 0.0), None,
         "refused though all read alike"),
    ],
)  # fmt: skip
def test_every_kind_of_fault_would_be_noticed(
    oddity: Oddity, reading: Reading, twin: Reading | None, words: str
) -> None:
    assert judge.fault(oddity, reading, twin) == words
