"""The recipes do what they say: each is run as it is shown, in its language, against a service.

Those that need sharp or a bucket are run by `make verify`. C# is parsed, since the machines of this project have no compiler for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_c_sharp
from PIL import Image

from gateway.docs.recipes import LANGUAGES, RECIPES, TOPICS, text
from tests.contract.test_http import PICTURE
from tests.service import Service

NAMES = ["health", "detect", "mask", *TOPICS]
PROGRAMS = {"sh": ["bash", "-e"], "py": [sys.executable], "mjs": ["node"]}
#: What each says of a picture with two faces; "" where a file is all there is.
SAYS = {
    "health": r"200 ok beacon|\"status\":\"ok\"",
    "detect": r"Found 2 face\(s\)|\"face_count\":2",
    "mask": r"^$|Masked [1-9]\d* face\(s\)",
    "memory": r"^$|JPEG, 640×480|image/jpeg, \d+ bytes",
    "folder": r"^$|^((one|two)\.jpg: [1-9]\d* faces\n){2}$",
    "count": r"^2$",
    "draw": r"^$",
    "errors": r"2 faces|\"face_count\":2",
}
WRITES = {
    "mask": ["masked.jpg"],
    "folder": ["masked/one.jpg", "masked/two.jpg"],
    "draw": ["annotated.jpg"],
}
NEEDS_MORE = {("draw", "mjs"), *[("s3", end) for end in PROGRAMS]}


def test_every_recipe_is_there_in_every_language_and_no_other() -> None:
    assert {path.name for path in RECIPES.iterdir()} == {f"{name}.{end}" for name in NAMES for end in LANGUAGES}


@pytest.mark.parametrize("end", PROGRAMS)
@pytest.mark.parametrize("name", SAYS)
def test_a_recipe_works_as_shown(service: Service, tmp_path: Path, name: str, end: str) -> None:
    if (name, end) in NEEDS_MORE:
        pytest.skip("needs a library beside the language's own")
    for program in (PROGRAMS[end][0], *(["jq"] if (name, end) == ("count", "sh") else [])):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")
    (tmp_path / "photos").mkdir()
    for place in ("photo.jpg", "photos/one.jpg", "photos/two.jpg"):
        (tmp_path / place).write_bytes(PICTURE)
    program = tmp_path / f"recipe.{end}"
    program.write_text(text(name, end).replace("http://127.0.0.1:8000", service.url))
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [*PROGRAMS[end], program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(SAYS[name], done.stdout), done.stdout
    for written in WRITES.get(name, []):
        with Image.open(tmp_path / written) as picture:
            assert (picture.format, picture.size) == ("JPEG", (640, 480))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_in_c_sharp_parses_also_where_strings_in_strings_are_not_known(name: str) -> None:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c_sharp.language()))
    source = text(name, "cs")
    assert not parser.parse(source.encode()).root_node.has_error
    assert parser.parse(source.replace(";", "", 1).replace("(", "", 1).encode()).root_node.has_error
    assert not re.search(r'\$"[^"]*\{[^}"]*"', source)


@pytest.mark.parametrize("end", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_names_the_same_address_and_key_so_that_pages_can_put_in_theirs(name: str, end: str) -> None:
    source = text(name, end)
    assert "http://127.0.0.1:8000/" in source
    assert ("xyl_your_api_key_here" in source) == (name != "health")
