"""One structured line per event, as JSON or text, on standard error. This file alone knows structlog.

Nothing secret or personal is ever put into an event: no key, no file name, no picture, no query string.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.settings import Settings

Log = structlog.typing.FilteringBoundLogger


def open_log(settings: Settings, part: str, stream: TextIO = sys.stderr) -> Log:
    """The log of one process; `part` says which (gateway, pool, …). Takes over what libraries log, too."""
    as_text = format_of(settings, stream) == "text"
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    log: Log = structlog.wrap_logger(
        structlog.WriteLogger(stream),  # a line and its end in one write: processes share the stream
        processors=[_complete, _as_text if as_text else _as_json],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind(part=part)
    _take_over_libraries(log, level)
    return log


def format_of(settings: Settings, stream: TextIO = sys.stderr) -> Literal["json", "text"]:
    """What `auto` means here. A process decides it for its children, too: their stream is a pipe."""
    if settings.log_format == "auto":
        return "text" if stream.isatty() else "json"
    return settings.log_format


class _Line(msgspec.Struct):
    """What every JSON line of ours has."""

    timestamp: str
    level: str
    part: str
    event: str
    why: str = ""


def words_of(line: bytes, part: str, *, as_text: bool) -> str | None:
    """Event and reason of a line that this part logged; None when the line is none of its log."""
    if as_text:
        text = line.decode(errors="replace").rstrip()
        return text.removeprefix(f"{part}: ") if text.startswith(f"{part}: ") else None
    try:
        logged = msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if logged.part != part:
        return None
    return f"{logged.event}: {logged.why}" if logged.why else logged.event


def _complete(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """With what every line has; an error that was caught is told only where there is one."""
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    event["level"] = "error" if method == "exception" else method
    return structlog.processors.format_exc_info(logger, method, event) if "exc_info" in event else event


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "part", "event") if name in event}
    return msgspec.json.encode({**first, **event}, enc_hook=str).decode()


def _as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`part: event: why  name=value …`; what is long comes last, on lines of its own."""
    trace, why = event.pop("exception", ""), event.pop("why", "")
    words, part = event.pop("event"), event.pop("part", "face-api")
    for name in ("timestamp", "level"):
        event.pop(name, None)
    facts = "".join(f"  {name}={value}" for name, value in event.items())
    return f"{part}: {words}" + (f": {why}" if why else "") + facts + (f"\n{trace}" if trace else "")


class _Forwarded(logging.Handler):
    """What uvicorn, gunicorn and our own access part log through the standard library."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        tell: Callable[..., Any] = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        tell(record.getMessage(), source=record.name, exc_info=record.exc_info)


def _take_over_libraries(log: Log, level: int) -> None:
    handler = _Forwarded(log)
    handler.setLevel(max(level, logging.WARNING))
    logging.getLogger().handlers = [handler]
    for name in ("uvicorn.error", "gunicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
