"""locust scenarios: who asks (detect, mask, mixed) and how their number changes (steady, ramp, spike, soak).

`locust -f loadtest/locustfile.py --host URL --scenario spike --ask mixed --folder PICTURES --headless --html FILE`;
`python -m loadtest.scenarios` does all of it by itself. For throughput figures use the bench: locust is heavier.
"""

import itertools
import random
from pathlib import Path

from locust import FastHttpUser, LoadTestShape, between, events, task

#: Per scenario: (until this share of the run, users as a share of --most).
STEPS = {
    "steady": [(1.0, 1.0)],
    "ramp": [(step / 10, step / 10) for step in range(1, 11)],
    "spike": [(0.4, 0.2), (0.6, 1.0), (1.0, 0.2)],
    "soak": [(1.0, 0.5)],
}
SHARE_OF_MASK = {"detect": 0.0, "mask": 1.0, "mixed": 0.3}


@events.init_command_line_parser.add_listener
def add_options(parser) -> None:
    parser.add_argument("--scenario", choices=list(STEPS), default="steady")
    parser.add_argument("--ask", choices=list(SHARE_OF_MASK), default="detect")
    parser.add_argument("--folder", default=".", help="folder of *.jpg")
    parser.add_argument("--most", type=int, default=16, help="users at the height of the scenario")
    parser.add_argument("--length", type=float, default=60.0, help="seconds of the whole scenario")
    parser.add_argument("--key", default="", help="API key")


class Shape(LoadTestShape):
    """How many users there are at a time."""

    def tick(self) -> tuple[int, float] | None:
        options = self.runner.environment.parsed_options
        gone = self.get_run_time() / options.length
        for until, share in STEPS[options.scenario]:
            if gone < until:
                return max(1, round(share * options.most)), float(options.most)
        return None


class Caller(FastHttpUser):
    """Sends pictures in turn; an answer that is not what it should be is a failure."""

    wait_time = between(0.0, 0.05)

    def on_start(self) -> None:
        options = self.environment.parsed_options
        pictures = [path.read_bytes() for path in sorted(Path(options.folder).glob("*.jpg"))]
        if not pictures:
            raise SystemExit(f"no *.jpg in {options.folder}")
        random.shuffle(pictures)
        self.pictures = itertools.cycle(pictures)
        self.headers = {"X-API-Key": options.key} if options.key else {}
        self.share_of_mask = SHARE_OF_MASK[options.ask]

    @task
    def ask(self) -> None:
        endpoint = "mask" if random.random() < self.share_of_mask else "detect"
        files = {"image": ("a.jpg", next(self.pictures), "image/jpeg")}
        path = f"/api/v1/{endpoint}"
        with self.client.post(path, files=files, headers=self.headers, catch_response=True) as answer:
            if answer.status_code == 200 and not _complete(endpoint, answer):
                answer.failure("200, but the answer is not complete")


def _complete(endpoint: str, answer) -> bool:
    if endpoint == "mask":
        return answer.content[:2] == b"\xff\xd8" and "x-face-count" in answer.headers
    return "detections" in answer.json()
