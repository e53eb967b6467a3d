"""Console accounts: passwords, links, throttling, sessions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from gateway.people import throttle
from gateway.people.accounts import LINK_LIFE_S, Accounts
from gateway.people.sessions import PER_ACCOUNT_MAX, Sessions
from gateway.people.throttle import EVERYWHERE_MAX, Attempts
from shared.errors import BadParameter, ClientError, Forbidden, RateLimited, Unauthorized
from tests.unit.access.stores import ME, NOW, audit_of, made_store, settings_in

PASSWORD = "correct horse battery"


def quick(folder: Path) -> Accounts:
    """Accounts with a cheap hash: the tests are about the rules, not about argon2."""
    store, _ = made_store(folder)
    return Accounts(store.database, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def with_password(folder: Path) -> Accounts:
    accounts = quick(folder)
    accounts.use_link(accounts.new_link(NOW), PASSWORD, ME, NOW)
    return accounts


def test_there_is_no_default_password(tmp_path: Path) -> None:
    accounts = quick(tmp_path)
    assert accounts.find() is None
    for n, guess in enumerate(("", "admin", "password", "changeme")):
        with pytest.raises(Unauthorized):
            accounts.sign_in("admin", guess, f"net {n}", ME, NOW)


def test_a_link_sets_the_password_once(tmp_path: Path) -> None:
    accounts = quick(tmp_path)
    token = accounts.new_link(NOW)
    assert accounts.link_works(token, NOW)
    accounts.use_link(token, PASSWORD, ME, NOW)
    assert not accounts.link_works(token, NOW)
    with pytest.raises(Forbidden, match="used or is too old"):
        accounts.use_link(token, "another password", ME, NOW)
    assert accounts.sign_in("admin", PASSWORD, "net", ME, NOW) == "admin"


def test_looking_at_a_link_does_not_use_it_up(tmp_path: Path) -> None:
    accounts = quick(tmp_path)
    token = accounts.new_link(NOW)
    assert all(accounts.link_works(token, NOW) for _ in range(5))
    accounts.use_link(token, PASSWORD, ME, NOW)


def test_a_link_ends_after_a_day_or_with_the_next_one(tmp_path: Path) -> None:
    accounts = quick(tmp_path)
    old = accounts.new_link(NOW)
    assert accounts.link_works(old, NOW + LINK_LIFE_S - 1)
    assert not accounts.link_works(old, NOW + LINK_LIFE_S)
    new = accounts.new_link(NOW)
    assert not accounts.link_works(old, NOW)
    assert accounts.link_works(new, NOW)


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 1001])
def test_a_password_too_short_or_too_long_is_refused_and_the_link_stays(tmp_path: Path, password: str) -> None:
    accounts = quick(tmp_path)
    token = accounts.new_link(NOW)
    with pytest.raises(BadParameter, match="12 to 1000"):
        accounts.use_link(token, password, ME, NOW)
    accounts.use_link(token, "x" * 12, ME, NOW)


def test_an_unknown_account_is_refused_like_a_wrong_password(tmp_path: Path) -> None:
    accounts = with_password(tmp_path)
    words = set()
    for n, (name, password) in enumerate((("admin", "wrong"), ("nobody", PASSWORD), ("", ""), ("x" * 10_000, "y"))):
        with pytest.raises(Unauthorized) as refusal:
            accounts.sign_in(name, password, f"net {n}", ME, NOW)
        words.add(str(refusal.value))
    assert words == {"Wrong name or password"}


def test_of_a_hundred_wrong_tries_few_are_looked_at_and_another_network_still_gets_in(tmp_path: Path) -> None:
    accounts = with_password(tmp_path)
    looked_at = 0
    for n in range(100):
        try:
            accounts.sign_in("admin", f"guess {n}", "bad net", ME, NOW + n)
        except Unauthorized:
            looked_at += 1
        except RateLimited as refusal:
            assert refusal.retry_after_s >= 1
    assert looked_at <= 10
    with pytest.raises(RateLimited):
        accounts.sign_in("admin", PASSWORD, "bad net", ME, NOW + 100)
    assert accounts.sign_in("admin", PASSWORD, "good net", ME, NOW + 100) == "admin"


def test_tries_at_the_same_moment_are_one(tmp_path: Path) -> None:
    accounts = with_password(tmp_path)

    def guess(n: int) -> type[ClientError]:
        try:
            accounts.sign_in("admin", f"guess {n}", "net", ME, NOW)
        except ClientError as refusal:
            return type(refusal)
        raise AssertionError

    with ThreadPoolExecutor(8) as pool:
        assert sorted(kind.__name__ for kind in pool.map(guess, range(8))) == ["RateLimited"] * 7 + ["Unauthorized"]


def test_guessing_from_everywhere_closes_the_account_to_strangers_only(tmp_path: Path) -> None:
    accounts = with_password(tmp_path)
    accounts.sign_in("admin", PASSWORD, "home", ME, NOW)
    for n in range(EVERYWHERE_MAX):
        with pytest.raises(Unauthorized):
            accounts.sign_in("admin", "guess", f"net {n}", ME, NOW + 1)
    with pytest.raises(RateLimited):
        accounts.sign_in("admin", PASSWORD, "stranger", ME, NOW + 2)
    assert accounts.sign_in("admin", PASSWORD, "home", ME, NOW + 2) == "admin"
    assert accounts.sign_in("admin", PASSWORD, "stranger", ME, NOW + 1 + throttle.EVERYWHERE_WINDOW_S) == "admin"


def test_signing_in_often_and_rightly_closes_nothing(tmp_path: Path) -> None:
    accounts = with_password(tmp_path)
    for n in range(EVERYWHERE_MAX + 2):
        accounts.sign_in("admin", PASSWORD, f"net {n}", ME, NOW + n)


def test_the_wait_doubles_to_its_bound_and_is_forgiven_after_a_day() -> None:
    attempts, waits = Attempts(), []
    for _ in range(14):
        attempts = throttle.after_failure(attempts, NOW)
        waits.append(throttle.wait_s(attempts, Attempts(), NOW))
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == throttle.WAIT_S_MAX
    assert throttle.after_failure(attempts, NOW + throttle.FORGIVEN_AFTER_S).failures == 1
    assert throttle.wait_s(throttle.after_success(NOW), Attempts(), NOW) == 0


def test_a_password_is_changed_with_the_old_one_and_everybody_is_signed_out(tmp_path: Path) -> None:
    accounts = with_password(tmp_path)
    store, _ = made_store(tmp_path)
    sessions = Sessions(store.database, settings_in(tmp_path))
    token = sessions.open("admin", "127.0.0.1", "browser", NOW)
    with pytest.raises(Unauthorized):
        accounts.change_password("admin", "wrong", "a new long password", "net", ME, NOW)
    accounts.change_password("admin", PASSWORD, "a new long password", "net", ME, NOW + 2)
    assert sessions.find(token, NOW, active=True) is None
    assert accounts.sign_in("admin", "a new long password", "net", ME, NOW + 3)
    told = [entry.action for entry in audit_of(store)]
    assert told[:4] == ["signed in", "password changed", "signed in", "sign-in refused"]


def test_a_password_of_the_settings_is_changed_there(tmp_path: Path) -> None:
    accounts = quick(tmp_path)
    accounts.take_setting(PASSWORD, NOW)
    with pytest.raises(Forbidden, match="FACE_API_ADMIN_PASSWORD"):
        accounts.change_password("admin", PASSWORD, "a new long password", "net", ME, NOW)


def test_no_password_is_in_the_store(tmp_path: Path) -> None:
    with_password(tmp_path)
    everything = b"".join(path.read_bytes() for path in (tmp_path / "var").iterdir())
    assert PASSWORD.encode() not in everything
    assert b"$argon2id$" in everything


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    store, _ = made_store(tmp_path)
    return Sessions(store.database, settings_in(tmp_path, session_idle_minutes=30, session_hours=8))


def test_a_session_ends_when_unused_and_after_its_life_in_any_case(sessions: Sessions) -> None:
    token = sessions.open("admin", "127.0.0.1", "browser", NOW)
    assert sessions.find(token, NOW + 1799, active=False)
    assert not sessions.find(token, NOW + 1800, active=False)
    moment = NOW
    while moment < NOW + 8 * 3600 - 1000:
        moment += 1000
        assert sessions.find(token, moment, active=True)
    assert not sessions.find(token, NOW + 8 * 3600, active=True)


def test_a_page_that_renews_itself_does_not_keep_a_session_alive(sessions: Sessions) -> None:
    token = sessions.open("admin", "127.0.0.1", "browser", NOW)
    for seconds in range(0, 1800, 60):
        assert sessions.find(token, NOW + seconds, active=False)
    assert not sessions.find(token, NOW + 1801, active=False)


def test_a_session_that_was_ended_is_over_at_once(sessions: Sessions) -> None:
    one, two, three = (sessions.open("admin", "127.0.0.1", f"browser {n}", NOW + n) for n in range(3))
    assert [session.agent for session in sessions.of("admin", NOW + 3)] == ["browser 2", "browser 1", "browser 0"]
    mine = sessions.find(three, NOW + 3, active=True)
    assert mine is not None
    victim = sessions.find(one, NOW + 3, active=True)
    assert victim is not None
    assert sessions.end("admin", victim.id)
    assert not sessions.end("somebody else", mine.id)
    assert sessions.find(one, NOW + 3, active=True) is None
    assert sessions.end_others(mine) == 1
    assert sessions.find(two, NOW + 3, active=True) is None
    assert sessions.find(three, NOW + 3, active=True)


def test_rows_of_sessions_that_are_over_are_dropped(sessions: Sessions) -> None:
    from sqlalchemy import text

    for moment in (NOW, NOW + 3600):
        sessions.open("admin", "127.0.0.1", "browser", moment)
        sessions.forget_old(moment)
    with sessions._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM sessions")).scalar_one() == 1


def test_there_are_no_more_sessions_than_the_bound(sessions: Sessions) -> None:
    tokens = [sessions.open("admin", "a", "b", NOW + n) for n in range(PER_ACCOUNT_MAX + 1)]
    assert len(sessions.of("admin", NOW + 100)) == PER_ACCOUNT_MAX
    assert sessions.find(tokens[0], NOW + 100, active=True) is None
    assert sessions.find(tokens[1], NOW + 100, active=True)


def test_nonsense_is_no_session(sessions: Sessions) -> None:
    for token in ("", "x", "x" * 10_000, "'; DROP TABLE sessions; --"):
        assert sessions.find(token, NOW, active=True) is None


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    years = 3 * 365 * 86_400.0
    mine = throttle.after_failure(Attempts(), NOW + years)
    everywhere = Attempts(failures=EVERYWHERE_MAX, since=NOW + years)
    assert throttle.wait_s(mine, everywhere, NOW) == 0
    assert throttle.after_failure(mine, NOW).since == NOW
    assert throttle.everywhere_after_failure(everywhere, NOW) == Attempts(failures=1, since=NOW)
