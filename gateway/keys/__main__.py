"""`python -m gateway.keys`: make, list, rotate and revoke API keys from the command line.

exit codes   0 done · 1 refused, the reason is on stderr · 2 wrong usage · 75 the store is down · 78 wrong settings
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from gateway.first_start import LINK_PATH
from gateway.keys.announce import announce_blocking
from gateway.keys.audit import Actor
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import rotate_file
from gateway.keys.records import SCOPES, Draft, KeyRecord, parse_duration, parse_scopes
from gateway.keys.shown import Key, ListedKey, made_key, shown
from gateway.keys.store import Made, Store
from gateway.keys.usage import day_of, requests_on
from shared.environment import load
from shared.errors import ConfigurationError, FaceApiError, StoreDown
from shared.exit_codes import CONFIGURATION, FAILED, OK, STORE_DOWN
from shared.settings import Settings

PAGE = 1000


class Command:
    """One call: what it works on and how it speaks."""

    def __init__(self, settings: Settings, options: argparse.Namespace) -> None:
        self.settings, self.options = settings, options
        self.store: Store = open_store(settings)
        self.peppers = peppers_for(settings, self.store)
        self.actor = Actor(f"command line ({_user()})")
        self.now = time.time()

    def say(self, facts: object, words: str) -> None:
        """JSON for scripts, words for people."""
        print(msgspec.json.encode(facts).decode() if self.options.json else words)

    def changed(self) -> None:
        if self.settings.redis_url:
            announce_blocking(self.settings.redis_url)


def create(command: Command) -> None:
    options = command.options
    draft = Draft(
        name=options.name,
        scopes=parse_scopes(options.scope or ["detect", "mask"]),
        expires_in_s=parse_duration(options.expires) if options.expires else None,
        detect_limit=options.detect_limit,
        mask_limit=options.mask_limit,
        records_ttl=parse_duration(options.records_ttl) if options.records_ttl else None,
    )
    _hand_over(command, command.store.create(draft, command.peppers, command.actor, command.now))


def rotate(command: Command) -> None:
    grace = parse_duration(command.options.grace)
    store, peppers = command.store, command.peppers
    _hand_over(command, store.rotate(command.options.id, grace, peppers, command.actor, command.now))


def revoke(command: Command) -> None:
    record = command.store.revoke(command.options.id, command.actor, command.now)
    command.changed()
    command.say(shown(Key, record, command.now), f"{record.id} ({record.name}) is revoked everywhere within 5 seconds")


def list_keys(command: Command) -> None:
    records: list[KeyRecord] = []
    while True:
        page, total = command.store.page(
            command.now, search=command.options.search, state=command.options.state, offset=len(records), count=PAGE
        )
        records += page
        if not page or len(records) >= total:
            break
    today = requests_on(command.store.database, day_of(command.now), [record.id for record in records])
    keys = [shown(ListedKey, r, command.now, requests_today=today.get(r.id, 0)) for r in records]
    command.say(keys, _table(keys))


def rotate_pepper(command: Command) -> None:
    peppers = rotate_file(command.settings, command.store.peppers_in_use(command.now))
    words = (
        "a new pepper hashes from now on; keys move to it as they are used, and the running processes know it "
        f"within {command.settings.key_check_seconds:g} s"
    )
    command.say({"pepper": peppers.current, "known": peppers.names}, words)


def console_link(command: Command) -> None:
    from gateway.people.accounts import Accounts

    link = LINK_PATH + Accounts(command.store.database).new_link(command.now)
    command.say({"path": link}, f"sets the console's password once, within a day: http://HOST:PORT{link}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        return f"uid {os.getuid()}"


def _hand_over(command: Command, made: Made) -> None:
    command.changed()
    facts = made_key(made.record, made.key, command.now)
    ends = facts["expires_at"] or "never"
    words = f"{made.key}\n\nThis is the only time it is shown. id {made.record.id}, expires {ends}."
    command.say(facts, words)


def _table(keys: list[ListedKey]) -> str:
    if not keys:
        return "no keys"
    heads = ("id", "name", "key", "state", "scopes", "limits", "today", "last used", "expires")
    rows = [heads, *map(_row, keys)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(widths[n]) for n, cell in enumerate(row)).rstrip() for row in rows)


def _row(key: ListedKey) -> tuple[str, ...]:
    own = (key.detect_limit, key.mask_limit)
    return (
        key.id,
        key.name if len(key.name) <= 40 else key.name[:39] + "…",
        key.hint + "…",
        key.state,
        ",".join(key.scopes),
        "/".join(str(limit or "-") for limit in own) if any(own) else "by address",
        str(key.requests_today),
        key.last_used_at or "never",
        key.expires_at or "never",
    )


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="python -m gateway.keys", description="API keys of this service")
    commands = top.add_subparsers(required=True, metavar="create | list | revoke | rotate | …")

    def add(name: str, run: Callable[[Command], None], meaning: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=meaning, description=meaning)
        made.add_argument("--json", action="store_true", help="answer with JSON, for scripts")
        made.set_defaults(run=run)
        return made

    new = add("create", create, "make a key; it is shown once")
    new.add_argument("--name", required=True, help="what it is for")
    new.add_argument("--scope", action="append", choices=SCOPES, help="may be repeated; detect and mask if none")
    new.add_argument("--expires", metavar="90d", help="90d, 24h, 30m; never if absent")
    new.add_argument(
        "--detect-limit", type=int, metavar="N", help="its own detect requests a window, not the address's"
    )
    new.add_argument("--mask-limit", type=int, metavar="N", help="its own mask requests a window, not the address's")
    new.add_argument("--records-ttl", metavar="6h", help="keep what its requests leave no longer than this")
    show = add("list", list_keys, "show the keys, never themselves")
    show.add_argument("--search", default="", help="a part of name, id or beginning")
    show.add_argument("--state", choices=("active", "expired", "revoked"))
    end = add("revoke", revoke, "end a key everywhere within 5 seconds")
    end.add_argument("id", help="its id, or how it begins (xyl_a1b2c3)")
    turn = add("rotate", rotate, "make a successor; the old key works on for the grace")
    turn.add_argument("id", help="its id, or how it begins (xyl_a1b2c3)")
    turn.add_argument(
        "--grace", default="24h", metavar="24h", help="how long the old one still works; 0s for not at all"
    )
    add("rotate-pepper", rotate_pepper, "hash with a new pepper; every key keeps working")
    add("console-link", console_link, "make a one-time link that sets the console's password")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        settings, warnings = load()
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        options.run(Command(settings, options))
    except ConfigurationError as error:
        print(f"wrong settings:\n{error}", file=sys.stderr)
        return CONFIGURATION
    except StoreDown as error:
        print(error, file=sys.stderr)
        return STORE_DOWN
    except FaceApiError as error:
        print(error, file=sys.stderr)
        return FAILED
    return OK


if __name__ == "__main__":
    sys.exit(main())
