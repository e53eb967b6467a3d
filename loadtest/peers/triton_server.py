"""The same model and the same answers in Triton: raw body in, our own decode, letterbox, post-processing and JSON.

Its quickest form here: the Python backend, one instance (a process) per core, single pictures, the whole of a picture
in one of them, so that no pixels cross a process border. Triton itself is the binary in `nvidia-pytriton`'s wheel; of
the package nothing else is used. Triton loads this very file as the model.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from time import perf_counter

#: Triton starts its Python processes itself; this is how they learn of the model.
MODEL_VARIABLE = "LOADTEST_PEER_MODEL"
NAME, VERSION = "detect", "1"
SITE = Path(sysconfig.get_path("purelib"))
TRITON = SITE / "pytriton" / "tritonserver"
CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: 0
input [ {{ name: "file" data_type: TYPE_UINT8 dims: [ -1 ] }} ]
output [ {{ name: "answer" data_type: TYPE_UINT8 dims: [ -1 ] }} ]
instance_group [ {{ kind: KIND_CPU count: {workers} }} ]
"""


class TritonPythonModel:
    """POST /v2/models/detect/infer: the bytes of a file, and those of the answer."""

    def initialize(self, _facts: dict[str, str]) -> None:
        sys.path.extend(os.environ["PYTHONPATH"].split(os.pathsep))  # which the stub does not read
        from loadtest.bare import Answerer, Looker, Opener
        from models.served.facts import load

        model = load(Path(os.environ[MODEL_VARIABLE]))
        self._opener = Opener(model.info.input_side)
        self._looker = Looker(model, threads=1)
        self._answerer = Answerer(model)

    def execute(self, requests: list[object]) -> list[object]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        # Tensors cross as DLPack: the stub was built for an older NumPy and reads the arrays of this one wrongly.
        import numpy as np
        import triton_python_backend_utils as backend

        fitted = self._opener.open(memoryview(np.from_dlpack(backend.get_input_tensor_by_name(request, "file"))))
        begin = perf_counter()
        heads = self._looker.look(fitted.pixels)
        inference_ms = (perf_counter() - begin) * 1000
        body = self._answerer.body(fitted, self._looker.faces(heads, 0, fitted), inference_ms, inference_ms)
        return backend.InferenceResponse(
            [backend.Tensor.from_dlpack("answer", np.frombuffer(bytearray(body), np.uint8))]
        )


def lay_out(folder: Path, workers: int) -> None:
    """The model as Triton wants it, and its backend with the stub of this Python."""
    version = folder / "models" / NAME / VERSION
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG.format(name=NAME, workers=workers), encoding="utf-8")
    shutil.copy(__file__, version / "model.py")
    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    stub = TRITON / "python_backend_stubs" / f"{sys.version_info.major}.{sys.version_info.minor}"
    for source in (*(TRITON / "backends" / "python").iterdir(), stub / "triton_python_backend_stub"):
        (backend / source.name).symlink_to(source)


def environment(model: str) -> dict[str, str]:
    """What Triton and the stub need to find: this Python's library and modules, and Triton's own libraries."""
    libraries = str(SITE / "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR"))
    return os.environ | {
        MODEL_VARIABLE: model,
        "PYTHONHOME": sys.base_prefix,
        "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(SITE)]),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="face-api-triton-") as name:
        folder = Path(name)
        lay_out(folder, options.workers)
        arguments = [
            str(TRITON / "bin" / "tritonserver"), f"--model-repository={folder / 'models'}",
            f"--backend-directory={folder / 'backends'}", f"--http-port={options.port}", "--http-address=127.0.0.1",
            "--allow-grpc=false", "--allow-metrics=false", "--disable-auto-complete-config", "--exit-timeout-secs=5",
        ]  # fmt: skip
        with subprocess.Popen(arguments, env=environment(options.model)) as server:
            try:
                return server.wait()
            finally:
                server.terminate()


if __name__ == "__main__":
    sys.exit(main())
