"""`python -m tests.fuzz.again TARGET FILE…`: sends kept inputs through a target once more, without atheris."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from tests.fuzz.targets import TARGETS


def main(name: str, files: list[str]) -> int:
    """0 when every promise holds; else the number of inputs that broke one, each with its traceback."""
    broken = 0
    for file in files:
        try:
            TARGETS[name].check(Path(file).read_bytes())
        except Exception:
            broken += 1
            print(f"{file}\n{traceback.format_exc()}")
    print(f"{name}: {broken} of {len(files)} inputs break a promise")
    return broken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
