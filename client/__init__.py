"""A client of face-api: `Client`, `AsyncClient`, and `python -m client` for folders. Needs httpx2 and rich alone."""

from client.answers import Box, Detections, Face, Health, Landmarks, Masked, Point
from client.calls import AsyncClient, Client
from client.errors import AnsweredError, Busy, ClientError, KeyRefused, Refused, Unreachable

__all__ = [
    "AnsweredError",
    "AsyncClient",
    "Box",
    "Busy",
    "Client",
    "ClientError",
    "Detections",
    "Face",
    "Health",
    "KeyRefused",
    "Landmarks",
    "Masked",
    "Point",
    "Refused",
    "Unreachable",
]
