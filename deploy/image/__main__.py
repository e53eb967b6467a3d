"""`python -m deploy.image [--accel cpu|gpu] [--once]`: the image without Docker or its registry, proven.

Debian's packages, the locked Python packages and the code are laid out, put together, and all of it a second time:
both must have one digest. Then it runs as a container without any right and masks a picture. Needs root, mmdebstrap,
buildah, podman and runc.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from deploy.image import running
from deploy.image.sbom import version, write
from deploy.image.settling import settle
from deploy.licences import ROOT

HERE = Path(__file__).resolve().parent
PROGRAMS = ("mmdebstrap", "buildah", "podman", "runc")
DEBIAN, DEBIAN_PYTHON = "bookworm", "3.11.2"  # an older Python than others' 3.11 wants other packages
DEBIAN_PACKAGES = "python3.11-minimal,libpython3.11-stdlib,libstdc++6,ca-certificates,tini"
#: /bin and /lib are links from the start; else Debian brings a program with all of Perl that makes them so.
MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"
#: All times in the image, which are nobody's business: 1 January 2026.
EPOCH = "1767225600"


def what_lacks() -> str:
    """Why no image can be built here; empty when it can."""
    if os.geteuid() != 0:
        return "it wants root"
    if sys.version_info[:2] != (3, 11):
        return f"the image has Python 3.11, and its packages are compiled by the same; this is {sys.version.split()[0]}"
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"not installed: {' '.join(missing)} (apt-get install {' '.join(PROGRAMS)})"
    return ""


def built(folder: Path, accel: str) -> str:
    """Lays everything out in an empty folder and puts it together; the image's name."""
    _debian(folder / "rootfs.tar")
    _packages(folder / "site", accel)
    _code(folder / "app")
    write(folder / "site", _dpkg_status(folder / "rootfs.tar"), folder / "share")
    (folder / "data").mkdir(mode=0o700)
    shutil.copyfile(HERE / "Containerfile", folder / "Containerfile")
    name = f"localhost/face-api:{version()}-{accel}-{folder.name}"
    how = ("--isolation", "chroot", "--format", "docker", "--timestamp", EPOCH, "--quiet", "--no-cache")
    _run("buildah", "bud", *how, "--tag", name, "--file", str(folder / "Containerfile"), str(folder))
    with tempfile.TemporaryDirectory(dir=folder) as parts:
        settle(name, Path(parts))
    return name


def _debian(tar: Path) -> None:
    how = ("--quiet", "--variant=essential", f"--hook-dir={MERGED}", f"--include={DEBIAN_PACKAGES}", DEBIAN)
    _run("env", f"SOURCE_DATE_EPOCH={EPOCH}", "mmdebstrap", *how, str(tar))


def _packages(site: Path, accel: str) -> None:
    locked = ROOT / "deploy" / "requirements" / f"{accel}.txt"
    uv = Path(sys.prefix) / "bin" / "uv"
    how = ("--quiet", "--require-hashes", "--link-mode", "copy", "--python-version", DEBIAN_PYTHON)
    _run(str(uv), "pip", "install", *how, "--target", str(site), "-r", str(locked))
    shutil.rmtree(site / "bin")  # commands that name this machine's Python
    (site / ".lock").unlink(missing_ok=True)
    _compile(site)


def _code(app: Path) -> None:
    """What the Dockerfile copies: all that serves, and nothing that trains."""
    for package in ("deploy", "gateway", "models", "shared", "worker"):
        leave = shutil.ignore_patterns("__pycache__", *(["training"] if package == "models" else []))
        shutil.copytree(ROOT / package, app / package, ignore=leave)
    for file in ("LICENSE", "LICENSES.md", "pyproject.toml"):
        shutil.copyfile(ROOT / file, app / file)
    _compile(app)


def _compile(folder: Path) -> None:
    """Here: the image's file system is not written to. Anew and without times, so that two builds are one."""
    how = ("-q", "-f", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s", str(folder))
    _run(sys.executable, "-m", "compileall", *how, str(folder))


def _dpkg_status(tar: Path) -> str:
    with tarfile.open(tar) as archive:
        member = archive.extractfile("./var/lib/dpkg/status")
        assert member is not None
        return member.read().decode()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _digest(name: str) -> str:
    told = subprocess.run(
        ["buildah", "inspect", "--type", "image", "--format", "{{.FromImageDigest}}", name],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return told.stdout.strip()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description=__doc__)
    parser.add_argument("--accel", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--once", action="store_true", help="build it once and prove nothing")
    options = parser.parse_args(arguments)
    if lacks := what_lacks():
        print(f"no image here: {lacks}", file=sys.stderr)
        return 2
    folder = ROOT / "build" / "image"
    shutil.rmtree(folder, ignore_errors=True)
    digests = {}
    for time in ("first",) if options.once else ("first", "second"):
        (folder / time).mkdir(parents=True)
        name = built(folder / time, options.accel)
        digests[name] = _digest(name)
        print(name, digests[name], flush=True)
    if options.once:
        return 0
    if len(set(digests.values())) > 1:
        print("two builds differ", file=sys.stderr)
        return 1
    print("two builds, one digest", flush=True)
    try:
        for line in running.masked_in(name):
            print(line, flush=True)
    except running.NotAsPromised as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
