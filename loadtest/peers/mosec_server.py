"""The same model and the same answers in mosec: raw body in, our own decode, letterbox, post-processing and JSON.

Its quickest form here: one stage, so that no pixels cross a process border; one worker process per core.
"""

import argparse
import os
import sys
from pathlib import Path
from time import perf_counter

import mosec

from loadtest.bare import Answerer, Looker, Opener
from models.served.facts import load

#: mosec starts its workers anew; this is how they learn of the model.
MODEL_VARIABLE = "LOADTEST_PEER_MODEL"


class Detect(mosec.Worker):
    """POST /api/v1/detect."""

    resp_mime_type = "application/json"

    def __init__(self) -> None:
        super().__init__()
        model = load(Path(os.environ[MODEL_VARIABLE]))
        self._opener = Opener(model.info.input_side)
        self._looker = Looker(model, threads=1)
        self._answerer = Answerer(model)

    def deserialize(self, data: bytes) -> object:
        return self._opener.open(data)

    def forward(self, fitted: object) -> bytes:
        begin = perf_counter()
        heads = self._looker.look(fitted.pixels)
        inference_ms = (perf_counter() - begin) * 1000
        return self._answerer.body(fitted, self._looker.faces(heads, 0, fitted), inference_ms, inference_ms)

    def serialize(self, data: bytes) -> bytes:
        return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    os.environ[MODEL_VARIABLE] = options.model
    # mosec reads its own options from the command line.
    sys.argv = [
        sys.argv[0], "--address=127.0.0.1", f"--port={options.port}", "--timeout=60000", "--capacity=2000",
        "--max-request-size=41943040", "--log-level=warning",
    ]  # fmt: skip
    server = mosec.Server()
    server.append_worker(Detect, num=options.workers, route="/api/v1/detect")
    server.run()


if __name__ == "__main__":
    main()
