"""The recipes: working programs in four languages, one file each in `assets/recipes`. Alone knows what there is.

Pages and the document show these very files with the address replaced; tests run them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

RECIPES = Path(__file__).resolve().parent / "assets" / "recipes"
#: The end of the file's name → the language, and what a tab is called.
LANGUAGES = {
    "sh": ("Shell", "curl"),
    "py": ("Python", "Python"),
    "mjs": ("JavaScript", "JavaScript"),
    "cs": ("C#", "C#"),
}
#: What there is beside those of the endpoints, with its title.
TOPICS = {
    "memory": "From memory to memory",
    "folder": "A whole folder",
    "count": "How many faces",
    "draw": "Boxes drawn",
    "s3": "Into a bucket",
    "errors": "When something goes wrong",
}


def text(name: str, end: str) -> str:
    """The file of a recipe in a language."""
    return (RECIPES / f"{name}.{end}").read_text(encoding="utf-8")


def samples(name: str) -> list[dict[str, str]]:
    """A recipe as OpenAPI's readers show code: a tab for each language."""
    return [
        {"lang": language, "label": label, "source": text(name, end)} for end, (language, label) in LANGUAGES.items()
    ]


def chapter() -> str:
    """Everything beside the endpoints as Markdown."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for name, title in TOPICS.items():
        yield f"## {title}\n"
        for end, (_, label) in LANGUAGES.items():
            yield f"{label}:\n\n```{end}\n{text(name, end)}```\n"
