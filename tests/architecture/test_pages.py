"""The pages of text keep their form, lead where they say, and say nothing twice."""

from __future__ import annotations

import pytest

from tests.architecture import pages, rules

PAGES = pages.pages()
DECISIONS = PAGES["DECISIONS.md"]
RECORDS = pages.records(DECISIONS)
RECORD = "- **Context.** So.\n- **Decision.** Thus.\n- **Consequences.** Then.\n"


def test_every_record_has_its_parts_in_order_and_is_short() -> None:
    assert [fault for title, body in RECORDS.items() for fault in pages.misshapen(title, body)] == []


@pytest.mark.parametrize(
    "body",
    [
        RECORD.replace("Consequences", "After"),
        RECORD.replace("- **Decision.** Thus.\n", ""),
        "- **Consequences.** Then.\n- **Context.** So.\n- **Decision.** Thus.\n",
        RECORD + "  and so on\n" * pages.RECORD_LINES_MAX,
    ],
)
def test_a_record_out_of_form_is_found(body: str) -> None:
    assert pages.misshapen("Title", RECORD) == []
    assert pages.misshapen("Title", body)


def test_the_index_names_every_record_once_and_in_its_order() -> None:
    assert pages.index(DECISIONS) == [(title, pages.anchor(title)) for title in RECORDS]


def test_every_link_leads_somewhere() -> None:
    assert {page: found for page, text in PAGES.items() if (found := pages.broken_links(page, text, PAGES))} == {}
    assert pages.broken_links("README.md", "[a](gone.md) [b](#nowhere) [c](DECISIONS.md#no-such)", PAGES) == [
        "gone.md", "#nowhere", "DECISIONS.md#no-such",
    ]  # fmt: skip


def test_every_file_that_a_page_names_is_there() -> None:
    assert {page: found for page, text in PAGES.items() if (found := pages.missing_files(page, text))} == {}
    assert pages.missing_files("README.md", "see `gateway/gone.py:7`") == ["gateway/gone.py"]


def test_every_record_that_is_cited_exists() -> None:
    texts = PAGES | dict(rules.sources())
    assert {
        path: missing
        for path, text in texts.items()
        if (missing := [title for title in pages.cited(text) if not any(known.startswith(title) for known in RECORDS)])
    } == {}
    assert pages.cited('#: why (DECISIONS.md, "Answers\n#: leave in groups")') == ["Answers leave in groups"]


def test_no_page_repeats_another() -> None:
    assert pages.repeated(PAGES) == []
    assert pages.repeated(
        {"a": "One two three four five six seven eight.", "b": "One two, three four five six seven eight!"}
    )
