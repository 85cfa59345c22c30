"""Measure CAnemon on networks; prints the tables of the docs. In the folder asv_bench:

    python -m experiments.networks traffic FOLDER TRAFFIC.csv --seeds 5
    python -m experiments.networks traffic FOLDER TRAFFIC.csv --variants CAnemon
    python -m experiments.networks unseen FOLDER UNSEEN.csv --seeds 3
    python -m experiments.networks lte FOLDER LTE.csv --seeds 3
    python -m experiments.networks ran FOLDER RAN.csv --seeds 3
    python -m experiments.networks cells CELLS.csv --seeds 5
    python -m experiments.networks alarms ALARMS.csv --seeds 3
    python -m experiments.networks size SIZE.csv

FOLDER, or the environment variable SKAD_DATA if it is left out, holds NumPy archives:
traffic_graph (x, adj), LTE_cells (X, y, minute_of_day, cell) and RAN_RIC_AD (X, ue,
columns, y). The file gets the lines of a run as soon as they are there, and what it
holds is not run again.

`traffic` puts faults and shocks into a week of METR-LA, learns from the first four
days and scores the others. `unseen` learns from half of the nodes and scores the other
half. `lte` and `ran` score labelled rows of radio cells and of phones, learned from as
they are, or only from normal ones. `cells` scores simulated radio cells, and `alarms`
counts the rows of such that are flagged where nothing happens. `size` measures seconds
and memory.

PyOD's detectors of nodes in a graph (ANOMALOUS, AnomalyDAE, CoLA, CONAD, DOMINANT,
GUIDE, Radar and SCAN) are not among them. All need torch_geometric, those too that do
not learn a net: they take their data as one of its classes. They score nodes that are
seen once, where those of `traffic` are series. LUNAR, a net on the graph of nearest
rows that needs none of it, is in `ran`.
"""

import argparse
import os
from pathlib import Path

from experiments.networks.alarms import alarms
from experiments.networks.cells import cells
from experiments.networks.detectors import VARIANTS
from experiments.networks.lte import lte
from experiments.networks.ran import ran
from experiments.networks.size import size
from experiments.networks.traffic import traffic
from experiments.networks.unseen import unseen

_WITHOUT_DATA = {"cells": cells, "alarms": alarms, "size": size}
_COMMANDS = {"unseen": unseen, "lte": lte, "ran": ran, **_WITHOUT_DATA}


def main():
    """Read the command line, and do what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    for name in ("traffic", *_COMMANDS):
        command = commands.add_parser(name)
        default = os.environ.get("SKAD_DATA")
        command.add_argument("folder", type=Path, nargs="?", default=default)
        command.add_argument("file", type=Path)
        command.add_argument("--seeds", type=int, default=3)
        command.add_argument("--jobs", type=int, default=1)
    variants = commands.choices["traffic"].add_argument("--variants", nargs="+")
    variants.choices, variants.default = VARIANTS, list(VARIANTS)
    given = parser.parse_args()
    if given.folder is None and given.command not in _WITHOUT_DATA:
        parser.error("name a folder, or set SKAD_DATA")
    if given.command == "traffic":
        traffic(given.folder, given.file, given.variants, given.seeds, given.jobs)
    else:
        _COMMANDS[given.command](given.folder, given.file, given.seeds, given.jobs)


if __name__ == "__main__":
    main()
