"""`python -m tests.hostile.write FOLDER`: the hostile corpus as files, for `make replay CORPUS=FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hostile.corpus import files


def main(folder: Path) -> int:
    """Writes every file under its name; what is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for file in files():
        (folder / file.name).write_bytes(file.data)
        count += 1
    print(f"{count} files in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
