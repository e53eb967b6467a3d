"""How large the runs were that answers came from, read from the service's own metrics between measurements."""

from __future__ import annotations

import http.client
import re

from loadtest.servers import OURS, Server

METRICS_TOKEN = "loadtest-reads-batch-sizes"
_BUCKET = re.compile(r'^face_api_batch_size_bucket\{[^}]*le="([0-9.+Inf]+)"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)


def batch_sizes(server: Server) -> dict[str, int]:
    """Answers so far by the upper bound of their run's size; empty for a server without such metrics."""
    if server.name != OURS:
        return {}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return buckets(text) if answer.status == 200 else {}


def buckets(text: str) -> dict[str, int]:
    """Counts per bucket, not cumulative, from the exposition format."""
    found, below = {}, 0
    for bound, count in _BUCKET.findall(text):
        found[bound] = int(float(count)) - below
        below = int(float(count))
    return found


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What came in between; nothing for bounds that did not grow."""
    return {bound: count - before.get(bound, 0) for bound, count in after.items() if count > before.get(bound, 0)}
