"""`python -m deploy.licences`: writes LICENSES.md from the locked requirements and what is vendored."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "LICENSES.md"
REQUIREMENTS = ROOT / "deploy" / "requirements"
#: What lies in the repository and is others' work: what, its licence, where its words are.
VENDORED = (
    ("swagger-ui", "Apache-2.0", "gateway/docs/assets/VENDORED.md"),
    ("redoc", "MIT", "gateway/docs/assets/VENDORED.md"),
    ("htmx", "0BSD", "gateway/console/static/VENDORED.txt"),
)
#: Licences of packages that one machine or another does not install, or that say it in a file alone, as they say it.
ELSEWHERE = {
    "async-timeout": "Apache-2.0",
    "axe-playwright-python": "MIT AND MPL-2.0",
    "colorama": "BSD-3-Clause",
    "httpx2-jsfetch": "BSD-3-Clause",
    "onnxruntime": "MIT",
    "onnxruntime-gpu": "MIT",
    "tzdata": "Apache-2.0",
}
NVIDIA = "NVIDIA's own terms"
#: What older packages say in other words than SPDX's.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
HEAD = """# Licences

face-api is under the MIT licence ([LICENSE](LICENSE)), and so are the [open weights](models/open/LICENSE).
InsightFace's weights are no part of it: whoever pulls them takes them under their own terms, for non-commercial
research only.

Made by `python -m deploy.licences`; a test compares the names with the locked requirements. Packages bring
libraries of their own, whose words lie beside them once installed. OpenCV's holds FFmpeg under LGPL-2.1; pillow-heif's
holds libheif and libde265 under LGPL-3.0, and x265, which writes HEIC and is not asked to here, under GPL-2.0: think of
them before you hand an installed environment on. Tools for measuring, fuzzing and training are installed apart.
"""


def locked(file: str) -> set[str]:
    """The names of the packages in a locked list."""
    text = (REQUIREMENTS / file).read_text(encoding="utf-8")
    return set(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==", text, flags=re.MULTILINE))


def licence_of(package: str) -> str:
    """A package's licence in its own words. Raises LookupError where it is neither installed nor known."""
    if package.startswith("nvidia-"):
        return NVIDIA
    try:
        return licence_in(package, metadata.metadata(package))
    except metadata.PackageNotFoundError:
        return ELSEWHERE[package]


def licence_in(package: str, told: metadata.PackageMetadata) -> str:
    """What a package's own description says of its licence."""
    if package.startswith("nvidia-"):
        return NVIDIA
    classed = [line.split(" :: ")[-1] for line in told.get_all("Classifier") or [] if line.startswith("License :: ")]
    expression = told["License-Expression"]
    words = [expression] if expression else classed or [told["License"] or ELSEWHERE[package]]
    return " or ".join(WORDS.get(word, word) for word in words)


def page() -> str:
    serve, card, check = locked("cpu.txt"), locked("gpu.txt"), locked("dev.txt")
    vendored = [f"| {name} | {licence} | [words]({where}) |" for name, licence, where in VENDORED]
    parts = {
        "Lies in the repository": "\n".join(["| what | licence | |", "| --- | --- | --- |", *vendored]),
        "Installed to serve": _table(serve),
        "Beside, for a card": _table(card - serve),
        "Beside, to check": _table(check - serve),
    }
    return HEAD + "".join(f"\n## {title}\n\n{table}\n" for title, table in parts.items())


def _table(packages: set[str]) -> str:
    by_licence: dict[str, list[str]] = {}
    for package in sorted(packages):
        by_licence.setdefault(licence_of(package), []).append(package)
    rows = [f"| {licence} | {', '.join(names)} |" for licence, names in sorted(by_licence.items())]
    return "\n".join(["| licence | packages |", "| --- | --- |", *rows])


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
