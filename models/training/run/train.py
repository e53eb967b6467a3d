"""python -m models.training.run.train: alone knows the schedule and who trains.

Trains for --minutes (or --steps) with a warm-up and a cosine, keeps a moving
average of the weights, writes checkpoints, resumes, and pauses on request.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models.training.material.folder import DEFAULT_FOLDER, Material, read_material
from models.training.material.photographs import read_photographs
from models.training.network.detector import NARROW, WIDE, Detector, Levels, count_macs, count_parameters, shape_of
from models.training.network.halving import Halving, is_worthwhile
from models.training.network.rounding import Rounding
from models.training.run.checkpoint import State, fresh, next_cycle, optimiser_of, resume, save
from models.training.run.feed import Batch, Feed, Source, Supply, wait_while
from models.training.run.losses import batch_losses
from models.training.scenes.composer import Composer
from models.training.scenes.photographed import shot

AVERAGE_DECAY = 0.998  # a step of the first trainer
CLIP = 10.0  # norm of the gradient
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def to_tensor(pictures: np.ndarray[Any, Any]) -> Tensor:
    """(B, H, W, 3) uint8 BGR -> (B, 3, H, W) float32 in -1..1, channels last in memory."""
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) * 0.0078125


def keep_memory() -> None:
    """Lets malloc keep what it was given: fresh pages for every activation cost a sixth of the time."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def choose_onednn(model: nn.Module) -> None:
    """Marks 1x1 convolutions as dilated, which changes nothing but who computes them.

    With one thread and a batch under 16, PyTorch 2.13 leaves a plain 1x1
    convolution to a kernel that takes three times as long as oneDNN's
    (ConvParams::use_mkldnn in aten/src/ATen/native/Convolution.cpp).
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
            layer.dilation = (2, 2)


def rate_at(used: float, step: int, rate: float, warm: int = 300) -> float:
    """Learning rate when a share 0..1 of the run is used."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, used)))
    return rate * min(1.0, (step + 1) / warm) * (0.01 + 0.99 * cosine)


def used_share(options: argparse.Namespace, state: State) -> float:
    """Share 0..1 of the run that is over."""
    if options.steps:
        return float(state.progress.step / options.steps)
    return float(state.progress.seconds / 60 / options.minutes)


def update_average(average: Detector, model: Detector, step: int) -> None:
    """Moves the averaged weights a little towards the model's."""
    decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        theirs, mine = model.state_dict(), average.state_dict()
        floats = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in floats], [theirs[n] for n in floats], 1 - decay)


class Forward:
    """The network as the run has it by now: first in bfloat16 where that is quicker, then rounded as int8 rounds."""

    def __init__(self, model: Detector, rounded_from: float) -> None:
        self.rounded_from = rounded_from
        self.halving = Halving(model)
        self.rounding = Rounding(model)  # goes around what halving put into the layers

    def __call__(self, pictures: Tensor, used: float) -> tuple[Levels, Levels, Levels]:
        """What the detector gives for (B, 3, H, W) when a share 0..1 of the run is used."""
        self.rounding.on = used >= self.rounded_from
        # bfloat16 tells no more than 256 steps itself: too few to learn to bear int8's.
        self.halving.on = is_worthwhile() and not self.rounding.on
        return self.halving(pictures)


def train_step(state: State, forward: Forward, batch: Batch, used: float, rate: float) -> None:
    """One update of the weights."""
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    losses = batch_losses(forward(to_tensor(batch.pictures), used), batch)
    state.optimiser.zero_grad(set_to_none=True)
    losses.total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), CLIP)
    state.optimiser.step()
    state.progress.stepped(len(batch.pictures))
    state.recent = [*state.recent[-199:], (losses.score, losses.box, losses.points)]


def assist(state: State, feed: Feed, options: argparse.Namespace) -> None:
    """Trains the same weights in a process beside, without locks (arXiv 1106.5730).

    One thread each keeps going when other programs take a core; two threads
    of one trainer would wait for one another.
    """
    torch.set_num_threads(1)
    parent = os.getppid()
    held = state.optimiser.state_dict()
    state.optimiser = optimiser_of(state.model, options.rate)
    state.optimiser.load_state_dict(held)
    forward = Forward(state.model, options.rounded_from)
    while os.getppid() == parent and (used := used_share(options, state)) < 1:
        wait_while(options.pause_file)
        rate = rate_at(used, state.progress.step, options.rate)
        train_step(state, forward, feed.take(), used, rate)


def progress_line(state: State, used: float, rate: float, speed: float) -> str:
    """One line a person can follow."""
    score, box, points = np.mean(state.recent, axis=0)
    progress = state.progress
    return (
        f"{used:6.1%} step {progress.step} pictures {progress.pictures} "
        f"score {score:.4f} box {box:.4f} points {points:.4f} "
        f"rate {rate:.2e} {speed:.1f} pictures/s {progress.seconds / 60:.1f} min"
    )


def run(state: State, feed: Feed, options: argparse.Namespace) -> None:
    """Trains until the minutes or the steps are used up."""
    facts = {"seed": options.seed, "rate": options.rate}
    progress = state.progress
    saved = logged = last = time.monotonic()
    counted = progress.pictures
    forward = Forward(state.model, options.rounded_from)
    while (used := used_share(options, state)) < 1:
        if options.pause_file is not None and options.pause_file.exists():
            wait_while(options.pause_file)
            logged = last = time.monotonic()
            counted = progress.pictures
        rate = rate_at(used, progress.step, options.rate)
        train_step(state, forward, feed.take(), used, rate)
        update_average(state.average, state.model, progress.step)
        now = time.monotonic()
        progress.spent(now - last)
        last = now
        if now - logged >= options.log_seconds:
            speed = (progress.pictures - counted) / (now - logged)
            print(progress_line(state, used, rate, speed), flush=True)
            logged, counted = now, progress.pictures
        if now - saved >= options.save_seconds:
            save(state, options.out, facts)
            saved = now
    save(state, options.out, facts)


def begin(options: argparse.Namespace) -> State:
    """The state the command line asks for: gone on with, after another cycle, or fresh.

    Ends the process where it asks for another network than the one that is gone on with.
    """
    if options.resume and options.out.exists():
        state = resume(options.out, options.seed, options.rate)
        if options.wide and shape_of(state.model.state_dict()) != WIDE:
            raise SystemExit(f"{options.out} is of the narrow network: leave --wide out, or name another --out")
        return state
    if options.after is not None:
        return next_cycle(options.after, options.seed, options.rate, WIDE if options.wide else None)
    return fresh(options.seed, options.rate, WIDE if options.wide else NARROW)


def ask_for_scenes(parser: argparse.ArgumentParser) -> None:
    """The command line's part on what scenes are made of."""
    parser.add_argument("--material", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--more-backgrounds", type=Path, help="folder of further face-free pictures")
    parser.add_argument("--hand", type=Path, help="mesh of a hand (.glb) to draw hands from")
    parser.add_argument("--head", type=Path, help="folder of a head's mesh (base.obj, *.target) to render heads from")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs")
    parser.add_argument("--faces", type=Path, help="what is known of the faces in them (labelling.write)")
    parser.add_argument("--photographed", type=float, default=0.5, help="share of the scenes that are crops of them")
    parser.add_argument("--sprites", type=Path, help="file (.npz) that keeps the cut-outs between runs")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.run.train", description=__doc__)
    ask_for_scenes(parser)
    ask_for_a_run(parser)
    return parser.parse_args(arguments)


def ask_for_a_run(parser: argparse.ArgumentParser) -> None:
    """The command line's part on how long, how fast and from where."""
    parser.add_argument("--out", type=Path, default=Path("build/training/last.pt"))
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--steps", type=int, default=0, help="instead of --minutes")
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument(
        "--rounded-from", type=float, default=1.0, help="share 0..1 of the run after which layers round as int8 does"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from --out if it exists")
    parser.add_argument("--after", type=Path, help="checkpoint whose weights begin this cycle")
    parser.add_argument("--wide", action="store_true", help="the network is the wide one; --after may be narrow")
    parser.add_argument("--trainers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--workers", type=int, default=1, help="processes that compose scenes")
    parser.add_argument("--log-seconds", type=float, default=20.0)
    parser.add_argument("--save-seconds", type=float, default=120.0)
    parser.add_argument("--pause-file", type=Path, help="sleep while this file exists")


def supply_of(material: Material, options: argparse.Namespace, seed: int, *, held_out: bool = False) -> Supply:
    """What the command line's scenes are made of. held_out: of photographs that are never trained on."""
    composer = Composer(material, seed, options.sprites)
    if options.photographs is None:
        return Supply(composer)
    photographs = read_photographs(options.photographs, options.faces)[held_out]
    print(f"{len(photographs)} photographs with {sum(len(p.boxes) for p in photographs)} faces", flush=True)
    return Supply(composer, [shot(one) for one in photographs], options.photographed)


def main(arguments: list[str] | None = None) -> None:
    """Trains as the command line says."""
    options = parse(arguments)
    prepare_process()
    trained, _ = read_material(options.material, options.more_backgrounds, options.hand, options.head)
    print(
        f"{len(trained.portraits)} portraits, {len(trained.backgrounds)} backgrounds, "
        f"{'hands' if trained.hand else 'no hands (--hand)'}, {'heads' if trained.head else 'no heads (--head)'}",
        flush=True,
    )
    train(begin(options), supply_of(trained, options, options.seed), options)


def prepare_process() -> None:
    """Neither OpenCV's threads nor OpenMP's survive the fork of the processes beside."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    keep_memory()


def train(state: State, source: Source, options: argparse.Namespace) -> None:
    """Trains on what the source gives, with other trainers beside."""
    choose_onednn(state.model)
    print(f"{count_parameters(state.model)} parameters, {count_macs(state.model) / 1e6:.0f} MMAC at 640", flush=True)
    # A resumed run must not see the scenes of its beginning once more.
    seen = int(state.before["step"]) + state.progress.step
    feed = Feed(source, options.seed + seen, options.workers, options.pause_file)
    context = multiprocessing.get_context("fork")
    beside = [
        context.Process(target=assist, args=(state, feed, options), daemon=True) for _ in range(options.trainers - 1)
    ]
    for trainer in beside:
        trainer.start()
    try:
        run(state, feed, options)
    finally:
        for trainer in beside:
            trainer.terminate()
        feed.close()


if __name__ == "__main__":
    main()
