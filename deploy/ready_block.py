"""The one block printed when the service is ready: where it is, what it serves, and a request that works."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from shlex import quote

import msgspec

from gateway.first_start import FirstKey
from shared.settings import Settings

ASK_INTERVAL_S = 0.2
ASK_TIMEOUT_S = 5.0
#: A drawn picture of ours: the printed line works before anybody has looked for one. `/try` offers it, too.
SAMPLE = Path(__file__).resolve().parents[1] / "gateway" / "docs" / "assets" / "pages" / "sample.jpg"
#: So long the block waits, from the first worker on, for the others: mostly they come up together.
OTHERS_S_MAX = 5.0


class Health(msgspec.Struct):
    """What the block tells of what /health answers when the service is ready."""

    workers: int
    max_batch: int
    model_note: str
    decode_sandbox: str = ""
    decode_sandbox_note: str = ""
    model: str | None = None
    precision: str | None = None
    provider: str | None = None
    license: str | None = None


async def announce(
    effective: Settings, address: str, port: int, first: FirstKey, metrics_url: str, expected: Callable[[], int]
) -> None:
    """Waits until the service answers that it is ready, then prints the block.

    expected: how many workers there will be; 0 while that is not known.
    """
    loopback = "127.0.0.1" if address in ("0.0.0.0", "::") else address  # noqa: S104 — compared, not bound
    ready_since: float | None = None
    while True:
        status, body = await asyncio.to_thread(_health, loopback, port)
        now = asyncio.get_running_loop().time()
        if status == 200:
            ready_since = now if ready_since is None else ready_since
            health = msgspec.json.decode(body, type=Health)
            if health.workers and (health.workers >= expected() or now - ready_since >= OTHERS_S_MAX):
                print(block(effective, address, port, health, expected(), first, metrics_url), flush=True)
                return
        await asyncio.sleep(ASK_INTERVAL_S)


def block(
    effective: Settings, address: str, port: int, health: Health, expected: int, first: FirstKey, metrics_url: str
) -> str:
    """The text, from what /health says and what the first start made."""
    shown = f"[{address}]" if ":" in address else address
    url = f"http://{shown}:{port}"
    side = effective.input_side
    lines = [
        "",
        f"face-api is ready at {url}",
        f"  model      {health.model}, {health.precision} on {health.provider}, input {side}×{side}",
        f"  processes  {_counted(health.workers, expected)} (batch up to {health.max_batch})",
        f"  licence    {health.license}",
    ]
    if health.model_note:
        lines.append(f"  note       {health.model_note}")
    if health.decode_sandbox:
        lines.append(f"  sandbox    {health.decode_sandbox}, around the processes that decode pictures")
    if health.decode_sandbox_note:
        lines.append(f"             {health.decode_sandbox_note}")
    lines.append(f"  look       {url}/try{f'#key={first.plaintext}' if first.plaintext else ''}")
    if effective.console_enabled:
        lines.append(f"  console    {url}{first.admin_link or '/console'}")
    if metrics_url:
        lines.append(f"  metrics    {metrics_url}")
    lines += _try_it(effective, first, url)
    return "\n".join([*lines, "  stop it    Ctrl-C", ""])


def _counted(workers: int, expected: int) -> str:
    """`2 workers`, or `1 of 2 workers so far`: what serves is never told as more or less than it is."""
    if workers < expected:
        return f"{workers} of {expected} workers so far"
    return f"{workers} worker{'' if workers == 1 else 's'}"


def _try_it(effective: Settings, first: FirstKey, url: str) -> list[str]:
    """A line that works as it stands; where no key is known in clear, how to make one stands before it."""
    if not effective.api_key_enabled:
        return [f"  try it     curl {_request(url)}"]
    file = first.path or first.kept
    key = first.plaintext or (f"$(cat {quote(file)})" if file else "$KEY")
    line = f'  try it     curl -H "X-API-Key: {key}" {_request(url)}'
    return [line] if key != "$KEY" else [*_make_a_key(), line]


def _request(url: str) -> str:
    return f"-F image=@{quote(str(SAMPLE))} {url}/api/v1/detect"


def _make_a_key() -> list[str]:
    here, python = quote(str(Path.cwd())), quote(sys.executable)
    return [
        f"  a key      KEY=$(cd {here} && {python} -m gateway.keys create --name mine | sed -n 1p)",
        "             with the FACE_API_ settings that this service was started with, if any",
    ]


def _health(host: str, port: int) -> tuple[int, bytes]:
    connection = HTTPConnection(host, port, timeout=ASK_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()
