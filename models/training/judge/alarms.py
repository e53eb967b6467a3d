"""Photographs without people: which there are, under which licences, and how to get them.

    python -m models.training.judge.alarms --fetch             from where the repositories are published
    python -m models.training.judge.alarms --clones FOLDER     from clones in FOLDER, each named owner+name

They judge and are never trained on: what is false on them would be no measure any more. alarms.tsv has one a line: sum,
repository, licence, path. Each was looked at: no person and no face, no portrait on a wall either. Hands that hold
things are there on purpose.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from models.training.judge.sets import is_release, pictures_in
from models.training.material.fetch_sources import RAW, fetch

FOLDER = Path("build/alarms")
LIST = Path(__file__).with_name("alarms.tsv")


@dataclass(frozen=True)
class Repository:
    """At which commit its files were taken, and where it says what may be done with them."""

    commit: str
    evidence: str


REPOSITORIES = {
    "BuddiesOfBudgie/budgie-backgrounds": Repository(
        "82067426f1dde366e9c9038fdbe457c2527525dd", "README.md: all images CC0-1.0, reviewed by hand"
    ),
    "SqueezeSoftware/test_files": Repository(
        "ba32ed75f9788f6004d749bdf6d725975e6dd98c", "publicdomainvectors/README.md: CC0"
    ),
    "alexeygrigorev/clothing-dataset-small": Repository(
        "11961516512414bf9f6c150a832cfd21b54a6b54", "LICENSE: CC0 1.0; README.md: contributors' own photographs"
    ),
    "allisonhorst/palmerpenguins": Repository(
        "8957207b78d6ccd1b4654a9dd9c9041b657478ab", "README.md, LICENSE.md: CC0; drawings by Allison Horst"
    ),
    "bloopletech/akc": Repository(
        "1f09b222493285b23d25c091ead97dbed51af86d", "akc/images/index.js: author and licence of each"
    ),
    "ezfibuilds/NPC-Thought-Starter-Generator": Repository(
        "acfdfec38c3406af176513fe15da02d9d49240fa", "generator-data/animals.js: author and licence of each"
    ),
    "google/cameratrapai": Repository(
        "6520b8368750604257c87e59284c6c735d95b006", "test_data/README.md: CDLA-Permissive-1.0, with the source of each"
    ),
    "hoojaoh/data-stunning": Repository(
        "a8b89487dcb0e16ef86b548eb36e400bd72a57fd", "LICENSE.md: the open licences in use; Images.csv: each one's page"
    ),
    "marcusklasson/GroceryStoreDataset": Repository(
        "fc80ba90f803d79d0383df52c5a4ac5de99ff6fc", "LICENSE: MIT; README.md: taken by its makers with a smartphone"
    ),
    "pganssle-talks/pyconf-hyderabad-2020-stable-interface": Repository(
        "e1c275b4d151f523c5d4306287be95f93cd1850e", "external-images/attribution.md: author and licence of each"
    ),
}

#: Repository and path -> the file, or None where it cannot be had.
Source = Callable[[str, str], bytes | None]


@dataclass(frozen=True)
class Listed:
    """One line of alarms.tsv."""

    sha256: str
    repository: str
    licence: str
    path: str

    @property
    def name(self) -> str:
        """Its name in the folder: halves are made by it, so it says nothing of what the picture shows."""
        return self.sha256[:12] + Path(self.path).suffix.lower()


def listed(text: str | None = None) -> list[Listed]:
    """All of them."""
    lines = (LIST.read_text(encoding="utf-8") if text is None else text).splitlines()
    return [Listed(*line.split("\t")) for line in lines]


def present(folder: Path) -> list[Path]:
    """The photographs that are at hand."""
    return pictures_in(folder)


def published(repository: str, path: str) -> bytes | None:
    """From the network."""
    return fetch([f"{RAW}/{repository}/{REPOSITORIES[repository].commit}/{quote(path)}"])


def cloned(folder: Path) -> Source:
    """From clones; bare ones will do."""

    def read(repository: str, path: str) -> bytes | None:
        clone = folder / repository.replace("/", "+")
        blob = f"{REPOSITORIES[repository].commit}:{path}"
        found = subprocess.run(["git", "-C", str(clone), "cat-file", "blob", blob], capture_output=True, check=False)
        return found.stdout if found.returncode == 0 else None

    return read


def get(wanted: list[Listed], folder: Path, source: Source) -> list[Listed]:
    """Writes what is not there yet and is byte for byte what the list says. The rest is the answer."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for one in wanted:
        place = folder / one.name
        if place.is_file():
            continue
        data = source(one.repository, one.path)
        if data is None or hashlib.sha256(data).hexdigest() != one.sha256:
            missing.append(one)
        else:
            place.write_bytes(data)
    return missing


def main(arguments: list[str] | None = None) -> int:
    """Prints the repositories and gets the photographs. 1 when some cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.judge.alarms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--fetch", action="store_true", help="download what is missing")
    parser.add_argument("--clones", type=Path, help="a folder of clones, each named owner+name")
    options = parser.parse_args(arguments)
    every = listed()
    for name, repository in REPOSITORIES.items():
        count = sum(one.repository == name for one in every)
        print(f"{name} at {repository.commit[:12]}: {count} files\n  {repository.evidence}")
    source = published if options.fetch else cloned(options.clones) if options.clones else (lambda *_: None)
    missing = get(every, options.folder, source)
    release = sum(is_release(one.name) for one in every)
    print(f"{len(every) - len(missing)} of {len(every)} photographs are in {options.folder}; {release} for a release")
    for one in missing[:20]:
        print(f"  missing: {one.repository} {one.path}")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
