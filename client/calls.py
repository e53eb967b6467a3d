"""`Client` and `AsyncClient`: detect, mask and health, patiently."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from client import exchange
from client.answers import Detections, Health, Masked
from client.errors import Busy, ClientError, Unreachable
from client.exchange import Parameter, Picture
from client.patience import Patience
from client.place import place

Answer = TypeVar("Answer", Detections, Masked, Health)
#: Seconds of one try: to connect, and between two pieces of an answer. The service itself answers sooner.
CONNECT_S, SILENCE_S = 10, 120


def _timeout(deadline: float) -> httpx2.Timeout:
    """Of one try; a short deadline holds for it, too."""
    return httpx2.Timeout(min(SILENCE_S, max(CONNECT_S, deadline)), connect=CONNECT_S)


def _unreachable(url: str, error: httpx2.TransportError) -> Unreachable:
    return Unreachable(f"{url} cannot be reached ({error or type(error).__name__}); is the service running there?")


class Client:
    """Calls that wait for their answer. url, key: else FACE_API_URL and FACE_API_KEY of the environment.

    deadline: seconds a call may take with all its tries; a service that is busy, starting or gone is tried again
    until then. All calls raise ClientError: Refused, KeyRefused, Busy, Unreachable. Close it, or use it in `with`.
    """

    def __init__(self, url: str | None = None, key: str | None = None, *, deadline: float = 60) -> None:
        self.url, headers = place(url, key)
        self.deadline = deadline
        self._http = httpx2.Client(base_url=self.url, headers=headers, timeout=_timeout(deadline))

    def detect(self, picture: Picture, **parameters: Parameter | None) -> Detections:
        """The faces of a picture. parameters: those of the API, `confidence=0.6` for instance."""
        return self._ask(lambda: self._post("detect", picture, parameters), exchange.detections)

    def mask(self, picture: Picture, **parameters: Parameter | None) -> Masked:
        """The picture with its faces masked. parameters: those of the API, `method="solid"` for instance."""
        return self._ask(lambda: self._post("mask", picture, parameters), exchange.masked)

    def health(self) -> Health:
        """Whether the service is ready, and with what."""
        return self._ask(lambda: self._http.get("/health"), exchange.health)

    def close(self) -> None:
        """Ends its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, endpoint: str, picture: Picture, parameters: dict[str, Parameter | None]) -> httpx2.Response:
        with exchange.as_part(picture) as files:
            return self._http.post(f"/api/v1/{endpoint}", params=exchange.as_query(parameters), files=files)

    def _ask(self, send: Callable[[], httpx2.Response], read: Callable[[httpx2.Response], Answer]) -> Answer:
        patience = Patience(self.deadline)
        while True:
            try:
                return read(send())
            except httpx2.TransportError as error:
                failure: ClientError = _unreachable(self.url, error)
            except ClientError as error:
                failure = error
            time.sleep(patience.pause(failure))


class AsyncClient:
    """The same calls as `Client`, to be awaited; as many at once as you like, on up to `connections` connections.

    waited: called with the seconds and the reason before each pause.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        deadline: float = 60,
        connections: int = 16,
        waited: Callable[[float, ClientError], None] = lambda _seconds, _why: None,
    ) -> None:
        self.url, headers = place(url, key)
        self.deadline = deadline
        self._waited = waited
        self._asked_to_wait_until = 0.0
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._http = httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=_timeout(deadline), limits=limits)

    async def detect(self, picture: Picture, **parameters: Parameter | None) -> Detections:
        """The faces of a picture. parameters: those of the API."""
        return await self._ask("detect", picture, parameters, exchange.detections)

    async def mask(self, picture: Picture, **parameters: Parameter | None) -> Masked:
        """The picture with its faces masked. parameters: those of the API."""
        return await self._ask("mask", picture, parameters, exchange.masked)

    async def close(self) -> None:
        """Ends its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(
        self,
        endpoint: str,
        picture: Picture,
        parameters: dict[str, Parameter | None],
        read: Callable[[httpx2.Response], Answer],
    ) -> Answer:
        patience = Patience(self.deadline)
        query = exchange.as_query(parameters)
        while True:
            await self._asked_to_wait()
            try:
                with exchange.as_part(picture) as files:
                    return read(await self._http.post(f"/api/v1/{endpoint}", params=query, files=files))
            except httpx2.TransportError as error:
                failure: ClientError = _unreachable(self.url, error)
            except ClientError as error:
                failure = error
            pause = patience.pause(failure)
            self._waited(pause, failure)
            if isinstance(failure, Busy) and failure.retry_after is not None:
                self._asked_to_wait_until = max(self._asked_to_wait_until, time.monotonic() + failure.retry_after)
            await asyncio.sleep(pause)

    async def _asked_to_wait(self) -> None:
        """What one call was asked holds for all: none is sent before."""
        await asyncio.sleep(max(0, self._asked_to_wait_until - time.monotonic()))
