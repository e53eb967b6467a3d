"""Which process runs which tests when several do: a file's stay together, so do those of files that share a service, and
what takes longest begins first, so that no process is left alone with it at the end.
"""

from __future__ import annotations

from typing import Any

#: What is opened once for all files of a folder is opened in one process.
TOGETHER = ("tests/contract/",)
#: Folders and files by how long they take, the longest first; those that are not named come last.
LONG = (
    "tests/integration/test_launcher.py",
    "tests/chaos/",
    "tests/contract/",
    "tests/browser/",
    "tests/golden/",
    "tests/integration/access/test_exact_limits.py",
    "tests/integration/access/test_through_the_service.py",
    "tests/hostile/",
    "tests/unit/docs/test_docs_in_a_browser.py",
    "tests/unit/pictures/test_crashes.py",
    "tests/unit/pictures/test_same_faces.py",
    "tests/unit/pictures/test_sandbox.py",
    "tests/unit/pictures/test_processes.py",
    "tests/integration/",
    "tests/differential/",
    "tests/fuzz/",
    "tests/training/",
    "tests/simulation/",
    "tests/unit/worker/test_trimming.py",
    "tests/unit/pictures/",
    "tests/unit/models/",
)


def shift_of(nodeid: str) -> str:
    """What is run by one process: a folder whose files share something, or a file."""
    file = nodeid.split("::", 1)[0]
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def turn_of(nodeid: str) -> int:
    """Whose turn it is first; equal ones keep their order."""
    return next((turn for turn, name in enumerate(LONG) if nodeid.startswith(name)), len(LONG))


def scheduler(config: Any, log: Any) -> Any:
    """xdist's own for files, but for what belongs together and in the order of collection."""
    from xdist.scheduler import LoadFileScheduling  # here: a run in one process needs none of it

    class Shifts(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return shift_of(nodeid)

    config.option.loadscopereorder = False
    return Shifts(config, log)
