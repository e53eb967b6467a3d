"""The endpoints for programs, a row each. Routed, documented, told apart in metrics and log, and counted by these rows.

The admin API has its own (`gateway/routes/admin.py`): nothing but the door counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

#: What is asked of a picture.
Task = Literal["detect", "mask"]
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """task: only what does one is in the console's numbers. quiet: asked all the time by balancers and dashboards.
    for_pages: pages of other origins may ask, where origins are named. documented: in the OpenAPI document.
    """

    name: str
    path: str
    task: Task | None = None
    quiet: bool = False
    for_pages: bool = False
    documented: bool = True

    @property
    def method(self) -> str:
        return "POST" if self.task else "GET"


ENDPOINTS = (
    Endpoint("detect", "/api/v1/detect", task="detect", for_pages=True),
    Endpoint("mask", "/api/v1/mask", task="mask", for_pages=True),
    Endpoint("health", "/health", quiet=True, for_pages=True),
    Endpoint("readyz", "/readyz", quiet=True),
    Endpoint("livez", "/livez", quiet=True),
    Endpoint("metrics", "/metrics", quiet=True, documented=False),
)
BY_PATH = {endpoint.path: endpoint for endpoint in ENDPOINTS}
