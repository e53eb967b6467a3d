"""Keys: shape, checksum, and what may be shown of them."""

from __future__ import annotations

import re
import secrets
import zlib

from gateway.stores.key_format import KEY_PATTERN, hint, new_key, redact, well_formed


def test_a_new_key_is_well_formed_and_matches_the_published_pattern() -> None:
    key = new_key()
    assert len(key) == 68
    assert well_formed(key.encode())
    assert re.fullmatch(KEY_PATTERN, key)


def test_no_two_keys_are_alike() -> None:
    assert len({new_key() for _ in range(1000)}) == 1000


def test_every_single_wrong_digit_is_noticed() -> None:
    key = new_key()
    for place in range(4, 68):
        other = "0" if key[place] != "0" else "1"
        assert not well_formed((key[:place] + other + key[place + 1 :]).encode())


def test_neighbours_swapped_are_noticed() -> None:
    key = new_key()
    for place in range(4, 67):
        if key[place] != key[place + 1]:
            swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
            assert not well_formed(swapped.encode())


def test_random_look_alikes_are_refused_without_a_store() -> None:
    passed = sum(well_formed(b"xyl_" + secrets.token_hex(32).encode()) for _ in range(20_000))
    assert passed == 0  # one in four thousand million passes by chance


def test_other_shapes_are_refused() -> None:
    key = new_key()
    for wrong in ("", "xyl_", key[:-1], key + "0", key.upper(), " " + key, key + "\n", key.replace("xyl_", "abc_")):
        assert not well_formed(wrong.encode())


def test_the_checksum_is_crc32_so_that_scanners_can_check_it_too() -> None:
    key = new_key()
    assert int(key[-8:], 16) == zlib.crc32(key[:-8].encode())


def test_the_hint_shows_six_digits_only() -> None:
    key = new_key()
    assert hint(key) == key[:10]


def test_redacting_cuts_every_key_in_a_text() -> None:
    one, two = new_key(), new_key()
    text = redact(f"{one} and {two.upper()} and {one[:30]} and xyl_a1b2")
    assert one[10:] not in text
    assert two.upper()[10:] not in text
    assert one[10:30] not in text
    assert text.endswith("xyl_a1b2")
