"""`python -m deploy.image.sbom`: what an image holds, as CycloneDX, and the licences beside it.

Made from what is installed, not from what was asked for.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from deploy.licences import PAGE, ROOT, licence_in

FILE = "sbom.cdx.json"


def of_python(site: Path) -> Iterator[dict[str, Any]]:
    """A component for every package installed in a folder."""
    for package in metadata.distributions(path=[str(site)]):
        name = re.sub(r"[-_.]+", "-", package.name).lower()
        yield {
            "type": "library",
            "name": name,
            "version": package.version,
            "purl": f"pkg:pypi/{name}@{package.version}",
            "licenses": [{"license": {"name": licence_in(name, package.metadata)}}],
        }


def of_debian(status: str) -> Iterator[dict[str, Any]]:
    """A component for every package in dpkg's list. Their licences lie in /usr/share/doc."""
    for paragraph in status.strip().split("\n\n"):
        told = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if "installed" not in told.get("Status", "").split():
            continue
        name, version = told["Package"], told["Version"]
        purl = f"pkg:deb/debian/{name}@{version}?arch={told['Architecture']}"
        yield {"type": "library", "name": name, "version": version, "purl": purl}


def sbom(components: list[dict[str, Any]], version: str) -> bytes:
    """Without a date or a number of its own: two builds of one thing have one text."""
    about = {"component": {"type": "application", "name": "face-api", "version": version}}
    parts = sorted(components, key=lambda one: str(one["purl"]))
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": about, "components": parts}
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def version() -> str:
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def write(site: Path, debian: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE).write_bytes(sbom([*of_python(site), *of_debian(debian)], version()))
    for page in (PAGE, ROOT / "LICENSE"):
        shutil.copyfile(page, out / page.name)


def gaps(site: Path, debian: str, out: Path, documents: Path) -> Iterator[str]:
    """Where list, licences and what is installed disagree, a line each. documents: where Debian keeps licences."""
    listed = {part["purl"]: part for part in msgspec.json.decode((out / FILE).read_bytes())["components"]}
    installed = {part["purl"] for part in (*of_python(site), *of_debian(debian))}
    yield from (f"{purl} is listed and not installed" for purl in sorted(listed.keys() - installed))
    yield from (f"{purl} is installed and not listed" for purl in sorted(installed - listed.keys()))
    told = set(re.split(r"[\s|,]+", (out / PAGE.name).read_text(encoding="utf-8")))
    for purl, part in listed.items():
        is_told = part["name"] in told if "licenses" in part else (documents / part["name"] / "copyright").is_file()
        if not is_told:
            yield f"{purl} has no licence here"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.image.sbom", description=__doc__)
    parser.add_argument("--site", type=Path, required=True, help="folder of the installed packages")
    parser.add_argument("--debian", type=Path, required=True, help="dpkg's list of packages")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--check", type=Path, metavar="DOC", help="compare and write nothing; where Debian keeps licences"
    )
    options = parser.parse_args(arguments)
    debian = options.debian.read_text(encoding="utf-8")
    if options.check is None:
        write(options.site, debian, options.out)
        return 0
    wrong = list(gaps(options.site, debian, options.out, options.check))
    print(*wrong, sep="\n", end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
