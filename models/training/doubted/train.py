"""python -m models.training.doubted.train: weights for closer looks, from those whose doubts were collected."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.training.doubted.sheets import Pool
from models.training.run.train import ask_for_a_run, begin, prepare_process, train


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.doubted.train", description=__doc__)
    parser.add_argument("--cells", type=Path, default=Path("build/training/cells"), help="folder of collect")
    ask_for_a_run(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Trains as the command line says."""
    options = parse(arguments)
    prepare_process()
    train(begin(options), Pool(options.cells), options)


if __name__ == "__main__":
    main()
