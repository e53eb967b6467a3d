"""How often a password may be tried, per account and network. Pure: `now` is an argument.

A network waits twice as long after each wrong try; an account that is guessed at from everywhere is closed to
networks that never signed in, and stays open to those that did: guessing must not lock the owner out. Nor must a
clock that was set back (a machine that starts without a battery): what it says of the future counts for nothing.
"""

from __future__ import annotations

import msgspec

FIRST_WAIT_S = 1.0
WAIT_S_MAX = 900.0
FORGIVEN_AFTER_S = 86_400.0
EVERYWHERE = "*"
EVERYWHERE_WINDOW_S = 3600.0
EVERYWHERE_MAX = 50
TRUSTED_FOR_S = 30 * 86_400.0


class Attempts(msgspec.Struct, frozen=True):
    """Wrong tries of one account from one network (or from EVERYWHERE) since `since`."""

    failures: int = 0
    since: float = 0.0
    retry_at: float = 0.0
    trusted_until: float = 0.0


def wait_s(mine: Attempts, everywhere: Attempts, now: float) -> float:
    """Seconds before the next try may be looked at; 0 for now."""
    if now < mine.retry_at <= now + WAIT_S_MAX:
        return mine.retry_at - now
    guessed_at = everywhere.failures >= EVERYWHERE_MAX and _is_within(everywhere.since, EVERYWHERE_WINDOW_S, now)
    if guessed_at and mine.trusted_until <= now:
        return everywhere.since + EVERYWHERE_WINDOW_S - now
    return 0.0


def after_failure(mine: Attempts, now: float) -> Attempts:
    """Counts one more wrong try of this network."""
    fresh = not _is_within(mine.since, FORGIVEN_AFTER_S, now)
    failures = 1 if fresh else mine.failures + 1
    delay = min(WAIT_S_MAX, FIRST_WAIT_S * 2.0 ** min(failures - 1, 30))
    return Attempts(failures, now if fresh else mine.since, now + delay, mine.trusted_until)


def everywhere_after_failure(everywhere: Attempts, now: float) -> Attempts:
    """Counts one more wrong try from anywhere."""
    if not _is_within(everywhere.since, EVERYWHERE_WINDOW_S, now):
        return Attempts(failures=1, since=now)
    return msgspec.structs.replace(everywhere, failures=everywhere.failures + 1)


def after_success(now: float) -> Attempts:
    """This network knows the password."""
    return Attempts(trusted_until=now + TRUSTED_FOR_S)


def _is_within(since: float, window_s: float, now: float) -> bool:
    return since <= now < since + window_s
