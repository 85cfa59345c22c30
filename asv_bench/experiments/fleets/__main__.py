"""Measure M2AD on fleets; prints the tables of the docs.

    python asv_bench/experiments/fleets events FOLDER EVENTS.csv
    python asv_bench/experiments/fleets events FOLDER EVENTS.csv --sets SMD --seeds 3
    python asv_bench/experiments/fleets ablation FOLDER ABLATION.csv
    python asv_bench/experiments/fleets causes FOLDER CAUSES.csv --only "M2AD, ridge"
    python asv_bench/experiments/fleets oil FOLDER OIL.csv
    python asv_bench/experiments/fleets fleet --only "M2AD, ridge"

FOLDER holds SMD, ASD, SMAP and MSL (train, test, label; SMD and ASD also
interpretation_label), oil3W (x, cls) and SKAB (x, label) as NumPy archives. The file
gets the lines of a run as soon as they are there, and what it holds is not run again.

`events` counts events as the paper does: flagged rows are padded by fifty rows on both
sides and merged; an event is found if an alarm overlaps it, and an alarm is false if it
overlaps none. Beside it are the detector's own intervals, as many flags at random, the
same alarms at another time, and the alarm that never ends. `ablation` does it for
thresholds and densities. `causes` ranks the sensors of labelled events, `oil` measures
wells and the runs of a water circuit as systems of one model or of many, and `fleet`
measures seconds and memory of simulated machines.
"""

import argparse
from pathlib import Path

from detectors import DETECTORS
from events import ablation, events
from root_causes import root_causes
from speed import speed
from wells import wells


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    for name in ("events", "ablation", "causes", "oil", "fleet"):
        command = commands.add_parser(name)
        if name != "fleet":
            command.add_argument("folder", type=Path)
            command.add_argument("file", type=Path)
        default = list(DETECTORS)
        command.add_argument("--only", nargs="+", choices=DETECTORS, default=default)
    sets = ["SMD", "SMAP", "MSL"]
    for name in ("events", "ablation"):
        commands.choices[name].add_argument("--sets", nargs="+", default=sets)
    commands.choices["events"].add_argument("--seeds", type=int, default=1)
    commands.choices["fleet"].add_argument("--systems", nargs="+", type=int)
    commands.choices["fleet"].set_defaults(systems=[7, 14, 28])
    commands.choices["fleet"].add_argument("--sensors", type=int, default=38)
    commands.choices["fleet"].add_argument("--steps", type=int, default=24_000)
    for name in ("events", "ablation", "causes", "oil"):
        commands.choices[name].add_argument("--jobs", type=int, default=1)
    commands.choices["fleet"].add_argument("--jobs", nargs="+", type=int)
    commands.choices["fleet"].set_defaults(jobs=[1, 2])
    run(parser.parse_args())


def run(given):
    """Do what was asked for."""
    if given.command == "events":
        chosen = (given.sets, given.only, given.seeds)
        events(given.folder, given.file, *chosen, given.jobs)
    elif given.command == "ablation":
        ablation(given.folder, given.file, given.sets, given.only, given.jobs)
    elif given.command == "causes":
        root_causes(given.folder, given.file, given.only, given.jobs)
    elif given.command == "oil":
        wells(given.folder, given.file, given.only, given.jobs)
    else:
        shape = (given.systems, given.sensors, given.steps)
        for name in given.only:
            speed(name, *shape, given.jobs)


if __name__ == "__main__":
    main()
