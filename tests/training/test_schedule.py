"""The whole schedule: every command finds what it reads."""

from __future__ import annotations

from pathlib import Path

from models.training.run import schedule

FOLDER = Path("build/training")
SERVED = str(FOLDER / "scrfd_500m_open.onnx")


def value(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def wanted(*arguments: str) -> list[list[str]]:
    return schedule.commands(schedule.parse(["--folder", str(FOLDER), *arguments]))


def test_each_command_reads_only_what_those_before_it_wrote() -> None:
    written: set[str] = set()
    for command in wanted():
        out = value(command, "--out")
        read = [
            word
            for word in command
            if word.endswith((".pt", ".onnx", ".json")) and word != out and "sightings" not in word  # a cache
        ]
        assert set(read) <= written, command
        written.add(out)
    (export,) = (command for command in wanted() if value(command, "--out") == SERVED)
    assert value(export, "--checkpoint") == str(FOLDER / f"{''.join(schedule.EXPORTED)}.pt")


def test_weights_for_closer_looks_learn_from_what_the_served_ones_doubt() -> None:
    label, collect, apart, train, export = wanted("--photographs", "real")[-5:]
    assert value(label, "--teacher") == value(collect, "--weights") == value(export, "--weights") == SERVED
    assert value(label, "--out") == value(collect, "--faces") == value(apart, "--faces")
    assert value(train, "--cells") == value(collect, "--out") != value(apart, "--out") == value(export, "--cells")
    assert "--held-out" in apart and "--held-out" not in collect and "--sprites" not in apart
    assert value(export, "--checkpoint") == value(train, "--out")
    assert value(export, "--out") == SERVED.replace(".onnx", "_closer.onnx")


def test_photographs_are_labelled_by_nothing_but_earlier_cycles() -> None:
    commands = wanted("--photographs", "real")
    for cycle in schedule.CYCLES:
        (run,) = (command for command in commands if value(command, "--out") == str(FOLDER / f"{cycle.name}.pt"))
        assert ("--faces" in run) == bool(cycle.teacher)
        if cycle.teacher:
            export, label = commands[commands.index(run) - 2 : commands.index(run)]
            assert value(label, "--out") == value(run, "--faces")
            assert value(label, "--teacher") == value(export, "--out")
            assert value(export, "--checkpoint") == str(FOLDER / f"{cycle.teacher}.pt")


def test_a_cycle_that_was_broken_off_goes_on() -> None:
    cycles = [command for command in wanted() if command[0] == "models.training.run.train"]
    assert len(cycles) == len(schedule.CYCLES) and all("--resume" in command for command in cycles)
    assert "--after" not in cycles[0] and all("--after" in command for command in cycles[1:])


def test_a_trial_takes_a_share_of_the_steps() -> None:
    steps = [int(value(command, "--steps")) for command in wanted("--scale", "0.001") if "--steps" in command]
    assert steps == [max(1, round(cycle.steps / 1000)) for cycle in (*schedule.CYCLES, schedule.CLOSER)]


def test_hands_and_further_backgrounds_reach_every_command_that_draws() -> None:
    commands = wanted("--hand", "hand.glb", "--more-backgrounds", "more")
    drawing = (
        "models.training.run.",
        "models.training.export.join",
        "models.training.export.write",
        "models.training.doubted.collect",
    )
    for command in (command for command in commands if command[0].startswith(drawing)):
        assert value(command, "--hand") == "hand.glb"
        assert command[0] == "models.training.export.write" or value(command, "--more-backgrounds") == "more"
