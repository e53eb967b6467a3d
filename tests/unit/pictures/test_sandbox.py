"""The sandbox around decoders: what a child cannot do, and what is said where a kernel lacks it."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.pictures.child_crew import Crew
from gateway.pictures.picture import Pictures
from gateway.pictures.sandbox import landlock, seccomp
from gateway.pictures.sandbox.report import Sandbox
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.hostile.gallery import Gallery
from tests.unit.pictures import prisoner

ROOT = Path(__file__).resolve().parents[3]
SIGSYS, SIGABRT, SIGSEGV = -31, -6, -11

Results = dict[str, dict[str, tuple[int, str]]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "victim").write_bytes(b"as it was")
    command = [sys.executable, "-m", "tests.unit.pictures.prisoner", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["victim"]
    assert (folder / "victim").read_bytes() == b"as it was"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def fresh() -> Iterator[Gallery]:
    """A child that has opened nothing yet."""
    gallery = Gallery()
    yield gallery
    gallery.close()


@pytest.mark.parametrize("attempt", prisoner.refused())
def test_what_a_decoder_has_no_need_of_is_refused(results: Results, attempt: str) -> None:
    code, said = results["children"][attempt]
    assert code == 0
    assert said in {"EACCES", "EPERM", "EINVAL", "ENOSYS", "ENOTTY"}


@pytest.mark.parametrize("attempt", prisoner.deadly())
def test_what_only_an_intruder_does_ends_the_child(results: Results, attempt: str) -> None:
    assert results["children"][attempt] == [SIGSYS, ""]


@pytest.mark.parametrize("attempt", prisoner.allowed())
def test_what_a_decoder_needs_it_can_do(results: Results, attempt: str) -> None:
    assert results["children"][attempt] == [0, "succeeded"]


def test_a_crash_is_told_as_the_crash_it_was(results: Results) -> None:
    assert results["children"]["abort"] == [SIGABRT, ""]
    assert results["children"]["SIGSEGV"] == [SIGSEGV, ""]


@pytest.mark.parametrize("layer", ["Landlock", "seccomp"])
def test_each_layer_holds_without_the_other(results: Results, layer: str) -> None:
    if layer not in results:
        pytest.skip(f"this kernel has no {layer}")
    assert [name for name, (_code, said) in results[layer].items() if said in {"succeeded", "ECONNREFUSED"}] == []


def test_a_child_has_nothing_open_but_what_it_works_with(fresh: Gallery) -> None:
    (names,) = fresh.open_files()
    kinds = sorted(name.split(":")[0] for name in names)
    size = f"/proc/{fresh.pictures.crew.pids()[0]}/statm"
    # stdin and stdout; what C libraries write, to be written and read; the slab; its own size; standard error; its link
    assert kinds == sorted(["/dev/null"] * 2 + ["/memfd"] * 3 + [size, "pipe", "socket"])


def test_the_kernel_says_that_a_child_is_shut_in(fresh: Gallery) -> None:
    status = Path(f"/proc/{fresh.pictures.crew.pids()[0]}/status").read_text(encoding="ascii")
    facts = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 0
    assert (facts["Seccomp"] == "2") == fresh.pictures.sandbox.seccomp


def test_nothing_is_loaded_or_opened_behind_the_door(hostile_files: Path) -> None:
    """Every third file of the hostile corpus, and every mask of one: whatever asks for a module there would fail."""
    command = [sys.executable, "-m", "tests.unit.pictures.listener", str(hostile_files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_a_kernel_without_it_is_told_with_the_mend() -> None:
    assert "lsm=" in landlock.why_not(OSError(errno.EOPNOTSUPP, ""))
    assert "5.13" in landlock.why_not(OSError(errno.ENOSYS, ""))
    assert "Docker 23.0" in landlock.why_not(OSError(errno.EPERM, ""))
    assert "CONFIG_SECCOMP_FILTER" in seccomp.why_not(OSError(errno.EINVAL, ""))
    assert "seccomp call" in seccomp.why_not(OSError(errno.EPERM, ""))


@pytest.mark.parametrize(
    ("version", "lacks"),
    [
        (1, ["truncating files", "TCP", "device calls", "abstract sockets and signals"]),
        (3, ["TCP", "device calls", "abstract sockets and signals"]),
        (5, ["abstract sockets and signals"]),
        (6, []),
        (9, []),
    ],
)
def test_an_older_landlock_holds_what_it_can_and_says_what_not(version: int, lacks: list[str]) -> None:
    assert all(words in landlock.lacking(version) for words in lacks)
    assert bool(landlock.lacking(version)) == bool(lacks)
    assert len(landlock.attributes(version)) == 8 * (1 + (version >= 4) + (version >= 6))


def test_how_children_are_shut_in_is_known_to_the_gateway(fresh: Gallery) -> None:
    sandbox = fresh.pictures.sandbox
    assert sandbox.whole == (not sandbox.notes)
    assert str(sandbox) in {"Landlock 7 and seccomp", "seccomp", "none"} or sandbox.landlock


def test_it_can_be_switched_off_and_that_is_said() -> None:
    gallery = Gallery(decode_sandbox="off")
    try:
        assert str(gallery.pictures.sandbox) == "none"
        assert "FACE_API_DECODE_SANDBOX" in gallery.pictures.sandbox.notes[0]
    finally:
        gallery.close()


async def test_required_refuses_to_start_where_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pictures.child_process.PROGRAM", "tests.unit.pictures.unsheltered")
    with pytest.raises(ConfigurationError, match=r"required, and the kernel has no Landlock.*5\.13"):
        await Pictures(Settings(decode_processes=1, decode_sandbox="required")).start()


def test_a_sandbox_says_what_it_is_made_of() -> None:
    assert str(Sandbox(landlock=7, seccomp=True)) == "Landlock 7 and seccomp"
    assert str(Sandbox(seccomp=True)) == "seccomp"
    assert str(Sandbox()) == "none"
    assert Sandbox(landlock=1, seccomp=True).whole
    assert not Sandbox(landlock=7).whole
    assert Crew(Settings(), 1).sandbox == Sandbox()
