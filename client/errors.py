"""What can go wrong, by what a caller can do about it. The words are the service's own."""

from __future__ import annotations


class ClientError(Exception):
    """Any failure of a call. Its text says what to do."""


class Unreachable(ClientError):
    """Nobody answered at the address, or the connection broke, until the time was up."""


class AnsweredError(ClientError):
    """Anything but 200. status: of HTTP. request_id: finds it in the service's log, empty when another answered."""

    def __init__(self, status: int, detail: str, request_id: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.request_id = request_id


class Refused(AnsweredError):
    """What trying again would not change: the picture, a parameter, the address."""


class KeyRefused(Refused):
    """401 or 403: every other call with this key would be refused, too."""


class Busy(AnsweredError):
    """429, 502, 503 or 504, still so when the time was up. retry_after: seconds it was asked to wait, or None."""

    def __init__(self, status: int, detail: str, request_id: str = "", retry_after: float | None = None) -> None:
        super().__init__(status, detail, request_id)
        self.retry_after = retry_after
