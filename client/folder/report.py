"""What a person or a program sees of a run: progress on the error stream, results on the output stream."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from client.errors import ClientError
from client.folder.ledger import Line

#: Where no bar can be drawn a line is printed after so many pictures.
PLAIN_EVERY = 100
#: Of those that were not done; the rest are counted.
LISTED_MAX = 100


@dataclass
class Summary:
    """Counts of a run, and the lines of what was not done."""

    done: int = 0
    faces: int = 0
    without_faces: int = 0
    undone: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        if line["status"] != "done":
            self.undone.append(line)
            return
        self.done += 1
        self.faces += line["faces"]
        self.without_faces += line["faces"] == 0

    def counts(self) -> dict[str, int]:
        refused = sum(line["status"] == "refused" for line in self.undone)
        return {
            "done": self.done,
            "faces": self.faces,
            "without_faces": self.without_faces,
            "refused": refused,
            "failed": len(self.undone) - refused,
        }


class Report:
    """Shows a run while it goes on. kind: which results are printed. quiet: no progress. machine: lines of JSON."""

    def __init__(self, total: int, kind: Literal["files", "faces", "counts"], *, machine: bool, quiet: bool) -> None:
        self.summary = Summary()
        self._kind, self._machine = kind, machine
        self._total = total
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._progress.add_task("pictures", total=total, note="")
        self._seen = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def line(self, line: Line) -> None:
        """A picture is through."""
        self.summary.add(line)
        self._seen += 1
        if self._machine:
            _say(json.dumps(line, ensure_ascii=False))
        elif self._kind != "files" and line["status"] == "done":
            _say(_in_words(line, self._kind))
        counts = self.summary.counts()
        note = f"{counts['faces']} faces" + (f", {len(self.summary.undone)} not done" if self.summary.undone else "")
        self._progress.update(self._task, advance=1, note=note)
        if not self._console.is_terminal and self._seen % PLAIN_EVERY == 0:
            self._console.print(f"{self._seen} of {self._total} pictures, {note}", markup=False)

    def waits(self, seconds: float, why: ClientError) -> None:
        """A call is about to be tried again."""
        self._progress.update(self._task, note=f"waiting {seconds:.0f} s: {why}")

    def end(self) -> None:
        """The counts, and every picture that was not done with its reason."""
        counts = self.summary.counts()
        if self._machine:
            _say(json.dumps({"summary": counts}))
        for line in self.summary.undone[:LISTED_MAX]:
            self._console.print(f"{line['status']}: {line['source']}: {line['detail']}", markup=False, soft_wrap=True)
        if (more := len(self.summary.undone) - LISTED_MAX) > 0:
            self._console.print(f"and {more} more")
        words = f"{counts['done']} done, {counts['faces']} faces, {counts['without_faces']} pictures without any"
        self._console.print(f"{words}; {counts['refused']} refused, {counts['failed']} failed")


def _in_words(line: Line, kind: str) -> str:
    if kind == "counts":
        return f"{line['faces']:6} {line['source']}"
    return "\n".join([f"{line['source']}: {line['faces']} faces", *map(_face, line["answer"]["detections"])])


def _face(face: Line) -> str:
    box = face["bbox"]
    corners = f"({box['x1']:.0f}, {box['y1']:.0f}) to ({box['x2']:.0f}, {box['y2']:.0f})"
    return f"  {face['index']:3} {face['confidence']:.3f} {corners}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
