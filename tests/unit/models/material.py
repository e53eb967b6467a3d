"""Where these tests find the material beside the repository, and what they need of settings."""

from __future__ import annotations

from pathlib import Path

from shared.settings import Settings

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
#: Small, so that preparing takes a fraction of a second.
SIDE = 64


def official_models() -> list[Path]:
    """The official exports beside the repository; none where it stands alone."""
    return sorted((SHARED / "models").glob("*.onnx"))


def settings_for(folder: Path, model: str = "auto", **others: object) -> Settings:
    """Settings with everything written under `folder`, for a small input."""
    return Settings(**({"model": model, "data_dir": str(folder / "data"), "input_side": SIDE} | others))  # type: ignore[arg-type]
