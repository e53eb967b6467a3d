"""`python -m deploy.healthcheck [livez|readyz]`: asks the service on this host; exit code 0 when it answers 200.

For supervisors. `livez` (the default) is what to restart on; `readyz` whether to send requests.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

from shared.environment import load
from shared.settings import Settings

WAIT_S = 5.0


def address(settings: Settings) -> str:
    """Where the service answers from this host."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — read, not bound
    host = everywhere.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:  # noqa: S310 — http, of this host
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def main(arguments: list[str]) -> int:
    (path,) = arguments or ["livez"]
    return 0 if answers(f"{address(load()[0])}/{path}") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
