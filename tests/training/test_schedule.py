"""The whole schedule: every command finds what it reads."""

from __future__ import annotations

from pathlib import Path

from models.training.run import schedule

FOLDER = Path("build/training")


def value(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def wanted(*arguments: str) -> list[list[str]]:
    return schedule.commands(schedule.parse(["--folder", str(FOLDER), *arguments]))


def test_each_command_reads_only_what_those_before_it_wrote() -> None:
    written: set[str] = set()
    for command in wanted():
        out = value(command, "--out")
        read = [word for word in command if word.endswith(".pt") and word != out]
        assert set(read) <= written, command
        written.add(out)
    assert value(wanted()[-1], "--checkpoint") == str(FOLDER / "fg.pt")


def test_a_cycle_that_was_broken_off_goes_on() -> None:
    cycles = [command for command in wanted() if command[0] == "models.training.run.train"]
    assert len(cycles) == len(schedule.CYCLES) and all("--resume" in command for command in cycles)
    assert "--after" not in cycles[0] and all("--after" in command for command in cycles[1:])


def test_a_trial_takes_a_share_of_the_steps() -> None:
    steps = [int(value(command, "--steps")) for command in wanted("--scale", "0.001") if "--steps" in command]
    assert steps == [26, 32, 38, 42, 20, 18, 6]


def test_hands_and_further_backgrounds_reach_every_command_that_draws() -> None:
    for command in wanted("--hand", "hand.glb", "--more-backgrounds", "more"):
        assert value(command, "--hand") == "hand.glb"
        assert command[0] == "models.training.export.write" or value(command, "--more-backgrounds") == "more"
