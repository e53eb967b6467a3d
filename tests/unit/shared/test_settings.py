"""Settings: typed, ranged, told all at once; secrets stay secret."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from deploy.readme import PAGE, markdown, with_settings
from shared.environment import decoder_environment, environment_of, load
from shared.errors import SettingsError
from shared.settings import DecodingSettings, Settings, is_secret, meta_of
from shared.settings_told import describe

ROOT = Path(__file__).resolve().parents[3]


def test_nothing_set_gives_the_defaults() -> None:
    assert load({}) == (Settings(), [])


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_booleans_are_strict_words(text: str, value: bool) -> None:
    assert load({"FACE_API_API_KEY_ENABLED": text})[0].api_key_enabled is value


@pytest.mark.parametrize("text", ["no", "", "maybe", "off"])
def test_other_words_are_not_booleans(text: str) -> None:
    with pytest.raises(SettingsError, match="FACE_API_API_KEY_ENABLED"):
        load({"FACE_API_API_KEY_ENABLED": text})


def test_all_mistakes_are_reported_together_with_range_and_meaning() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"FACE_API_PORT": "99999", "FACE_API_PRECISION": "fp8", "FACE_API_INPUT_SIDE": "650"})
    words = str(caught.value)
    assert len(caught.value.problems) == 3
    for part in ("FACE_API_PORT=99999", "0 to 65535", "auto | fp32 | fp16 | int8", "multiple of 32"):
        assert part in words


@pytest.mark.parametrize(("name", "low", "high"), [("FACE_API_PORT", 0, 65535), ("FACE_API_MAX_BATCH", 0, 64)])
def test_a_range_includes_its_ends_and_nothing_beyond(name: str, low: int, high: int) -> None:
    for value in (low, high):
        load({name: str(value)})
    for value in (low - 1, high + 1):
        with pytest.raises(SettingsError):
            load({name: str(value)})


def test_an_unknown_name_is_warned_about_with_the_nearest_known_one() -> None:
    _, warnings = load({"FACE_API_WORKER": "2", "PATH": "/bin"})
    assert warnings == ["unknown setting FACE_API_WORKER; did you mean FACE_API_WORKERS?"]


def test_a_setting_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("8001\n")
    assert load({"FACE_API_PORT_FILE": str(secret)})[0].port == 8001
    with pytest.raises(SettingsError, match="both set"):
        load({"FACE_API_PORT_FILE": str(secret), "FACE_API_PORT": "1"})
    with pytest.raises(SettingsError, match="cannot be read"):
        load({"FACE_API_PORT_FILE": str(tmp_path / "missing")})


def test_settings_survive_the_way_to_a_child_process() -> None:
    settings = Settings(port=1234, workers=3, api_key_enabled=False, batch_delay_ms=1.5, model="a model")
    assert load(environment_of(settings))[0] == settings


def test_a_decoder_is_told_every_setting_it_can_name_and_no_secret() -> None:
    told = decoder_environment(Settings(max_pixels=5000, min_side=12, redis_url="redis://:hunter2@localhost"))
    assert {name for name in told if name.startswith("FACE_API_")} == {"FACE_API_MAX_PIXELS", "FACE_API_MIN_SIDE"}
    assert not any(is_secret(meta_of(name)) for name in DecodingSettings.__struct_fields__)


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = Settings(redis_url="redis://:hunter2hunter2@localhost")
    assert "hunter2" not in str(describe(settings))
    assert "hunter2" not in markdown(describe(settings))
    with pytest.raises(SettingsError) as caught:
        load({"FACE_API_KEY_PEPPER": "hunter2", "FACE_API_PORT": "x"})
    assert "hunter2" not in str(caught.value)


def test_every_setting_has_a_meaning() -> None:
    assert all(row.meaning for row in describe(Settings()))


def test_the_command_prints_the_effective_settings_and_fails_on_wrong_ones() -> None:
    def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        line = [sys.executable, "-m", "shared.settings_told", *arguments]
        return subprocess.run(line, env=base | environment, capture_output=True, text=True, check=False)

    told = msgspec.json.decode(command("--json", FACE_API_PORT="8111").stdout)
    assert told["FACE_API_PORT"] == "8111"
    wrong = command(FACE_API_PORT="x")
    assert wrong.returncode == 78
    assert "FACE_API_PORT=x" in wrong.stderr


def test_numbers_are_read_as_everywhere_else_and_wrong_ones_are_told_in_our_words() -> None:
    found, _ = load({"FACE_API_PORT": "08e3", "FACE_API_QUEUE_SHARE": ".5", "FACE_API_REQUEST_TIMEOUT": " 5e0 "})
    assert (found.port, found.queue_share, found.request_timeout) == (8000, 0.5, 5.0)
    for text in ("x", "", "nan", "inf", "1_000", "0x50", "9" * 5000, "\xb2", "5.5"):
        with pytest.raises(
            SettingsError, match=f"FACE_API_PORT={re.escape(text)}: is not a whole number such as 5"
        ) as caught:
            load({"FACE_API_PORT": text})
        assert "Expected" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"FACE_API_PORT=99999: is not allowed .*0 to 65535"):
        load({"FACE_API_PORT": "99999"})


def test_the_page_of_settings_has_the_table_of_these_settings() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_settings(page), "run `make readme`"
