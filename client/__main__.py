"""`python -m client`: masks, marks, finds or counts the faces of whole folders."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from client.calls import AsyncClient
from client.folder import plan
from client.folder.job import Job, Stopped
from client.folder.ledger import Ledger
from client.folder.report import Report
from client.folder.run import run

DONE, NOT_ALL, USAGE, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
LEDGER = ".face-api.jsonl"
KINDS: dict[str, Literal["files", "faces", "counts"]] = {
    "mask": "files",
    "annotate": "files",
    "detect": "faces",
    "count": "counts",
}
EPILOG = f"""\
What is done is remembered in {LEDGER} of the output folder: run the same line again and it goes on.
Ends with {DONE} when every picture is done, {NOT_ALL} when some are not (they are listed), {USAGE} when the line is
wrong, {STOPPED} when nothing could go on (the key, the address, a full disk), {INTERRUPTED} after Ctrl-C."""


def main(words: Sequence[str] | None = None) -> int:
    """The exit status."""
    options = _parser().parse_args(words)
    try:
        pictures, job = _planned(options)
    except (plan.PlanError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return USAGE
    report = Report(len(pictures), KINDS[options.command], machine=options.json, quiet=options.quiet)
    try:
        with report:
            asyncio.run(_run(options, pictures, job, report))
    except Stopped as error:
        report.end()
        print(f"stopped: {error}", file=sys.stderr)
        return STOPPED
    except KeyboardInterrupt:
        report.end()
        print("interrupted; the same line goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        if job.ledger is not None:
            job.ledger.close()
    report.end()
    return NOT_ALL if report.summary.undone else DONE


async def _run(options: argparse.Namespace, pictures: Sequence[plan.Source], job: Job, report: Report) -> None:
    at_once = options.jobs
    client = AsyncClient(options.url, options.key, deadline=options.deadline, connections=at_once, waited=report.waits)
    async with client:
        await run(client, job, pictures, at_once, report.line)


def _planned(options: argparse.Namespace) -> tuple[list[plan.Source], Job]:
    """What there is to do, and what is done with it. Raises PlanError, or OSError for the output."""
    parameters = dict(options.parameter)
    output: Path | None = options.output
    if KINDS[options.command] != "files":
        pictures = plan.sources(options.pictures)
        return pictures, Job("detect", parameters, ledger=Ledger(output) if output else None, again=options.again)
    assert output is not None, "argparse requires it"
    plan.refuse_mixing(options.pictures, output)
    pictures = plan.sources(options.pictures, without=output)
    if "format" in parameters:
        raise plan.PlanError("the format decides the names of the masked pictures; say it with --format")
    if options.command == "annotate":
        parameters["annotate"] = "true"
    return pictures, Job(
        endpoint="mask",
        parameters=parameters,
        wanted=options.format,
        output=output,
        targets=plan.masked_names(pictures, options.format),
        ledger=Ledger(output / LEDGER),
        again=options.again,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in (
        ("mask", "masked pictures into a folder"),
        ("annotate", "pictures with boxes and scores drawn, into a folder"),
        ("detect", "boxes and scores of every face"),
        ("count", "how many faces each picture has"),
    ):
        command = commands.add_parser(
            name, help=words, description=words, epilog=EPILOG, formatter_class=parser.formatter_class
        )
        _add_common(command)
        if KINDS[name] == "files":
            command.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where they go")
            formats = [plan.SAME, *plan.SUFFIXES]
            command.add_argument("--format", choices=formats, default=plan.SAME, help="same keeps each one's (default)")
        else:
            command.add_argument("-o", "--output", type=Path, metavar="FILE", help="lines of JSON, to go on from")
    return parser


def _add_common(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("pictures", type=Path, nargs="+", metavar="PICTURES", help="folders, with all below them, or files")
    add("--url", help="the service; else FACE_API_URL, else http://127.0.0.1:8000")
    add("--key", help="its key; else FACE_API_KEY, which no list of processes shows")
    add("-p", "--parameter", type=_parameter, action="append", default=[], metavar="NAME=VALUE",
        help="any parameter of the API: -p method=solid -p confidence=0.3")  # fmt: skip
    add("-j", "--jobs", type=_whole(1, 64), default=8, metavar="N", help="pictures on their way at once (8)")
    add("--deadline", type=_whole(1, 86_400), default=300, metavar="S",
        help="seconds until a picture is given up while the service is busy or away (300)")  # fmt: skip
    add("--again", action="store_true", help="ask again for pictures that were refused")
    add("--json", action="store_true", help="a line of JSON for each picture, and one with the counts")
    add("-q", "--quiet", action="store_true", help="no progress, no counts")


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text}: write NAME=VALUE")
    return name, value


def _whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number in a range, for argparse."""

    def read(text: str) -> int:
        if text.isdecimal() and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text}: a whole number from {least} to {most}")

    return read


if __name__ == "__main__":
    sys.exit(main())
