"""The same model and the same answers in LitServe: raw body in, our own decode, letterbox, post-processing and JSON.

Its quickest form here: single pictures, one worker process per core, the fast queue.
"""

import argparse
from pathlib import Path
from time import perf_counter
from typing import Annotated

import litserve
from fastapi import Body
from starlette.responses import Response

from loadtest.bare import Answerer, Looker, Opener
from models.served.facts import load


class DetectApi(litserve.LitAPI):
    """POST /api/v1/detect."""

    def __init__(self, model: Path) -> None:
        super().__init__(api_path="/api/v1/detect")
        self._path = model

    def setup(self, device: str) -> None:  # noqa: ARG002 — LitServe names it
        model = load(self._path)
        self._opener = Opener(model.info.input_side)
        self._looker = Looker(model, threads=1)
        self._answerer = Answerer(model)

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> object:
        return self._opener.open(request)

    def predict(self, fitted: object) -> object:
        begin = perf_counter()
        heads = self._looker.look(fitted.pixels)
        inference_ms = (perf_counter() - begin) * 1000
        return self._answerer.body(fitted, self._looker.faces(heads, 0, fitted), inference_ms, inference_ms)

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = litserve.LitServer(
        DetectApi(options.model), accelerator="cpu", workers_per_device=options.workers, timeout=60, fast_queue=True
    )
    server.run(host="127.0.0.1", port=options.port, num_api_servers=1, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
