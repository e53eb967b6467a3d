"""`python -m models list | pull | verify | prepare | quantize`: models from the command line.

exit codes   0 done · 1 failed, or something is not right · 2 wrong usage · 78 wrong settings
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from models.catalogue.choose import BEST, ModelFile, choose, decide, folders, pulled_folder, search
from models.catalogue.download import pull
from models.catalogue.fetch import Limits, sha256_of
from models.catalogue.registry import SPECS, ModelSpec, spec_named
from models.ensure import ensure
from models.int8 import figures
from models.int8.best import in_int8
from models.int8.judge import make_figures, pictures_from
from models.preparing.prepare import place_of, prepared_fp32
from models.served.facts import read_sidecar
from models.terminal import Talk, mebibytes, table
from shared import environment
from shared.errors import ConfigurationError, FaceApiError
from shared.exit_codes import CONFIGURATION, FAILED, OK, USAGE
from shared.settings import Settings

Command = Callable[[argparse.Namespace, Settings, Talk], int]


def main(arguments: list[str]) -> int:
    """Runs one command; see the head of the file for the exit codes."""
    options = _parser().parse_args(arguments)
    talk = Talk(json=options.json)
    try:
        effective, _ = environment.load()
        command: Command = options.command
        return command(options, effective, talk)
    except ConfigurationError as error:
        _fail(talk, error)
        return CONFIGURATION
    except FaceApiError as error:
        _fail(talk, error)
        return FAILED
    except KeyboardInterrupt:
        talk.say("stopped; the same command continues")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models", description="Models: what there is, and to get them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Command, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.add_argument("--json", action="store_true", help="answer in JSON, one object per line")
        added.set_defaults(command=run)
        return added

    command("list", list_models, "Known models, which are here, and which one auto would serve.")
    pulling = command("pull", pull_model, "Download a model, after its licence was shown and accepted.")
    pulling.add_argument("name", help=f"a model of `list`, {BEST} for instance")
    pulling.add_argument("--accept-license", action="store_true", help="accept the licence without being asked")
    command("verify", verify_models, "Compare the models that are here with their published sums.")
    preparing = command("prepare", prepare_model, "Prepare a model for serving now instead of at the next start.")
    preparing.add_argument("model", nargs="?", help="a name or a path; without it what FACE_API_MODEL says")
    quantizing = command("quantize", quantize_model, "Judge a model in int8: faces lost and gained, drift, speed here.")
    quantizing.add_argument("model", help="a name or a path")
    quantizing.add_argument("--pictures", type=Path, nargs="+", help="measure anew on the pictures of these folders")
    quantizing.add_argument("--judge", type=Path, help="judge on this folder; else on a quarter of --pictures")
    quantizing.add_argument("--save", type=Path, help="where the figures go; else <data_dir>/ranges")
    return parser


def _fail(talk: Talk, error: FaceApiError) -> None:
    if talk.json:
        talk.give({"error": str(error)})
    else:
        talk.say(f"error: {error}")


def list_models(_options: argparse.Namespace, effective: Settings, talk: Talk) -> int:
    """A row per known model."""
    found = search(folders(effective))
    served = _served_by_auto(found)
    rows = [_row(spec, found, served) for spec in SPECS]
    if talk.json:
        talk.give(rows)
        return OK
    head = ("model", "here", "auto", "size", "licence", "about")
    cells = [
        (
            row["name"],
            row["path"] or ("no" if row["pullable"] else "-"),
            "serves" if row["auto"] else "",
            mebibytes(row["bytes"]) if row["bytes"] else "?",
            row["license"],
            row["about"],
        )
        for row in rows
    ]
    talk.show(table(head, cells))
    talk.show("\nGet one with `python -m models pull NAME`; serve one with FACE_API_MODEL=NAME (auto takes the best).")
    return OK


def _served_by_auto(found: list[ModelFile]) -> str:
    return decide("auto", found, []).name if found else ""


def _row(spec: ModelSpec, found: list[ModelFile], served: str) -> dict[str, Any]:
    path = next((file.path for file in found if file.spec is spec), None)
    return {
        "name": spec.name,
        "path": str(path) if path else None,
        "auto": spec.name == served,
        "bytes": path.stat().st_size if path else spec.size or None,
        "license": spec.license,
        "license_url": spec.license_url,
        "pullable": bool(spec.sources),
        "about": spec.about,
    }


def pull_model(options: argparse.Namespace, effective: Settings, talk: Talk) -> int:
    """Licence, question, download; the file lands in data_dir/models."""
    spec = spec_named(options.name)
    if spec is None or not spec.sources:
        names = ", ".join(known.name for known in SPECS if known.sources)
        raise ConfigurationError(f"{options.name}: cannot be pulled; these can: {names}")
    talk.say(f"{spec.name}: {spec.license}\n{spec.license_text}\n{spec.license_url}")
    if spec.needs_acceptance and not options.accept_license and not _accepted(talk):
        talk.say("not accepted, nothing downloaded; --accept-license answers in advance")
        return USAGE
    if size := spec.sources[0].size:
        talk.say(f"{mebibytes(size)} to download" + (", of which one file is kept" if spec.sources[0].member else ""))
    path = pull(spec, pulled_folder(effective), talk.say, talk.arrived, Limits())
    if talk.json:
        talk.give({"name": spec.name, "path": str(path), "sha256": sha256_of(path)})
    else:
        talk.show(f"{path}\nServed at the next start with FACE_API_MODEL={spec.name}, or auto where it is the best.")
    return OK


def _accepted(talk: Talk) -> bool:
    if talk.json or not sys.stdin.isatty():
        return False
    try:
        return input("Accept this licence? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def verify_models(_options: argparse.Namespace, effective: Settings, talk: Talk) -> int:
    """Every known model found, its sum, and whether that is the published one. 1 when any is not."""
    rows = [_verdict(file) for file in search(folders(effective))]
    if talk.json:
        talk.give(rows)
    elif rows:
        talk.show(table(("model", "verdict", "path"), [(row["name"], row["verdict"], row["path"]) for row in rows]))
    else:
        talk.show(f"no model is here; get one with `python -m models pull {BEST}`")
    return FAILED if any(row["verdict"] == "differs" for row in rows) else OK


def _verdict(file: ModelFile) -> dict[str, str]:
    found = sha256_of(file.path)
    verdict = ("right" if found == file.spec.sha256 else "differs") if file.spec.sha256 else "no sum published"
    return {"name": file.spec.name, "verdict": verdict, "path": str(file.path), "sha256": found}


def prepare_model(options: argparse.Namespace, effective: Settings, talk: Talk) -> int:
    """What the start would do, with the same settings."""
    if options.model:
        effective = msgspec.structs.replace(effective, model=options.model)
    model = ensure(effective, talk.say)
    if talk.json:
        talk.give({"path": str(model.path), "info": model.info, "canary_faces": len(model.canary.faces)})
    else:
        note = f"\n{model.info.note}" if model.info.note else ""
        talk.show(f"{model.info.name} ({model.info.precision}) is ready to serve: {Path(model.path)}{note}")
    return OK


def quantize_model(options: argparse.Namespace, effective: Settings, talk: Talk) -> int:
    """Figures measured anew where pictures are given, then the gate with both halves. 1 when it does not pass."""
    effective = msgspec.structs.replace(effective, model=options.model, precision="int8")
    place = place_of(choose(effective), effective)
    exact = prepared_fp32(place, talk.say)
    made = None
    if options.pictures:
        made = make_figures(place, exact, pictures_from(options.pictures, options.judge), talk.say)
        talk.say(f"figures written to {figures.write(made, options.save or figures.folders(place.data_dir)[0])}")
    model = in_int8(place, exact, talk.say, made)
    facts = read_sidecar(model.path).int8
    assert facts is not None, "every int8 network has them"
    if talk.json:
        talk.give({"name": place.choice.name, "passed": not facts.shortcomings, "path": str(model.path), "int8": facts})
    else:
        rows = [(name.replace("_", " "), f"{value:.4g}") for name, value in facts.accuracy.items()]
        talk.show(table(("int8 against fp32", ""), [*rows, ("times as fast here", f"{facts.speed_ratio:.2f}")]))
        verdict = "did not pass its gate: " + "; ".join(facts.shortcomings) if facts.shortcomings else "passed its gate"
        talk.show(f"{place.choice.name} in int8 {verdict}")
    return FAILED if facts.shortcomings else OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
