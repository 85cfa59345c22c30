"""Measure GenCLIP; prints the tables of the docs. In the folder asv_bench:

    python -m experiments.zero_shot surfaces SURFACES.csv --seeds 2
    python -m experiments.zero_shot photographs FOLDER PHOTOGRAPHS.csv --seeds 2
    python -m experiments.zero_shot throughput THROUGHPUT.csv --seeds 3
    python -m experiments.zero_shot large LARGE.csv --seeds 1

FOLDER, or the environment variable SKAD_DATA if it is left out, holds NumPy archives
at any depth: magnetic_tile_96 (X, y, mask) and mnist_t10k (X, digit). The file gets the
lines of a run as soon as they are there, and what it holds is not run again. The CLIPs
that are trained lie beside it.

`surfaces` learns prompts from three kinds of simulated surfaces, and scores the two
others, of which neither the CLIP nor the prompts saw an image; it also leaves out parts
of GenCLIP. `photographs` learns from all five kinds, and scores magnetic tiles and
damaged digits. `throughput` counts images a second, also in a loop of plain torch over
the same net. `large` takes a CLIP of the sizes of ViT-B/16 with random weights.
"""

import argparse
import os
from pathlib import Path

from experiments.zero_shot.compare import photographs, surfaces
from experiments.zero_shot.speed import large, throughput

_COMMANDS = {
    "surfaces": surfaces,
    "photographs": photographs,
    "throughput": throughput,
    "large": large,
}


def main():
    """Read the command line, and do what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    for name in _COMMANDS:
        command = commands.add_parser(name)
        if name == "photographs":
            default = os.environ.get("SKAD_DATA")
            command.add_argument("folder", type=Path, nargs="?", default=default)
        command.add_argument("file", type=Path)
        command.add_argument("--seeds", type=int, default=2)
        command.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    folder = getattr(given, "folder", None)
    if folder is None and given.command == "photographs":
        parser.error("name a folder, or set SKAD_DATA")
    _COMMANDS[given.command](folder, given.file, given.seeds, given.jobs)


if __name__ == "__main__":
    main()
