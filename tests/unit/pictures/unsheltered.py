"""A picture child on a kernel without Landlock, as far as it can tell."""

from __future__ import annotations

import errno
import sys

from gateway.pictures import picture_child
from gateway.pictures.sandbox import landlock


def version() -> int:
    raise OSError(errno.ENOSYS, "no such call")


if __name__ == "__main__":
    landlock.version = version
    sys.exit(picture_child.main(sys.argv[1:]))
