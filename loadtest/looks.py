"""What looking again finds and what it costs (turns, tiles, `thorough`), over a service that runs or is started.

    python -m loadtest.looks                                 everything, with the photographs of ../shared
    python -m loadtest.looks --portraits FOLDER              one face each: masked, however they are turned?
                             [--degrees 0 30 45 90 180 270] [--turned-ways plain default thorough]
    python -m loadtest.looks --labelled FOLDER [--crops 40]  with labels.json: found, visible after mask, false, cost
    python -m loadtest.looks --crowd FILE --draw crowd.png   boxes against another model's tiles, drawn

labels.json is {file name: {"faces": [[x1, y1, x2, y2], …], "loose": […]}}, in pixels of the upright picture; its files
lie beside it or in `photos/`. A box on a loose face is not false. "masked" and "visible" are what mask would do with
these boxes: detect with the same parameters sees the same. Ways take turns, so their answers/s can be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from loadtest.looks_judge import COVERED_MIN, Boxes, Row, Seen, Tally, as_boxes, covered, matched
from loadtest.looks_pictures import Photograph, cut_out, decoded, files_of, labelled_in, turned_file
from loadtest.servers import ROOT, ours
from models.ensure import ensure
from shared.settings import Settings

MATERIAL = ROOT.parent / "shared"
#: `detect` and `default` are what detect and mask do unasked.
WAYS = {
    "once": "closer=false",
    "detect": "",
    "plain": "second_side=160&closer=false",
    "turned": "second_side=160&turns=unsure&closer=false",
    "default": "second_side=160&turns=unsure&closer=true",
    "tiles": "second_side=160&turns=unsure&closer=true&tiles=16",
    "thorough": "thorough=true",
}
JUDGE_WAY, JUDGE_SURE = "confidence=0.3&tiles=16", 0.5
TURNS = (0.0, 90.0, 180.0, 270.0)
#: Photographs that one way looks at before the next has its turn.
CHUNK = 12


class Portraits(msgspec.Struct, frozen=True, kw_only=True):
    """masked, other_boxes: by turn in degrees; other are boxes that touch no face of which the truth knows."""

    way: str
    portraits: int
    degrees: list[float]
    masked: list[int]
    other_boxes: list[int]
    missed: list[str]


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """boxes: found. precision: the share of them that the judge has. judged: boxes of the judge."""

    way: str
    boxes: int
    precision: float
    judged: int


class Report(msgspec.Struct, kw_only=True):
    model: str
    portraits: list[Portraits]
    crops: list[Portraits]
    labelled: dict[str, dict[str, Row]]
    crowd: list[Crowd]


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Service:
    """host:port of a service without keys and limits. clients: requests at once."""

    address: str
    clients: int

    def look(self, file: bytes, query: str) -> Seen:
        """Raises SystemExit with the answer's own words."""
        connection = http.client.HTTPConnection(self.address, timeout=600)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/octet-stream"}
            connection.request("POST", f"/api/v1/detect?{query}", file, headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        if answer.status != 200:
            raise SystemExit(f"{self.address} answers {answer.status}: {body.get('detail')}")
        return _seen(body)

    def look_at_all(self, files: Sequence[bytes], query: str) -> list[Seen]:
        with ThreadPoolExecutor(self.clients) as pool:
            return list(pool.map(lambda file: self.look(file, query), files))

    def model(self) -> str:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            answer = connection.getresponse()
            health = json.loads(answer.read())
        return f"{health['model']}, {health['precision']}"


def _seen(body: dict[str, Any]) -> Seen:
    faces, how = body["detections"], body["processing"]
    corners = [[face["bbox"][name] for name in ("x1", "y1", "x2", "y2")] for face in faces]
    scores = np.array([face["confidence"] for face in faces], np.float64)
    size = body["image"]["width"], body["image"]["height"]
    return Seen(as_boxes(corners), scores, *size, how["passes"], how["turns"] > 0, how["inference_ms"])


# Measuring


def portraits_in(folder: Path, every: int, judge: Service) -> list[Photograph]:
    """The truth is the judge's box in the upright picture. What shows it no face, or several sure ones, is left out."""
    found = []
    for path in files_of(folder, every):
        seen = judge.look(path.read_bytes(), WAYS["plain"] + "&confidence=0.3")
        if len(seen.boxes) and (seen.scores >= JUDGE_SURE).sum() <= 1:
            found.append(Photograph(path.name, path.read_bytes(), seen.boxes[seen.scores.argmax()][None], seen.boxes))
    return found


def look_at_portraits(service: Service, portraits: list[Photograph], way: str, degrees: Sequence[float]) -> Portraits:
    masked, others, missed = [], [], []
    for turn in degrees:
        shown = [turned_file(one, turn) for one in portraits]
        seen = service.look_at_all([file for file, _, _ in shown], WAYS[way])
        good = [covered(face[0], one.boxes) >= COVERED_MIN for one, (_, face, _) in zip(seen, shown, strict=True)]
        masked.append(sum(good))
        missed += [f"{one.name} at {turn:g}°" for one, well in zip(portraits, good, strict=True) if not well]
        known = [np.concatenate([face, loose]) for _, face, loose in shown]
        others.append(sum(not matched(box, all_) for one, all_ in zip(seen, known, strict=True) for box in one.boxes))
        tell(f"  {way}, turned by {turn:g}°: {masked[-1]} of {len(portraits)} masked")
    return Portraits(
        way=way, portraits=len(portraits), degrees=list(degrees), masked=masked, other_boxes=others, missed=missed
    )


def look_at_labelled(service: Service, photographs: list[Photograph], ways: Sequence[str]) -> dict[str, Tally]:
    tallies = {way: Tally() for way in ways}
    for start in range(0, len(photographs), CHUNK):
        some = photographs[start : start + CHUNK]
        for way in ways:
            begin = time.perf_counter()
            seen = service.look_at_all([one.file for one in some], WAYS[way])
            tallies[way].wall_s += time.perf_counter() - begin
            for one, what in zip(some, seen, strict=True):
                tallies[way].add(what, one.faces, one.loose)
        tell(f"  {start + len(some)} of {len(photographs)} photographs")
    return tallies


def look_at_crowd(service: Service, path: Path, judged: Boxes, way: str, draw: Path | None) -> Crowd:
    seen = service.look(path.read_bytes(), WAYS[way])
    good = [matched(box, judged) for box in seen.boxes]
    if draw is not None:
        picture = decoded(path.read_bytes())
        for box, right in zip(seen.boxes, good, strict=True):
            x1, y1, x2, y2 = box.round().astype(int).tolist()
            cv2.rectangle(picture, (x1, y1), (x2, y2), (0, 220, 0) if right else (0, 0, 255), 1)
        cv2.imwrite(str(draw), picture)
    precision = sum(good) / len(good) if good else 1.0
    return Crowd(way=way, boxes=len(good), precision=round(precision, 3), judged=len(judged))


# Words


def table(report: Report) -> str:
    """Markdown."""
    lines = [f"Model: {report.model}"]
    for title, portraits in (("portraits", report.portraits), ("faces cut out", report.crops)):
        if portraits:
            turns = ", ".join(f"{turn:g}°" for turn in portraits[0].degrees)
            lines += ["", f"| {title} | way | masked at {turns} | other boxes |", "| --- |" + " --- |" * 3]
        for one in portraits:
            masked, others = ", ".join(map(str, one.masked)), ", ".join(map(str, one.other_boxes))
            lines.append(f"| {one.portraits} | {one.way} | {masked} | {others} |")
    if report.labelled:
        names = "set | way | photographs | faces ≥ 16 px | recall | precision | visible after mask | false per 100"
        lines += ["", f"| {names} | looked again | passes | inference ms | answers/s |", "| --- |" + " --- |" * 11]
    for kind, rows in report.labelled.items():
        for way, row in rows.items():
            lines.append(
                f"| {kind} | {way} | {row.photographs} | {row.faces} | {row.recall:.3f} | {row.precision:.3f} "
                f"| {row.visible:.3f} | {row.false_boxes} | {row.looked_again} | {row.passes} | {row.inference_ms} "
                f"| {row.answers_per_s} |"
            )
    if report.crowd:
        lines += ["", "| crowd | boxes | precision | the judge's boxes |", "| --- |" + " --- |" * 3]
    lines += [f"| {one.way} | {one.boxes} | {one.precision} | {one.judged} |" for one in report.crowd]
    return "\n".join(lines)


def run(options: argparse.Namespace, service: Service, judge: Service) -> Report:
    report = Report(model=service.model(), portraits=[], crops=[], labelled={}, crowd=[])
    if options.portraits:
        portraits = portraits_in(options.portraits, options.every, judge)
        report.portraits = [look_at_portraits(service, portraits, way, options.degrees) for way in options.turned_ways]
    if options.labelled:
        photographs = labelled_in(options.labelled, options.every, release=options.release)
        if options.crops:
            cut = [one for photograph in photographs if (one := cut_out(photograph))][: options.crops]
            report.crops = [look_at_portraits(service, cut, way, options.degrees) for way in options.turned_ways]
        for kind in sorted({one.name.split("_")[0] for one in photographs} if options.ways else []):
            tell(f"{kind}:")
            of_kind = [one for one in photographs if one.name.split("_")[0] == kind]
            tallies = look_at_labelled(service, of_kind, options.ways)
            report.labelled[kind] = {way: tally.row() for way, tally in tallies.items()}
    if options.without_people:
        nobody = [
            Photograph(path.name, path.read_bytes(), as_boxes([]), as_boxes([]))
            for path in files_of(options.without_people, options.every)
        ]
        tallies = look_at_labelled(service, nobody, options.ways)
        report.labelled["without people"] = {way: tally.row() for way, tally in tallies.items()}
    if options.crowd:
        judged = judge.look(options.crowd.read_bytes(), JUDGE_WAY).boxes
        report.crowd = [
            look_at_crowd(service, options.crowd, judged, way, options.draw if way == "thorough" else None)
            for way in WAYS
        ]
    return report


# The services


@contextlib.contextmanager
def service_of(model: str, clients: int, folder: Path) -> Iterator[Service]:
    """A service with this model, as a fresh install serves it."""
    models = str(MATERIAL / "models") if (MATERIAL / "models").is_dir() else ""
    settings = Settings(
        model=model, model_dir=models, data_dir="var", api_key_enabled=False, rate_limit_enabled=False,
        request_timeout=300.0, metrics_port=-1,
    )  # fmt: skip
    ensure(settings, tell)
    with ours(settings, folder / f"{Path(model).stem}.log") as server:
        yield Service(f"127.0.0.1:{server.port}", clients)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.looks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--portraits", type=Path, help="a folder of photographs of one face each")
    parser.add_argument("--labelled", type=Path, help="a folder with labels.json")
    parser.add_argument("--without-people", type=Path, help="a folder of photographs of nobody: every box is false")
    parser.add_argument("--crops", type=int, default=0, help="so many of its large faces are cut out and turned")
    parser.add_argument("--crowd", type=Path, help="one photograph of very many")
    parser.add_argument("--draw", type=Path, help="where the crowd's thorough boxes are drawn; red: not the judge's")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), help="to look at labelled photographs")
    parser.add_argument("--degrees", nargs="+", type=float, default=TURNS, help="to turn portraits by, to the left")
    parser.add_argument("--turned-ways", nargs="+", choices=WAYS, default=["plain", "default"])
    parser.add_argument("--release", action="store_true", help="also photographs that are looked at for a release only")
    parser.add_argument("--every", type=int, default=1, help="only one of so many photographs, by a hash of its name")
    parser.add_argument("--address", default="", help="host:port of a running service instead of one of --model")
    parser.add_argument("--model", default="scrfd_500m_open", help="as FACE_API_MODEL")
    parser.add_argument(
        "--judge", default="scrfd_2.5g_bnkps", help="the model that says where portraits' and crowds' faces are"
    )
    parser.add_argument("--clients", type=int, default=2, help="requests at once")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not (options.portraits or options.labelled or options.without_people or options.crowd):
        options.portraits, options.labelled = MATERIAL / "photos", MATERIAL / "everyday"
        options.crowd, options.crops = MATERIAL / "photos" / "crowd_lumia.jpg", 40
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="face-api-looks-") as name, contextlib.ExitStack() as stack:
        judge = Service("", 1)
        if options.portraits or options.crowd:
            judge = stack.enter_context(service_of(options.judge, options.clients, Path(name)))
        service = Service(options.address, options.clients)
        if not options.address:
            service = stack.enter_context(service_of(options.model, options.clients, Path(name)))
        report = run(options, service, judge)
    print(msgspec.json.encode(report).decode() if options.json else table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
