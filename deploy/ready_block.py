"""The one block printed when the service is ready: where it is, what it serves, and a request that works."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException

import msgspec

from gateway.access.first_start import FirstKey
from shared.settings import Settings

ASK_INTERVAL_S = 0.2
ASK_TIMEOUT_S = 5.0


async def announce(effective: Settings, address: str, port: int, first: FirstKey) -> None:
    """Waits until the service answers that it is ready, then prints the block."""
    loopback = "127.0.0.1" if address in ("0.0.0.0", "::") else address  # noqa: S104 — compared, not bound
    while True:
        status, body = await asyncio.to_thread(_health, loopback, port)
        if status == 200:
            print(block(effective, address, port, msgspec.json.decode(body), first), flush=True)
            return
        await asyncio.sleep(ASK_INTERVAL_S)


def block(effective: Settings, address: str, port: int, health: dict[str, object], first: FirstKey) -> str:
    """The text, from what /health says and what the first start made."""
    shown = f"[{address}]" if ":" in address else address
    url = f"http://{shown}:{port}"
    side = effective.input_side
    lines = [
        "",
        f"face-api is ready at {url}",
        f"  model      {health['model']}, {health['precision']} on {health['provider']}, input {side}×{side}",
        f"  processes  {health['workers']} workers (batch up to {health['max_batch']})",
        f"  licence    {health['license']}",
    ]
    if health["model_note"]:
        lines.append(f"  note       {health['model_note']}")
    if effective.console_enabled:
        lines.append(f"  console    {url}{first.admin_link or '/console'}")
    lines += [f"  try it     curl {_key_option(effective, first)}-F image=@photo.jpg {url}/api/v1/detect"]
    return "\n".join([*lines, "  stop it    Ctrl-C", ""])


def _key_option(effective: Settings, first: FirstKey) -> str:
    """What curl needs to be let in; later starts know no key in clear."""
    if not effective.api_key_enabled:
        return ""
    known = first.plaintext or (f"$(cat {first.path})" if first.path else "$KEY")
    return f'-H "X-API-Key: {known}" '


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
