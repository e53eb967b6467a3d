"""Every fuzz target keeps its promise for its seeds and for all that was ever found, without atheris."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from shared.messages import Grant, Heartbeat
from shared.wire import encode
from tests.fuzz import __main__ as fuzz
from tests.fuzz import again, services
from tests.fuzz.corpus import Corpus
from tests.fuzz.target import Target, TooManySteps, steps_within
from tests.fuzz.targets import TARGETS


def wired(message: Grant | Heartbeat) -> bytes:
    header = bytes(encode(message)[0])
    return len(header).to_bytes(2, "little") + header


#: target, what was wrong, the input. All of it is mended.
FINDINGS = (
    ("address", "the zone of a peer was part of its address", b"fe80::1%eth0"),
    ("address", "a zone of any text came through a trusted proxy", b"10.0.0.1\n2001:db8::1%<b>\xe4"),
    ("to-gateway", "credits below zero were granted", wired(Grant(-1))),
    ("to-gateway", "a worker that never hangs", wired(Heartbeat(1, float("nan")))),
    (
        "multipart",
        "words that depended on how the body was cut",
        b"multipart/form-data; boundary=b\n--b\r\x1aContent-Transfer-\r\n--b--\r\n",
    ),
    ("child", "a crop of less than nothing", msgspec.msgpack.encode(["Opened", 1, [[-1, 5, 5, 1.0]], 1.0, 1.0])),
    ("child", "text that is no text", b"\x91\xa2\xff\xfe"),
)


@pytest.fixture(scope="module", autouse=True)
def house() -> Iterator[None]:
    """What a target has opened is closed."""
    yield
    services.close()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_keeps_its_promise_for_its_seeds(name: str) -> None:
    seeds = list(TARGETS[name].seeds())
    assert seeds
    for seed in seeds:
        TARGETS[name].check(seed)


@pytest.mark.parametrize(
    ("name", "data"), [(name, data) for name, _, data in FINDINGS], ids=[what for _, what, _ in FINDINGS]
)
def test_what_was_found_once_is_mended(name: str, data: bytes) -> None:
    TARGETS[name].check(data)


def test_too_many_steps_are_noticed() -> None:
    with steps_within(100):
        sorted(range(1000))
    with pytest.raises(TooManySteps), steps_within(100):
        [number.bit_length() for number in range(1000)]


def _refuse_odd(data: bytes) -> None:
    assert len(data) % 2 == 0, "odd"


ODD = Target("odd", "even lengths only", _refuse_odd, lambda: [b"ab", b"abcd"], (b'"', b"ab"))


def test_a_corpus_begins_with_the_seeds_and_a_dictionary(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    corpus.prepare(ODD)
    corpus.prepare(ODD)
    assert sorted(path.read_bytes() for path in corpus.inputs(ODD).iterdir()) == [b"ab", b"abcd"]
    assert corpus.dictionary(ODD).read_text() == '"\\x22"\n"ab"\n'


def test_what_was_found_stays_until_it_is_mended_and_is_an_input_then(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    corpus.prepare(ODD)
    (corpus.findings / "odd-1").write_bytes(b"odd")
    (corpus.findings / "odd-1.txt").write_text("its traceback")
    (corpus.findings / "odd-2").write_bytes(b"even")
    corpus.settle(ODD, lambda path: path.read_bytes() == b"even")
    assert corpus.found(ODD) == [corpus.findings / "odd-1"]
    assert b"even" in [path.read_bytes() for path in corpus.inputs(ODD).iterdir()]


def test_an_input_can_be_sent_again_and_what_it_breaks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TARGETS, "odd", ODD)
    for name in ("abc", "ab"):
        (tmp_path / name).write_text(name)
    assert again.main("odd", [str(tmp_path / "ab")]) == 0
    assert again.main("odd", [str(tmp_path / "ab"), str(tmp_path / "abc")]) == 1
    assert "AssertionError: odd" in capsys.readouterr().out


def test_the_figures_of_a_run_are_read_from_what_libfuzzer_says() -> None:
    outcome = fuzz.Outcome("odd")
    said = "#2\tINITED cov: 3 ft: 4 corp: 2/6b exec/s: 0 rss: 60Mb\n#512\tDONE   cov: 30 ft: 41 corp: 7/1Kb lim: 4 exec/s: 9\n"
    assert outcome.add(said + "stat::number_of_executed_units: 600\n")
    assert not outcome.add("a traceback")
    assert (outcome.executions, outcome.edges, outcome.features, outcome.inputs) == (600, 30, 41, 7)
    assert "| odd | 600 | 0 | 30 | 41 | 7 | 0 |" in fuzz.table([outcome])
