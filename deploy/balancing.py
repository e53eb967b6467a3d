"""`python -m deploy.balancing envoy|haproxy --host 10.0.0.11:8000 --host …`: a balancer's file for these hosts.

`--write` renews the shipped files, which are made for two hosts, and `deploy/hosts.env`, the settings of every host.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import jinja2

from deploy.timings import TimeTable, of_hosts
from shared.settings import MEBIBYTE, Settings

HERE = Path(__file__).resolve().parent
HOSTS_FILE = HERE / "hosts.env"
#: What a balancer holds of a request, to ask another host: what does not fit is lost with its host. Envoy: the largest
#: picture, and 1 MiB for its form. HAProxy pays for every request as if it were so large, so most pictures must do.
HELD_BYTES = {"envoy": Settings().max_image_bytes + MEBIBYTE, "haproxy": MEBIBYTE}
#: What HAProxy says itself, by status.
OWN_ERRORS = {
    400: "this is no HTTP request that it understands",
    408: "the request did not come in time",
    500: "a fault of its own",
    502: "the host broke off; ask again",
    503: "no host takes it now; ask again in a few seconds",
    504: "the host did not answer in time; ask again",
}


class Host(NamedTuple):
    """A host of the service: a name or an address, and the port."""

    address: str
    port: int

    @classmethod
    def of(cls, text: str) -> Self:
        address, colon, port = text.rpartition(":")
        if not (colon and address and port.isdecimal() and 0 < int(port) < 1 << 16):
            raise argparse.ArgumentTypeError(f"{text} is not ADDRESS:PORT")
        return cls(address.strip("[]"), int(port))


SHIPPED_HOSTS = (Host("10.0.0.11", 8000), Host("10.0.0.12", 8000))
COMPOSE_HOSTS = (Host("host1", 8000), Host("host2", 8000))
#: By name: the file that is shipped; its template stands beside it.
SHIPPED = {"envoy": HERE / "envoy" / "envoy.yaml", "haproxy": HERE / "haproxy" / "haproxy.cfg"}


def configuration(
    name: str, hosts: Sequence[Host] = SHIPPED_HOSTS, timings: TimeTable | None = None, held_bytes: int | None = None
) -> str:
    """The text of a balancer's file. name: one of SHIPPED. held_bytes: in place of HELD_BYTES."""
    template = SHIPPED[name].with_suffix(SHIPPED[name].suffix + ".j2")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 — no HTML
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        hosts=hosts, t=timings or TimeTable(), held_bytes=held_bytes or HELD_BYTES[name], own_errors=OWN_ERRORS
    )


def host_settings() -> str:
    """The text of a file for FACE_API_SETTINGS_FILE or `env_file`."""
    lines = [f"{name}={value}" for name, value in of_hosts(TimeTable()).items()]
    return "\n".join(["# What every host behind a balancer must be told; made from deploy/timings.py.", *lines, ""])


def write() -> None:
    for name, path in SHIPPED.items():
        path.write_text(configuration(name), encoding="utf-8")
    (HERE / "compose" / "envoy.yaml").write_text(configuration("envoy", COMPOSE_HOSTS), encoding="utf-8")
    HOSTS_FILE.write_text(host_settings(), encoding="utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.balancing", description=__doc__)
    parser.add_argument("balancer", nargs="?", choices=SHIPPED)
    parser.add_argument("--host", dest="hosts", action="append", type=Host.of, metavar="ADDRESS:PORT")
    parser.add_argument("--held-bytes", type=int, metavar="N", help="of a request; more is lost with its host")
    parser.add_argument("--write", action="store_true", help="renew the shipped files")
    options = parser.parse_args(arguments)
    if options.write:
        write()
    elif options.balancer is None or not options.hosts:
        parser.error("name a balancer and its hosts, or --write")
    else:
        print(configuration(options.balancer, options.hosts, held_bytes=options.held_bytes), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
