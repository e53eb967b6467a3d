"""One word per concept: what the glossary names is there, and no name in the product says it otherwise or twice."""

from __future__ import annotations

import msgspec

from shared.settings import Settings
from tests.architecture import glossary, pages, rules

SOURCES = glossary.product(dict(rules.sources()))
ENTRIES = glossary.entries(pages.pages()["ARCHITECTURE.md"])
SETTINGS = {f"FACE_API_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
NEVER = [word for entry in ENTRIES for word in entry.never]

#: Names of classes that two rooms share, and why neither can do without.
TWICE = {
    "Heads": "the oracle shares no code with what it judges, and both hold the network's raw answer",
    "Question": "what a caller asks of a picture, and of that what a worker asks of the heads",
    "Slab": "both are memory that is kept and filled again: by a decoding child, and by a worker",
    "Tally": "another name in models/proving would make every prepared model and judged figure stale",
    "Work": "so would another name in models/int8",
}


def test_every_term_points_at_something_that_is_there() -> None:
    assert len(ENTRIES) > 20
    assert {entry.word: lost for entry in ENTRIES if (lost := glossary.missing(entry, SOURCES, SETTINGS))} == {}
    for spot in ("worker/pool.py:Pond", "worker/pond.py", "FACE_API_POND"):
        assert glossary.missing(glossary.Entry("pond", [spot], []), SOURCES, SETTINGS) == [spot]


def test_no_name_in_the_product_contains_a_word_that_the_glossary_excludes() -> None:
    given = [(path, name) for path, text in SOURCES.items() for name in glossary.names(path, text)]
    assert {f"{path}:{name}": found for path, name in given if (found := glossary.forbidden(name, NEVER))} == {}
    planted = "class KeyManager:\n    def photo(self, backend): self.rois = _MOST_BYTES = 1"
    found = glossary.names("gateway/jpeg_utils.py", planted)
    assert sorted(name for name in found if glossary.forbidden(name, NEVER)) == [
        "KeyManager", "_MOST_BYTES", "backend", "jpeg_utils", "photo",
    ]  # fmt: skip
    assert glossary.forbidden("most_bytes", NEVER) == []


def test_no_two_modules_of_the_product_define_classes_of_one_name() -> None:
    assert sorted(glossary.doubles(SOURCES)) == sorted(TWICE)
    assert glossary.doubles({"a.py": "class Entry: ...", "b.py": "class Entry: ..."}) == {"Entry": {"a.py", "b.py"}}
