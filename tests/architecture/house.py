"""The house in one declaration: its packages, their rooms from the ground up, and what each may look at.

A room is a folder or a file directly in a package; a command line (`__main__`) is a room of its own. Rooms that no
floor names stand on the ground. A room imports from lower floors of its package alone, and of other packages what its
own is said to see. `arrows.py` holds every import to this.
"""

from __future__ import annotations

from typing import NamedTuple


class Package(NamedTuple):
    #: The rooms of each floor above the ground.
    floors: tuple[str, ...] = ()
    #: Packages and rooms of ours that it may look at beside its own.
    sees: str = ""
    #: Libraries that would make it heavy, or blur what it is for.
    without: str = ""


HOUSE: dict[str, Package] = {
    "shared": Package(
        floors=(
            "access_rules announcement canary logs nms settings_file supervision wire wire_keys",
            "choice split_rules",
            "doubts environment",
            "settings_told",
        ),
        without="starlette onnxruntime cv2 zmq redis sqlalchemy tests",
    ),
    "gateway": Package(
        floors=(
            "record keys params dispatching admission",
            "people records reporting form_parts choosing readiness",
            "access upload looking repeating",
            "edge deciding",
            "services error_responses",
            "visit console server",
            "recording",
            "routes",
            "docs",
            "app first_start",  # what a process begins with
            "keys.__main__",
        ),
        sees="shared",
        without="onnxruntime onnx torch tests",
    ),
    "worker": Package(
        floors=(
            "cuda_device detector reduced_heads roll_keeper router topology",
            "links retreat",
            "bound_network gpu_check pipeline pool",
            "detector_gpu serve",
            "opening",
            "__main__",
        ),
        sees="shared models.served",
        without="starlette redis sqlalchemy cv2 torch tests",
    ),
    "models": Package(
        floors=("proving rewriting", "preparing", "int8", "ensure", "__main__"),
        sees="shared",
        without="starlette redis zmq tests",
    ),
    "models.training": Package(
        floors=("scenes network", "run judge", "doubted", "export labelling"),
        sees="shared models.served",
        without="starlette redis zmq tests",
    ),
    "deploy": Package(
        floors=("parts", "service", "timings worker_host", "balancing image launch", "image.__main__"),
        sees="shared gateway worker models",
    ),
    "loadtest": Package(
        floors=(
            "calls client gpu_cells limit looks_pictures peers scaled_jpeg servers trim_padding",
            "balancer_cost batches gpu keep_cost looks readme_pictures",
            "measure",
            "planning report",
            "plots",
            "bench plan",
            "memory records_cost scenarios side_by_side",
        ),
        sees="shared gateway worker models models.training deploy",
    ),
    # Callers copy or install it alone.
    "client": Package(
        floors=("exchange patience", "calls", "folder", "__main__"),
        without="starlette onnxruntime cv2 numpy tests",
    ),
}

#: Lower rooms that a room must not look at all the same: proofs and graphs know no list of models, the judge and the
#: layers run where there is neither PyTorch nor material.
BLIND = {
    "models.proving": "models.catalogue models.terminal",
    "models.rewriting": "models.catalogue models.terminal",
    "models.preparing": "models.terminal",
    "models.int8": "models.terminal",
    "models.training.network": "models.training.material",
    "models.training.run": "models.training.landmarks",
    "models.training.judge": "models.training.network models.training.landmarks",
    "models.training.export": "models.training.landmarks",
}

#: What single files see beyond: the pool prepares before workers start; a card is given a network of its own; the judge
#: looks with what a service would serve.
BEYOND = {
    ("worker.pool", "models.ensure"),
    ("worker.detector_gpu", "models.rewriting.gpu_form"),
    ("models.training.judge.served", "models.catalogue.choose"),
    ("models.training.judge.served", "models.ensure"),
    ("models.training.judge.served", "models.int8.figures"),
    ("models.training.judge.served", "models.int8.judge"),
    ("models.training.judge.served", "models.preparing.place"),
    ("models.training.judge.served", "models.preparing.prepare"),
}
