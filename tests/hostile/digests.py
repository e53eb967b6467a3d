"""`python -m tests.hostile.digests CORPUS`: a digest of every hostile file that can be opened, in this process.

Run with two values of glibc's MALLOC_PERTURB_, which fills fresh memory, it shows whether any pixel was never written.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from gateway.pictures.image_decode import decode
from gateway.pictures.image_header import check_complete, check_limits, read_header
from shared.errors import BadImage, TooLarge
from shared.settings import Settings
from tests.hostile import corpus

#: Larger files cost more than they show.
FILE_BYTES_MAX = 1_000_000


def main(path: Path) -> None:
    print("fresh memory holds", np.empty(200_000, np.uint8)[100_000])
    settings = Settings()
    for file in corpus.read(path):
        data = memoryview(file.data)
        if len(data) > FILE_BYTES_MAX or "30-mpx" in file.name:
            continue
        try:
            header = read_header(data)
            check_limits(header, settings)
            check_complete(data, header, settings)
            pixels, _alpha = decode(data, header, with_alpha=True)
        except (BadImage, TooLarge):
            continue
        print(file.name, hashlib.sha256(pixels.tobytes()).hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
