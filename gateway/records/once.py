"""A request that is to be done once, however often it is sent: what names it, and what of its answer is kept. Pure.

Its caller names it by an Idempotency-Key, which counts for one API key. Only a digest of both is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Once(NamedTuple):
    """name: digest of API key and Idempotency-Key. fingerprint: of what was asked, the picture and the parameters.

    holder: of whoever does it now; another can take it over when its time is up. job_id: of the job that its first time
    has left, whose answer cannot be given again: it is made again, and nothing more is kept. sha256_in: of the picture.
    """

    name: str
    fingerprint: str
    holder: str
    sha256_in: str
    job_id: str = ""


class Before(NamedTuple):
    """What is known of it. job_id, answer: None while it is done for the first time."""

    fingerprint: str
    job_id: str | None
    answer: str | None


class KeptAnswer(msgspec.Struct, frozen=True):
    """headers: those that say something of the answer. body: as it was, None where it is the job's picture or too long
    to be kept. image_id: that it names.
    """

    headers: list[tuple[str, str]]
    body: str | None
    image_id: str | None = None


class Fulfilment(NamedTuple):
    """To be committed with its job: it is done. answer: a KeptAnswer as JSON."""

    once: Once
    answer: str
