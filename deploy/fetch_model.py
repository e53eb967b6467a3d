"""`python -m deploy.fetch_model URL SHA256 FILE`: a model for a pod, there only once its sum is right."""

from __future__ import annotations

import sys
from pathlib import Path

from models.catalogue.fetch import Limits, fetch
from shared.errors import DownloadError
from shared.exit_codes import FAILED, OK, USAGE


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return USAGE
    url, sha256, file = arguments
    try:
        fetch(url, sha256, Path(file), lambda _so_far, _in_all: None, Limits())
    except DownloadError as error:
        print(error, file=sys.stderr)
        return FAILED
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
