"""`make bench`: the service against the limit of the machine and against other servers, in one interleaved run."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from loadtest import pictures, report
from loadtest.batches import METRICS_TOKEN
from loadtest.limit import TRIMMED, WHOLE, Limit
from loadtest.measure import Measured, Shot, measure_limit, measure_server
from loadtest.pictures import Kind
from loadtest.servers import PEERS, ROOT, Server, ours, peer
from models.ensure import ensure
from shared.processes import usable_cores
from shared.settings import Settings

MATERIAL = ROOT.parent / "shared"


@dataclass(slots=True)
class Bench:
    """Everything that runs, and what was measured so far, by kind of picture. whole: of kinds that ran to their end."""

    limit: Limit
    service: Server
    peers: list[Server]
    folder: Path
    photos: Path | None
    seconds: float
    rounds: int
    clients: tuple[int, ...]
    mask: bool
    results: dict[str, list[Measured]] = field(default_factory=dict)
    whole: dict[str, list[Measured]] = field(default_factory=dict)

    def run(self, kind: Kind) -> None:
        """One kind of picture: rounds of everything in turn, then the peers' own loads side by side."""
        place = self.folder / kind.name
        pictures.make(kind, place, self.photos)
        faces = self.limit.load(place)
        tell(f"{kind.name}: faces in its files {faces[TRIMMED]}, whole {faces[WHOLE]}")
        shot = Shot(folder=place, faces=faces[TRIMMED], seconds=self.seconds)
        for number in range(self.rounds):
            self._round(kind, shot, faces[WHOLE], number)
        self._open_loops(kind, shot, faces[WHOLE])
        self.whole[kind.name] = self.results[kind.name]

    def _round(self, kind: Kind, shot: Shot, whole: list[int], number: int) -> None:
        """whole: how many faces the peers find."""
        most = max(self.clients)
        self._note(kind, number, measure_limit(self.limit, self.seconds))
        self._note(kind, number, measure_server(self.service, msgspec.structs.replace(shot, clients=most)))
        for server in self.peers:
            self._note(kind, number, measure_server(server, msgspec.structs.replace(shot, clients=most, faces=whole)))
        self._note(kind, number, measure_limit(self.limit, self.seconds))
        self._note(kind, number, measure_limit(self.limit, self.seconds / 2, form=WHOLE))
        raw = msgspec.structs.replace(shot, clients=most, body="raw")
        self._note(kind, number, measure_server(self.service, raw))
        for clients in self.clients:
            if clients != most:
                self._note(kind, number, measure_server(self.service, msgspec.structs.replace(shot, clients=clients)))
        self._note(kind, number, measure_limit(self.limit, self.seconds / 2, processes=1))
        if self.mask:
            masking = msgspec.structs.replace(shot, clients=most, target="/api/v1/mask", faces=[])
            self._note(kind, number, measure_server(self.service, masking))

    def _open_loops(self, kind: Kind, shot: Shot, whole: list[int]) -> None:
        """Both at 0.8 of what the peer reached itself, other arrivals every round; and the service over its range."""
        rates = {server.name: 0.8 * self._best_rate(kind, server.name) for server in self.peers}
        for number in range(self.rounds):
            for server in self.peers:
                offered = msgspec.structs.replace(shot, rate=rates[server.name], seed=number)
                self._note(kind, number, measure_server(self.service, offered))
                self._note(kind, number, measure_server(server, msgspec.structs.replace(offered, faces=whole)))
        best = self._best_rate(kind, self.service.name)
        for share in (0.3, 0.6, 0.8, 0.9):
            self._note(kind, 0, measure_server(self.service, msgspec.structs.replace(shot, rate=share * best)))

    def _best_rate(self, kind: Kind, contestant: str) -> float:
        return max(one.rate for one in self.results[kind.name] if one.contestant == contestant and not one.offered)

    def _note(self, kind: Kind, number: int, measured: Measured) -> None:
        self.results.setdefault(kind.name, []).append(msgspec.structs.replace(measured, round=number))
        tell(
            f"  {kind.name} {number + 1}/{self.rounds}  {measured.contestant:<9} {measured.load:<12}"
            f" {measured.rate:7.1f}/s  {measured.cpu_ms:7.2f} ms CPU  others {measured.others:4.2f}"
            + (f"  FAILED {measured.failed}" if measured.failed else "")
            + (f"  WRONG {measured.wrong}" if measured.wrong else "")
        )


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def settings_of(options: argparse.Namespace) -> Settings:
    """What every contestant serves with: no keys or limits, the chosen model at one look; all else as users get it."""
    official = MATERIAL / "models"
    folder = options.model_dir or (str(official) if official.is_dir() else "")
    return Settings(
        api_key_enabled=False,
        rate_limit_enabled=False,
        model=options.model or ("scrfd_500m_kps" if folder else "auto"),
        model_dir=folder,
        precision=options.precision,
        detect_closer="false",
        workers=options.workers,
        data_dir=options.data_dir,
        request_timeout=60.0,
        metrics_port=-1,
        metrics_token=METRICS_TOKEN,
    )


def main(arguments: list[str]) -> int:
    """0 when every answer was right."""
    from loadtest.plots import draw  # wanting matplotlib is told before the run; who imports this module needs none

    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # servers are ended on the way out
    settings = settings_of(options)
    model = ensure(settings, tell)
    workers = settings.workers or usable_cores()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="face-api-bench-")))
        limit = Limit(model.path, workers, 1)
        stack.callback(limit.close)
        service = stack.enter_context(ours(settings, folder / "face-api.log"))
        peers = [
            stack.enter_context(peer(name, settings, model.path, workers, folder / f"{name}.log"))
            for name in options.peers
        ]
        photos = MATERIAL / "photos"
        bench = Bench(
            limit, service, peers, folder, photos if photos.is_dir() else None, options.seconds, options.rounds,
            tuple(options.clients), options.mask,
        )  # fmt: skip
        try:
            for kind in options.kinds:
                bench.run(kind)
        finally:  # broken off, too
            if bench.whole:
                _publish(bench.whole, options.out, draw)
    return int(any(one.failed or one.wrong for rows in bench.whole.values() for one in rows))


def _publish(results: report.Results, folder: Path, draw: Callable[[report.Results, Path, str], list[Path]]) -> None:
    """The table on standard output; figures and plots as files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"bench-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_bytes(msgspec.json.encode(results))
    print(f"{report.table(results)}\n\n{report.summary(results)}")
    tell("\n".join(f"written: {one}" for one in [path, *draw(results, folder, path.stem)]))


def _kind(text: str) -> Kind:
    size, _, faces = text.partition("-")
    if size not in pictures.SIZES or faces not in pictures.FACES:
        raise argparse.ArgumentTypeError(f"{text} is not SIZE-FACES of {list(pictures.SIZES)}, {list(pictures.FACES)}")
    return Kind(size, faces)


def parser() -> argparse.ArgumentParser:
    """The command line of the bench."""
    made = argparse.ArgumentParser(prog="python -m loadtest.bench", description=__doc__)
    made.add_argument("--model", default="", help="as FACE_API_MODEL; empty is scrfd_500m_kps where models are at hand")
    made.add_argument("--model-dir", default="", help="as FACE_API_MODEL_DIR")
    made.add_argument("--precision", default="fp32", help="as FACE_API_PRECISION")
    made.add_argument("--data-dir", default="var", help="where prepared models are cached")
    made.add_argument("--workers", type=int, default=0, help="worker processes of every contestant; 0 is one per core")
    made.add_argument("--kinds", type=_kind, nargs="*", default=pictures.core_kinds(), help="SIZE-FACES …")
    made.add_argument("--clients", type=int, nargs="*", default=[1, 8, 32])
    made.add_argument("--mask", action="store_true", help="measure mask too")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    made.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    made.add_argument("--out", type=Path, default=Path("var/bench"))
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
