"""python -m models.training.run.schedule: the open weights, from nothing, by one command.

Alone knows the cycles, what each begins from, and of which the served file is the mean. What was broken off goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from models.training.material.folder import DEFAULT_FOLDER


@dataclass(frozen=True)
class Cycle:
    """One run of `train`. after: the cycles of whose mean weights it begins.

    teacher: whose thorough looks label the photographs that it learns from, too; none without one.
    photographed: share of the scenes that are crops of them. rounded_from: share of it after which layers round as int8
    does; 1 is never.
    """

    name: str
    steps: int
    seed: int
    rate: float
    after: tuple[str, ...] = ()
    teacher: str = ""
    photographed: float = 0.5
    rounded_from: float = 1.0


CYCLES = (
    Cycle("a", 26_500, 1, 2.5e-3),
    Cycle("b", 32_000, 4, 2.0e-3, ("a",)),
    Cycle("c", 38_000, 6, 2.0e-3, ("b",)),
    Cycle("d", 42_000, 7, 2.0e-3, ("c",)),
    Cycle("e", 20_000, 11, 1.5e-3, ("d",)),
    Cycle("f", 18_000, 12, 1.3e-3, ("d", "e")),
    Cycle("g", 6_400, 13, 6.0e-4, ("f",)),
    Cycle("h", 2_130, 21, 1.5e-3, ("f", "g"), teacher="fg"),
    Cycle("i", 6_040, 22, 1.3e-3, ("h",), teacher="h"),
    Cycle("j", 10_730, 31, 1.4e-3, ("fg", "i"), teacher="h", photographed=0.4),
    Cycle("k", 12_750, 12, 1.4e-3, ("j",), teacher="h", photographed=0.4),
    Cycle("l", 2_820, 21, 8.0e-4, ("k",), teacher="h", photographed=0.4),
    Cycle("n", 12_210, 72, 1.2e-3, ("k", "l"), teacher="h", photographed=0.3, rounded_from=0.67),
    Cycle("p", 15_540, 71, 1.0e-3, ("kl", "n"), teacher="h", photographed=0.35, rounded_from=0.6),
    Cycle("r", 4_200, 401, 7.0e-4, ("p",), teacher="p", photographed=0.6),
    Cycle("s", 22_999, 73, 1.1e-3, ("r",), teacher="p", photographed=0.6, rounded_from=0.78),
    Cycle("u", 26_401, 431, 1.0e-3, ("s",), teacher="p", photographed=0.6, rounded_from=0.72),
    Cycle("v", 1_543, 432, 3.5e-4, ("u",), teacher="p", photographed=0.6, rounded_from=0.0),
    Cycle("x", 27_419, 441, 1.0e-3, ("v",), teacher="uv", photographed=0.7, rounded_from=0.72),
)
EXPORTED = ("v", "x")
# What those weights doubt, and a cycle of others for closer looks at it: steps, seed, rate.
CELL_FILES, HELD_OUT_FILES = 294, 15
CLOSER = Cycle("closer", 22_100, 901, 1.2e-3, EXPORTED, teacher="served")
Command = list[str]


def checkpoint(folder: Path, names: tuple[str, ...]) -> Path:
    """Where the weights of a cycle, or the mean of several, lie."""
    return folder / f"{''.join(names)}.pt"


def commands(options: argparse.Namespace) -> list[Command]:
    """What is run, in order; each reads only what those before it wrote."""
    material = ["--material", str(options.material)]
    hand = ["--hand", str(options.hand)] if options.hand else []
    more = ["--more-backgrounds", str(options.more_backgrounds)] if options.more_backgrounds else []
    head = ["--head", str(options.head)] if options.head else []
    shared = [*material, *hand, *more, "--sprites", str(options.folder / "sprites.npz")]

    photographs = ["--photographs", str(options.photographs)]

    def join(names: tuple[str, ...]) -> list[Command]:
        out = checkpoint(options.folder, names)
        parts = [str(checkpoint(options.folder, (name,))) for name in names]
        return [["models.training.export.join", *parts, "--out", str(out), *shared]] if len(names) > 1 else []

    def known(teacher: str) -> list[str]:
        return [*photographs, "--faces", str(options.folder / f"faces_{teacher}.json")] if teacher else []

    def label(teacher: str) -> list[Command]:
        exported = str(options.folder / f"{teacher}.onnx")
        held = ["--sightings", str(options.folder / f"sightings_{teacher}.json"), "--out", known(teacher)[-1]]
        begin = ["--checkpoint", str(checkpoint(options.folder, (teacher,))), "--out", exported]
        return [
            ["models.training.export.write", *begin, *material, *hand],
            ["models.training.labelling.write", *photographs, "--teacher", exported, *held],
        ]

    wanted: list[Command] = []
    for cycle in CYCLES:
        for mean in (cycle.after, tuple(cycle.teacher)):
            wanted += [command for command in join(mean) if command not in wanted]
        wanted += label(cycle.teacher) if cycle.teacher else []
        begin = ["--after", str(checkpoint(options.folder, cycle.after))] if cycle.after else []
        out = ["--out", str(checkpoint(options.folder, (cycle.name,))), "--resume"]
        steps = ["--steps", str(max(1, round(cycle.steps * options.scale)))]
        kind = ["--seed", str(cycle.seed), "--rate", str(cycle.rate), *known(cycle.teacher)]
        kind += ["--photographed", str(cycle.photographed)] if cycle.teacher else []
        kind += ["--rounded-from", str(cycle.rounded_from)] if cycle.rounded_from < 1 else []
        wanted.append(["models.training.run.train", *steps, *kind, *begin, *out, *shared, *head])
    wanted += join(EXPORTED)
    served = ["--checkpoint", str(checkpoint(options.folder, EXPORTED)), "--out", str(options.out)]
    wanted.append(["models.training.export.write", *served, *material, *hand, *known(CYCLES[-1].teacher)])
    return [*wanted, *closer_commands(options, photographs, [*shared, *head, *known(CLOSER.teacher)])]


def closer_commands(options: argparse.Namespace, photographs: Command, scenes: Command) -> list[Command]:
    """From the exported weights to those for closer looks. scenes: of what the doubts are collected."""
    weights = ["--weights", str(options.out)]
    held = ["--sightings", str(options.folder / f"sightings_{CLOSER.teacher}.json")]
    faces = ["--out", scenes[scenes.index("--faces") + 1]]
    cells, held_out = (str(options.folder / name) for name in ("cells", "cells_held_out"))
    own = checkpoint(options.folder, (CLOSER.name,))
    apart = scenes.index("--sprites")  # of other people's cut-outs
    files = [str(max(1, round(count * options.scale))) for count in (CELL_FILES, HELD_OUT_FILES)]
    others = ["--held-out", *scenes[:apart], *scenes[apart + 2 :]]
    steps = ["--steps", str(max(1, round(CLOSER.steps * options.scale))), "--seed", str(CLOSER.seed)]
    begin = ["--rate", str(CLOSER.rate), "--after", str(checkpoint(options.folder, CLOSER.after)), "--resume"]
    out = options.out.with_name(f"{options.out.stem}_closer{options.out.suffix}")
    return [
        ["models.training.labelling.write", *photographs, "--teacher", str(options.out), *held, *faces],
        ["models.training.doubted.collect", *scenes, *weights, "--files", files[0], "--out", cells],
        ["models.training.doubted.collect", *others, *weights, "--files", files[1], "--out", held_out],
        ["models.training.doubted.train", "--cells", cells, *steps, *begin, "--out", str(own)],
        ["models.training.export.closer", "--checkpoint", str(own), *weights, "--cells", held_out, "--out", str(out)],
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.run.schedule", description=__doc__)
    parser.add_argument("--material", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--more-backgrounds", type=Path, help="folder of further face-free pictures")
    parser.add_argument("--hand", type=Path, help="mesh of a hand (.glb) to draw hands from")
    parser.add_argument("--head", type=Path, help="folder of a head's mesh (base.obj, *.target) to render heads from")
    parser.add_argument(
        "--photographs", type=Path, default=Path("../shared/training/real"), help="real ones, with coco/"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/training"), help="where checkpoints are kept")
    parser.add_argument("--out", type=Path, default=Path("build/training/scrfd_500m_open.onnx"))
    parser.add_argument("--scale", type=float, default=1.0, help="share of every cycle's steps, for a trial")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """0 when the file is written; the exit code of what failed otherwise."""
    for command in commands(parse(arguments)):
        print("python -m " + " ".join(command), flush=True)
        if code := subprocess.run([sys.executable, "-m", *command], check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
