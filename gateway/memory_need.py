"""How many bytes a picture needs while it is decoded, held and masked. Alone knows these estimates and the budget."""

from __future__ import annotations

from pathlib import Path

from gateway.headers.facts import Header
from shared.settings import MEBIBYTE, Settings

#: The default budget is this part of the memory, inside these bounds.
_BUDGET_PART = 4
_BUDGET_LEAST, _BUDGET_MOST = 256 * MEBIBYTE, 1024 * MEBIBYTE


def decoding(header: Header) -> int:
    """Bytes at the peak of decoding: the stored raster, the BGR picture, and its turned copy."""
    pixels = header.width * header.height
    turned = pixels * 3 if header.orientation > 1 else 0
    return header.decoded_bytes + pixels * 3 + turned


def masking(header: Header) -> int:
    """Bytes at the peak of masking and encoding: the picture, a converted or composed copy, and the encoder's."""
    pixels = header.width * header.height
    return pixels * (3 + 4 + 4 + 4 * header.alpha)


def at_most(header: Header, *, to_mask: bool) -> int:
    """Bytes at the highest peak of a picture's life."""
    return max(decoding(header), masking(header)) if to_mask else decoding(header)


def budget(settings: Settings, memory_bytes: int) -> int:
    """This gateway process's share of the host's decode budget, in bytes."""
    total = settings.decode_budget_bytes or min(max(memory_bytes // _BUDGET_PART, _BUDGET_LEAST), _BUDGET_MOST)
    return max(MEBIBYTE, total // max(1, settings.gateway_processes))


def memory_of_host() -> int:
    """Bytes of memory this process may use: the machine's, or the cgroup's limit where that is less."""
    limits = [_meminfo(), _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
    return min((limit for limit in limits if limit), default=1024 * MEBIBYTE)


def _meminfo() -> int:
    try:
        words = Path("/proc/meminfo").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(words[words.index("MemTotal:") + 1]) * 1024


def _number(path: str) -> int:
    try:
        words = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(words) if words.isdigit() else 0
