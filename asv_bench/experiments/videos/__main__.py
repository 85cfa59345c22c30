"""Measure detectors of videos; prints the tables of the docs. In the folder asv_bench:

    python -m experiments.videos compare FOLDER COMPARE.csv --seeds 2
    python -m experiments.videos others FOLDER OTHERS.csv --seeds 4
    python -m experiments.videos ablations FOLDER ABLATIONS.csv --seeds 1
    python -m experiments.videos speed SPEED.csv --seeds 1

FOLDER, or the environment variable SKAD_DATA if it is left out, holds ped2_96x64.npz at
any depth: train, test (frames of 64 x 96 pixels), train_clip, test_clip (the video of
each), label (1: anomaly) and mask (bits, of the shape mask_shape). The file gets the
lines of a run as soon as they are there, and what it holds is not run again.

`compare` learns from all videos to learn from, and scores the others. `others` keeps a
quarter of those to learn from out in turn, and scores them as well. `ablations` leaves
out parts of MiddleFramePredictor. `speed` counts clips a second of several sizes, also
in a loop of plain torch over the same net.
"""

import argparse
import os
from pathlib import Path

from experiments.videos.compare import ablations, compare, others
from experiments.videos.speed import speed

_COMMANDS = {
    "compare": compare,
    "others": others,
    "ablations": ablations,
    "speed": speed,
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
        command.add_argument("--seeds", type=int, default=2)
        command.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.folder is None and given.command != "speed":
        parser.error("name a folder, or set SKAD_DATA")
    _COMMANDS[given.command](given.folder, given.file, given.seeds, given.jobs)


if __name__ == "__main__":
    main()
