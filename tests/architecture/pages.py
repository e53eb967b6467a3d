"""The form of the pages of text: records, links, and what code cites of them. Functions over text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from tests.architecture.rules import ROOT

#: The parts of a record, in their order. All but what was tried beside the decision must be there.
PARTS = ("Context", "Decision", "Tried", "Consequences")
RECORD_LINES_MAX = 45
#: From so many words on a sentence on two pages is one that belongs on one.
SENTENCE_WORDS = 8

_LINK = re.compile(r"(?<!`)\[[^\]]+\]\(([^)\s]+)\)")
_NAMED_FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|md|cfg|service|json))\b")
_CITED = re.compile(r'DECISIONS\.md\)?,\s+"([^"]+)"')
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> dict[str, str]:
    """Every page of text by its path from the root."""
    hidden = (".venv", "node_modules", "build", "var", ".")
    found = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return {str(path): (ROOT / path).read_text() for path in found if not path.parts[0].startswith(hidden)}


def anchor(title: str) -> str:
    """What a title is linked by."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def titles(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)


def records(text: str) -> dict[str, str]:
    """What stands under each `### Title`."""
    pieces = re.split(r"^(#{2,3}) (.+)\n", text, flags=re.MULTILINE)
    return {title: body for mark, title, body in zip(*(iter(pieces[1:]),) * 3, strict=True) if mark == "###"}


def misshapen(title: str, body: str) -> list[str]:
    """What of a record is not in the form."""
    parts = re.findall(r"^- \*\*(\w+)", body, re.MULTILINE)
    known = [part for part in parts if part in PARTS]
    wanted = {*PARTS} - {"Tried"}
    faults = {
        "a part that is none": known != parts,
        "a part is missing": not wanted <= {*parts},
        "parts in another order": known != sorted(known, key=PARTS.index),
        "too long": body.strip().count("\n") >= RECORD_LINES_MAX,
    }
    return [f"{title}: {fault}" for fault, found in faults.items() if found]


def index(text: str) -> list[tuple[str, str]]:
    """(title, anchor) of every line of the index."""
    return re.findall(r"^  - \[(.+)\]\(#(.+)\)$", text, re.MULTILINE)


def broken_links(page: str, text: str, others: Mapping[str, str]) -> list[str]:
    """Links of a page to files that are not there, or to titles that no page has."""
    return [link for link in _LINK.findall(_FENCE.sub("", text)) if not _resolves(page, link, others)]


def _resolves(page: str, link: str, others: Mapping[str, str]) -> bool:
    if link.startswith(("https://", "http://")):
        return True
    file, _, wanted = link.partition("#")
    target = _normal(PurePosixPath(page).parent / file) if file else page
    return (ROOT / target).exists() and (not wanted or wanted in map(anchor, titles(others[target])))


def _normal(path: PurePosixPath) -> str:
    return str((ROOT / path).resolve().relative_to(ROOT))


def missing_files(page: str, text: str) -> list[str]:
    """Files that a page names by a path that stand nowhere, neither from the root, its folder nor the tests."""
    bases = (
        ROOT,
        (ROOT / page).parent,
        ROOT / page.split("/", maxsplit=1)[0],
        ROOT / "gateway/pictures",
        ROOT / "models",
    )
    return [name for name in _NAMED_FILE.findall(text) if not any(_stands(base, name) for base in bases)]


def _stands(base: Path, name: str) -> bool:
    return (base / name).exists() or name.startswith(("var/", "build/", "data_dir/", "package/"))


def cited(text: str) -> list[str]:
    """The titles of records that a source or a page names, wherever its lines break."""
    return _CITED.findall(re.sub(r"\s*\n\s*(?:#:?\s+)?", " ", text))


def repeated(texts: Mapping[str, str]) -> list[str]:
    """Sentences that stand on more than one page, or twice on one."""
    seen: set[str] = set()
    return [
        sentence for text in texts.values() for sentence in _sentences(text) if sentence in seen or seen.add(sentence)
    ]


def _sentences(text: str) -> Iterator[str]:
    plain = re.sub(r"^\|.*$", "", _FENCE.sub("", text), flags=re.MULTILINE)
    for sentence in re.split(r"(?<=[.:])\s|\n\n", plain):
        words = re.findall(r"\w+", sentence.lower())
        if len(words) >= SENTENCE_WORDS:
            yield " ".join(words)
