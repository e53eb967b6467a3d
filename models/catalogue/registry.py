"""The models this project knows: names, sources, sums, licences, and their order for `auto`. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Facts in this file: the packs' release page and public projects that pin the same sums.
_PACKS = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_SINGLE = "https://huggingface.co/public-data/insightface/resolve/main/models"

_INSIGHTFACE_LICENSE = "non-commercial research only (InsightFace)"
_INSIGHTFACE_URL = "https://github.com/deepinsight/insightface#license"
_INSIGHTFACE_TEXT = """\
InsightFace's code is MIT, but its pretrained models are available for non-commercial research purposes only.
Using this model in a product or for commercial work needs a licence from InsightFace."""

_OPEN_LICENSE = "MIT"
_OPEN_TEXT = "Trained by this project on openly licensed material; anyone may use it for anything."


@dataclass(frozen=True, slots=True)
class Source:
    """One place a model comes from. member: the file inside a zip; empty for a plain file.

    sha256, size: of what is downloaded (the zip, or the file itself); size 0 where it is not known.
    """

    url: str
    sha256: str
    size: int = 0
    member: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model. rank: the higher, the better; `auto` takes the highest found.

    sha256, size: of the ONNX file itself; empty and 0 where nobody has published them (then the zip is verified).
    file_names: as which it is recognised in a model folder, besides its sum; the first is the one `pull` writes.
    exact_pixels: whether its faces are to be the reference's, so that it is shown just what the reference would show.
    closer: the file beside it that sees sheets of closer looks in its place, no model by itself; empty for none.
    """

    name: str
    rank: int
    file_names: tuple[str, ...]
    sha256: str
    size: int
    sources: tuple[Source, ...]
    license: str
    license_url: str
    license_text: str
    about: str
    landmarks: bool = True
    needs_acceptance: bool = True
    exact_pixels: bool = True
    closer: str = ""


def _official(
    name: str, rank: int, file_names: tuple[str, ...], about: str, *sources: Source, sha256: str = "", size: int = 0
) -> ModelSpec:
    return ModelSpec(
        name=name,
        rank=rank,
        file_names=file_names,
        sha256=sha256,
        size=size,
        sources=sources,
        license=_INSIGHTFACE_LICENSE,
        license_url=_INSIGHTFACE_URL,
        license_text=_INSIGHTFACE_TEXT,
        about=about,
    )


_SUM_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"
_SUM_500M = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"

OPEN_MODEL = "scrfd_500m_open"

SPECS: tuple[ModelSpec, ...] = (
    _official(
        "scrfd_10g",
        60,
        ("scrfd_10g.onnx", "det_10g.onnx", "scrfd_10g_bnkps.onnx", "scrfd_10g_kps.onnx"),
        "most accurate; four times the work of 2.5g",
        Source(f"{_SINGLE}/buffalo_l/det_10g.onnx", _SUM_10G, 16923827),
        Source(
            f"{_PACKS}/buffalo_l.zip",
            "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
            member="det_10g.onnx",
        ),
        sha256=_SUM_10G,
        size=16923827,
    ),
    _official(
        "scrfd_2.5g",
        50,
        ("scrfd_2.5g.onnx", "det_2.5g.onnx"),
        "accurate, at a quarter of the work of 10g",
        Source(
            f"{_PACKS}/buffalo_m.zip",
            "d98264bd8f2dc75cbc2ddce2a14e636e02bb857b3051c234b737bf3b614edca9",
            275951529,
            "det_2.5g.onnx",
        ),
    ),
    _official(
        "scrfd_2.5g_bnkps",
        40,
        ("scrfd_2.5g_bnkps.onnx", "scrfd_2.5g_kps.onnx"),
        "2.5g in another export (fixed 640×640, batch 1); recognised, not pulled",
        sha256="9c162a817c7dd32d35d1f1c6ae6445032d6e73c6c5fe61d8b5b663ba8bc86b30",
        size=3291739,
    ),
    _official(
        "scrfd_500m",
        30,
        ("scrfd_500m.onnx", "det_500m.onnx"),
        "fastest of the official ones; misses some tiny faces",
        Source(
            f"{_PACKS}/buffalo_sc.zip",
            "57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72",
            14969382,
            "det_500m.onnx",
        ),
        sha256=_SUM_500M,
        size=2524817,
    ),
    _official(
        "scrfd_500m_kps",
        20,
        ("scrfd_500m_kps.onnx", "scrfd_500m_bnkps.onnx"),
        "500m in another export (fixed 640×640, batch 1); recognised, not pulled",
        sha256="517cb1980c72422e676738fc45431700fb7cbee56d0f825b623ee427b3e5ce58",
        size=2524095,
    ),
    ModelSpec(
        name=OPEN_MODEL,
        rank=10,
        file_names=(f"{OPEN_MODEL}.onnx",),
        sha256="",
        size=0,
        sources=(),
        license=_OPEN_LICENSE,
        license_url="models/open/README.md",
        license_text=_OPEN_TEXT,
        about="ships with this project, for any use; less accurate than the official ones",
        needs_acceptance=False,
        exact_pixels=False,
        closer=f"{OPEN_MODEL}_closer.onnx",
    ),
)

#: Where the open model ships.
OPEN_FOLDER = Path(__file__).resolve().parents[1] / "open"


def spec_named(name: str) -> ModelSpec | None:
    """The model of this exact name, or None."""
    return next((spec for spec in SPECS if spec.name == name), None)


def spec_for_file(file_name: str, size: int, sha256: str) -> ModelSpec | None:
    """The model a file is, by its sum first and by its name otherwise; None for a stranger."""
    by_sum = next((spec for spec in SPECS if spec.sha256 and (spec.sha256, spec.size) == (sha256, size)), None)
    return by_sum or next((spec for spec in SPECS if file_name in spec.file_names), None)
