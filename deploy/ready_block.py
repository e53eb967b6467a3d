"""The one block printed when the service is ready: where it is, what it serves, and a request that works."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException

import msgspec

from shared.settings import Settings

ASK_INTERVAL_S = 0.2
ASK_TIMEOUT_S = 5.0


async def announce(effective: Settings, address: str, port: int) -> None:
    """Waits until the service answers that it is ready, then prints the block."""
    loopback = "127.0.0.1" if address in ("0.0.0.0", "::") else address  # noqa: S104 — compared, not bound
    while True:
        status, body = await asyncio.to_thread(_health, loopback, port)
        if status == 200:
            print(block(effective, address, port, msgspec.json.decode(body)), flush=True)
            return
        await asyncio.sleep(ASK_INTERVAL_S)


def block(effective: Settings, address: str, port: int, health: dict[str, object]) -> str:
    """The text, from what /health says."""
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
    lines += ["  try it     curl -F image=@photo.jpg " + url + "/api/v1/detect", "  stop it    Ctrl-C", ""]
    return "\n".join(lines)


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
