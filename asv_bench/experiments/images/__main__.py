"""Measure detectors of images; prints the tables of the docs. In the folder asv_bench:

    python -m experiments.images tile FOLDER TILE.csv --seeds 3
    python -m experiments.images digits FOLDER DIGITS.csv --seeds 3
    python -m experiments.images surfaces SURFACES.csv --seeds 3
    python -m experiments.images brain FOLDER BRAIN.csv --seeds 3
    python -m experiments.images ablations FOLDER ABLATIONS.csv --seeds 3
    python -m experiments.images teachers FOLDER TEACHERS.csv --seeds 3
    python -m experiments.images classes CLASSES.csv --seeds 3
    python -m experiments.images throughput THROUGHPUT.csv --seeds 3

FOLDER, or the environment variable SKAD_DATA if it is left out, holds NumPy archives
at any depth: magnetic_tile_96 (X, y, mask), mnist_t10k (X, digit) and brain_mri_128
(X, y). The file gets the lines of a run as soon as they are there, and what it holds
is not run again.

The first four compare detectors: of pixels, and of the features of a teacher that
MDDNet trains itself. `tile` has magnetic tiles with defects; those to score show tiles
that were learned from, or only other ones. `digits` has five digits as normal ones,
then all ten, some of them damaged. `ablations` leaves out parts of MDDNet, `teachers`
puts a teacher that is trained beside a random one, and `classes` one net for all
categories beside one for each. `throughput` counts images a second, also in a loop of
plain torch over the same net.
"""

import argparse
import os
from functools import partial
from pathlib import Path

from experiments.images.classes import classes
from experiments.images.compare import ablations, compare, teachers
from experiments.images.throughput import throughput

_WITHOUT_DATA = ("surfaces", "classes", "throughput")
_COMMANDS = {
    name: partial(compare, name) for name in ("tile", "digits", "surfaces", "brain")
} | {
    "ablations": ablations,
    "teachers": teachers,
    "classes": classes,
    "throughput": throughput,
}


def main():
    """Read the command line, and do what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    for name in _COMMANDS:
        command = commands.add_parser(name)
        default = os.environ.get("SKAD_DATA")
        command.add_argument("folder", type=Path, nargs="?", default=default)
        command.add_argument("file", type=Path)
        command.add_argument("--seeds", type=int, default=3)
        command.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.folder is None and given.command not in _WITHOUT_DATA:
        parser.error("name a folder, or set SKAD_DATA")
    _COMMANDS[given.command](given.folder, given.file, given.seeds, given.jobs)


if __name__ == "__main__":
    main()
