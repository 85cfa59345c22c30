"""The command line: arguments, errors and exit status; the work is imported late."""

import argparse
import sys

import skad
from skad._cli._errors import CommandError

_EPILOG = """\
exit status:
  0  done
  1  done, but a data file could not be read (compare)
  2  wrong arguments or input
  130  interrupted; what was computed is kept (compare)
"""


def main(argv=None):
    """Run ``python -m skad`` with these arguments; return the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or (argv[0][0:1] == "-" and argv[0] not in _OF_THE_TOP):
        argv.insert(0, "compare")
    try:
        args = _parser().parse_args(argv)
        return args.run(args)
    except SystemExit as stop:  # argparse has said why
        return stop.code or 0
    except (CommandError, OSError) as error:
        print(f"skad: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("skad: interrupted", file=sys.stderr)
        return 130


_OF_THE_TOP = ("-h", "--help", "--version")


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m skad",
        description="Find anomalies in a file, or compare anomaly detectors on data "
        "with known anomalies.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"skad {skad.__version__}"
    )
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    _add_compare(commands)
    _add_detect(commands)
    return parser


def _add_compare(commands):
    parser = commands.add_parser(
        "compare",
        help="compare detectors on real data and write a report (the default)",
        description="Compare detectors with baselines on data of each kind, shipped "
        "or generated, or on your own, and write a report. Called again with the same "
        "output folder, it goes on where it was interrupted.",
    )
    add = parser.add_argument
    add(
        "--kind",
        metavar="A,B",
        type=_names,
        help="only these kinds of data: tables, payments, images, surfaces, zero-shot, "
        "series, fleets, networks, videos (default: all, or tables if --data is given)",
    )
    add(
        "--data",
        metavar="DIR",
        help="a folder of data sets of one kind, each a file (.npz, .csv, .tsv, "
        ".parquet) or a folder with train and test; for what is in them see the user "
        "guide",
    )
    add(
        "--label",
        metavar="COLUMN",
        help="the column of tables that tells the anomalies (default: label)",
    )
    add(
        "--drop",
        metavar="A,B",
        type=_names,
        help="columns of tables to leave out",
    )
    add(
        "--image-size",
        metavar="N",
        type=_size,
        help="resize image files and frames to N, or HEIGHTxWIDTH (default: as they "
        "are)",
    )
    add(
        "--datasets",
        metavar="A,B",
        type=_names,
        help="only these data sets, the files' names without ending if --data is given",
    )
    add("--detectors", metavar="A,B", type=_names, help="only these detectors")
    add(
        "--seeds",
        metavar="N",
        type=_positive,
        help="splits of each data set (default: 5; with --quick 2 for tables, else 1)",
    )
    add(
        "--max-samples",
        metavar="N",
        type=_positive,
        default=10_000,
        help="rows used of a larger data set (default: 10000)",
    )
    add(
        "--quick",
        action=argparse.BooleanOptionalAction,
        help="small nets and few epochs, for a first look (default: yes, no if --data "
        "is given)",
    )
    add("--n-jobs", metavar="N", type=int, help="runs at the same time (default: 1)")
    _add_report_options(add)
    parser.set_defaults(run=_run_compare)


def _add_report_options(add):
    add(
        "--output",
        metavar="DIR",
        default="skad-report",
        help="folder of the report (default: skad-report)",
    )
    add("--fresh", action="store_true", help="forget the finished runs in that folder")
    add("--json", action="store_true", help="print the result as JSON")


def _add_detect(commands):
    parser = commands.add_parser(
        "detect",
        help="score the rows of a table and say what makes them strange",
        description="Score every row of a table (CSV, Parquet, npz) without labels. "
        "Numbers, text, categories, times and missing values are taken as they come.",
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="a table: .csv, .tsv, .parquet or .npz")
    add(
        "--output",
        metavar="FILE",
        help="where the scores go, .csv or .parquet (default: beside FILE, its name "
        "with -scores.csv)",
    )
    add(
        "--contamination",
        metavar="SHARE",
        type=float,
        default=0.1,
        help="share of rows to label -1; scores do not depend on it (default: 0.1)",
    )
    add(
        "--top",
        metavar="N",
        type=_positive,
        default=10,
        help="strangest rows to print (default: 10)",
    )
    add(
        "--drop",
        metavar="A,B",
        type=_names,
        default=[],
        help="columns to leave out: identifiers, known labels",
    )
    add("--seed", metavar="N", type=int, default=0, help="random state (default: 0)")
    add("--n-jobs", metavar="N", type=int, help="processors to use (default: 1)")
    parser.set_defaults(run=_run_detect)


def _run_compare(args):
    from skad._cli._compare import run

    return run(args)


def _run_detect(args):
    from skad._cli._detect import run

    return run(args)


def _names(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("expected names separated by commas")
    return names


def _size(text):
    sides = [_positive(side) for side in text.split("x")]
    if len(sides) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not N or HEIGHTxWIDTH")
    return sides[0], sides[-1]


def _positive(text):
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return number
