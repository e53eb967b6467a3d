"""What the planner says of one host and of two, beside what they were measured to do, and what it plans by it.

Workers are stubs of a fixed time: hosts that share this machine's cores can then answer as many as hosts that do not.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import msgspec
import numpy as np

from loadtest.plan import told
from loadtest.planning import recorder, sizing
from loadtest.planning.check import gaps
from loadtest.planning.model import Shape
from loadtest.planning.recording import Recording
from loadtest.planning.sizing import Wish
from loadtest.servers import DETECT
from tests.chaos.gallery import gallery
from tests.cluster import servers
from tests.cluster.balancers import PORT, Envoy
from tests.cluster.hosts import BALANCER, open_hosts
from tests.cluster.seen import Seen, seen
from tests.service import ROOT

STUB_MS, WORKERS, CLIENTS, SECONDS = 300, 2, 32, 40.0
#: A worker is busy with time alone, as one that waits for a card is.
SHAPE = Shape(cores=2, decoders=1, workers=WORKERS, card=True)
MORE: dict[str, object] = {"workers": WORKERS, "metrics_port": servers.METRICS_PORT, "request_timeout": 20}
WISH = Wish(rate=100.0, p99_s=1.5)
FOLDER = ROOT / "var" / "rehearsal"


def recorded(count: int) -> Recording:
    """Of so many hosts; two are behind Envoy."""
    with open_hosts(count, STUB_MS, MORE) as hosts, tempfile.TemporaryDirectory(prefix="fa-planned-") as text:
        folder, (address, port) = Path(text), hosts[0].address
        for number, known in enumerate(gallery(8)):
            pixels = cv2.imdecode(np.frombuffer(known.file, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            cv2.imwrite(str(folder / f"{number}.jpg"), pixels)
        metrics = [f"http://{host.address.address}:{servers.METRICS_PORT}/metrics" for host in hosts]
        asked = recorder.Asked(host=address, port=port, metrics=metrics, folder=folder, target=DETECT)
        if count == 1:
            return recorder.record(asked, 1, SHAPE, SECONDS, CLIENTS)
        balanced = msgspec.structs.replace(asked, host=BALANCER, port=PORT)
        with Envoy().running([host.address for host in hosts], folder):
            return recorder.record(balanced, count, SHAPE, SECONDS, CLIENTS)


def rehearse_plan() -> list[Seen]:
    """To be asked for once, on a wire that lies. The recordings stay."""
    recordings = [recorded(count) for count in (1, 2)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for one in recordings:
        (FOLDER / f"planned-{one.hosts}.json").write_bytes(msgspec.json.encode(one))
    found = []
    for gap in gaps(recordings):
        figures = f"{gap.measured:.4g}, model {gap.model:.4g}, {gap.off:+.1%}"
        wanted = figures if gap.is_small else f"within {gap.allowed:.0%}"
        found.append(seen("planner", gap.what, wanted, figures))
    print(*told(sizing.planned(recordings[0], WISH)), sep="\n", flush=True)
    return found
