"""Which access settings are safe together, and how lists of networks and origins are written.

Pure: `shared/environment.py` asks it before a process starts, the gateway uses the same parsers.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import SplitResult, urlsplit

from shared.settings import Settings

Network = IPv4Network | IPv6Network

PEPPER_LENGTH_MIN = 32
PASSWORD_LENGTH_MIN = 12
# A trusted network wider than these is "everyone": 10.0.0.0/8 and fc00::/7 are the widest private ones.
WIDEST_V4_PREFIX, WIDEST_V6_PREFIX = 8, 7
DATABASE_SCHEMES = ("sqlite", "postgresql", "postgres", "postgresql+psycopg")
REDIS_SCHEMES = ("redis", "rediss", "unix")


def items(text: str) -> list[str]:
    """The parts of a list written with commas, without blanks."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_networks(text: str) -> list[Network]:
    """Addresses and networks of a list; `*` is everyone. ValueError names the part that is neither."""
    networks: list[Network] = []
    for part in items(text):
        if part == "*":
            networks += [IPv4Network("0.0.0.0/0"), IPv6Network("::/0")]
        else:
            networks.append(ip_network(part, strict=False))
    return networks


def access_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """(setting, problem with its mend) for everything about access that must not start."""
    yield from _proxy_problems(settings)
    yield from _secret_problems(settings)
    yield from _origin_problems(settings)
    if settings.database_url and _split(settings.database_url).scheme not in DATABASE_SCHEMES:
        yield "database_url", "must begin with postgresql:// or sqlite:///"
    if settings.redis_url and _split(settings.redis_url).scheme not in REDIS_SCHEMES:
        yield "redis_url", "must begin with redis://, rediss:// or unix://"


def _proxy_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    try:
        networks = parse_networks(settings.trusted_proxies)
    except ValueError as error:
        yield "trusted_proxies", f"{error}; give addresses or networks such as 10.0.0.5,10.1.0.0/16"
        return
    wide = [str(network) for network in networks if _is_everyone(network)]
    if wide:
        # On the loopback address too: behind a balancer there, every caller's forged entry would count as trusted.
        words = f"{' and '.join(wide)} lets every caller choose its own address and pass the rate limit"
        yield "trusted_proxies", words + "; name the balancer's address or network, 127.0.0.1 for one on this machine"


def _is_everyone(network: Network) -> bool:
    widest = WIDEST_V4_PREFIX if network.version == 4 else WIDEST_V6_PREFIX
    return network.prefixlen < widest


def _secret_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, text in (("key_pepper", [settings.key_pepper]), ("key_pepper_previous", earlier_peppers(settings))):
        if any(pepper and len(pepper) < PEPPER_LENGTH_MIN for pepper in text):
            yield name, f"must have at least {PEPPER_LENGTH_MIN} characters; `openssl rand -hex 32` makes one"
    if "," in settings.key_pepper:
        yield "key_pepper", "must not contain a comma; earlier peppers go into FACE_API_KEY_PEPPER_PREVIOUS"
    if 0 < len(settings.admin_password) < PASSWORD_LENGTH_MIN:
        yield "admin_password", f"must have at least {PASSWORD_LENGTH_MIN} characters"


def earlier_peppers(settings: Settings) -> list[str]:
    """The earlier peppers, newest first as written."""
    return items(settings.key_pepper_previous)


def _split(url: str) -> SplitResult:
    """The URL's parts; empty ones for what is no URL, such as half an IPv6 address in brackets."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _origin_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    for origin in items(settings.cors_origins):
        if origin == "*":
            continue
        parts = _split(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            yield "cors_origins", f"{origin} is no origin; write https://example.org without a path"
