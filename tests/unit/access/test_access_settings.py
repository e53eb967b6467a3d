"""Settings of access that refuse to start, with the words that mend them."""

from __future__ import annotations

import pytest

from shared.environment import load
from shared.errors import SettingsError
from shared.settings_told import describe


def problems(**settings: str) -> str:
    with pytest.raises(SettingsError) as refusal:
        load({f"FACE_API_{name.upper()}": value for name, value in settings.items()})
    return str(refusal.value)


@pytest.mark.parametrize("everyone", ["*", "0.0.0.0/0", "::/0", "0.0.0.0/1,128.0.0.0/1", "10.0.0.1, 0.0.0.0/7"])
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_trusting_everyone_refuses_to_start(everyone: str, host: str) -> None:
    assert "lets every caller choose its own address" in problems(trusted_proxies=everyone, host=host)


@pytest.mark.parametrize("named", ["", "10.0.0.0/8", "fc00::/7", "127.0.0.1", "10.1.2.3, 10.1.2.4 ,::1"])
def test_named_proxies_start(named: str) -> None:
    assert load({"FACE_API_TRUSTED_PROXIES": named})[0].trusted_proxies == named


def test_a_proxy_that_is_no_address_is_named() -> None:
    assert "'balancer'" in problems(trusted_proxies="10.0.0.1,balancer")


def test_a_short_pepper_refuses_to_start_and_is_not_shown() -> None:
    words = problems(key_pepper="p" * 31)
    assert "at least 32" in words
    assert "ppp" not in words
    assert load({"FACE_API_KEY_PEPPER": "p" * 32})[0].key_pepper


def test_an_earlier_pepper_must_be_long_too() -> None:
    assert "KEY_PEPPER_PREVIOUS" in problems(key_pepper="p" * 32, key_pepper_previous="q" * 32 + ",short")


def test_a_short_admin_password_refuses_to_start() -> None:
    assert "at least 12" in problems(admin_password="hunter2")
    assert "hunter2" not in problems(admin_password="hunter2")
    assert load({"FACE_API_ADMIN_PASSWORD": "p" * 12})[0].admin_password


@pytest.mark.parametrize(
    "origin", ["example.org", "https://example.org/", "https://example.org/page", "null", "https://[::1"]
)
def test_an_origin_that_is_none_is_named(origin: str) -> None:
    assert f"{origin} is no origin" in problems(cors_origins=origin)


def test_origins_and_the_star_start() -> None:
    assert load({"FACE_API_CORS_ORIGINS": "https://example.org,http://localhost:3000"})
    assert load({"FACE_API_CORS_ORIGINS": "*"})


def test_unknown_kinds_of_store_refuse_to_start() -> None:
    assert "postgresql://" in problems(database_url="mysql://x/y")
    assert "postgresql://" in problems(database_url="postgresql://[::1/y")
    assert "redis://" in problems(redis_url="http://x")


def test_no_secret_is_shown_among_the_effective_settings() -> None:
    secret = "s" * 40
    names = ("key_pepper", "key_pepper_previous", "admin_password")
    environ = {f"FACE_API_{name.upper()}": secret for name in names}
    environ |= {"FACE_API_DATABASE_URL": f"postgresql://u:{secret}@h/d", "FACE_API_REDIS_URL": f"redis://:{secret}@h"}
    assert secret not in str(describe(load(environ)[0]))
