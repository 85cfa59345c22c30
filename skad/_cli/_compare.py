"""``python -m skad compare``: run, print tables, write the report."""

import json
import shlex
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from pathlib import Path

from skad._cli._errors import CommandError, plural, require

# Of a quick comparison: tables need seconds, nets more.
_QUICK_SEEDS, _QUICK_SEEDS_OF_NETS, _SEEDS = 2, 1, 5

# How the files of a folder are read.
_OF_TABLES, _OF_PICTURES = ("label", "drop"), ("image_size",)


def run(args):
    """Compare as the arguments say; return the exit status."""
    require(["jinja2", "matplotlib", "pandas", "pyod"], extra="benchmark")
    from skad.benchmark import Comparison
    from skad.benchmark._store import Store

    plans, unread = _plans(args)
    for message in unread:
        _say(f"error: {message}")
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.jsonl"
    if args.fresh:
        results.unlink(missing_ok=True)
    records = _collect(plans, Store(results))
    comparisons = {
        kind: Comparison(plan, records[kind]) for kind, plan in plans.items()
    }
    command = _write(comparisons, folder, args, unread)
    if args.json:
        print(_as_json(comparisons, command, unread))
    else:
        print("\n\n".join(_as_text(*item) for item in comparisons.items()))
    _say_where(comparisons, folder)
    if any(comparison.interrupted for comparison in comparisons.values()):
        return 130
    return 1 if unread else 0


def _plans(args):
    """What is to be compared, by kind of data, and what could not be read."""
    from skad.benchmark._compare import Plan

    quick = args.data is None if args.quick is None else args.quick
    plans, unread = {}, []
    try:
        for kind, (detectors, names) in _wanted(args).items():
            datasets, errors = _datasets(args, kind, names)
            unread += errors
            plans[kind] = Plan(
                _detectors(detectors, kind, quick),
                datasets,
                seeds=args.seeds or _seeds(kind, quick),
                max_samples=args.max_samples,
                n_jobs=args.n_jobs,
            )
    except (ImportError, ValueError) as error:
        raise CommandError(error) from error
    return plans, unread


def _wanted(args):
    """The kinds of data, each with those names asked for that belong to it."""
    from skad.benchmark import list_kinds
    from skad.benchmark._data import known_datasets
    from skad.benchmark._folder import is_visual
    from skad.benchmark._registry import check_kind, known_detectors

    if args.data is not None:
        kinds = args.kind or ["tables"]
        if len(kinds) > 1:
            raise CommandError(f"--data holds one kind of data; --kind names {kinds}.")
        kind = check_kind(kinds[0])
        others = _OF_TABLES if is_visual(kind) else _OF_PICTURES
        _refuse(_given(args, *others), f"is not for {kind}")
        return {kind: (args.detectors, args.datasets)}
    _refuse(_given(args, *_OF_TABLES, *_OF_PICTURES), "is for files and needs --data")
    kinds = [check_kind(kind) for kind in args.kind or list_kinds()]
    detectors = _shared_out("detector", args.detectors, kinds, known_detectors(kinds))
    datasets = _shared_out("data set", args.datasets, kinds, known_datasets(kinds))
    wanted = {kind: (detectors[kind], datasets[kind]) for kind in kinds}
    wanted = {kind: names for kind, names in wanted.items() if [] not in names}
    if not wanted:
        raise CommandError(
            "no kind of data has both one of the detectors and one of the data sets."
        )
    return wanted


def _refuse(options, why):
    for name in options:
        raise CommandError(f"--{name.replace('_', '-')} {why}.")


def _given(args, *names):
    """Those of the options that have been given, by name."""
    options = {name: getattr(args, name) for name in names}
    return {name: value for name, value in options.items() if value is not None}


def _shared_out(what, names, kinds, known):
    """Those of the names that each kind knows; None, for all, where none is asked."""
    from skad.benchmark._registry import folded

    if names is None:
        return dict.fromkeys(kinds)
    for name in names:
        if not any(folded(name) in known[kind] for kind in kinds):
            choices = {choice for kind in kinds for choice in known[kind].values()}
            raise CommandError(
                f"unknown {what} {name!r}; known are {', '.join(sorted(choices))}."
            )
    return {
        kind: [
            known[kind][folded(name)] for name in names if folded(name) in known[kind]
        ]
        for kind in kinds
    }


def _detectors(names, kind, quick):
    from skad.benchmark import default_detectors

    return default_detectors(names, kind=kind, quick=quick)


def _datasets(args, kind, names):
    from skad.benchmark import default_datasets
    from skad.benchmark._folder import read_folder

    if args.data is None:
        return default_datasets(names, kind=kind), []
    datasets, unread = read_folder(
        args.data,
        names,
        kind=kind,
        max_samples=args.max_samples,
        **_given(args, *_OF_TABLES, *_OF_PICTURES),
    )
    if not datasets:
        raise CommandError(f"no data set could be read: {'; '.join(unread)}")
    return datasets, unread


def _seeds(kind, quick):
    if not quick:
        return _SEEDS
    return _QUICK_SEEDS if kind == "tables" else _QUICK_SEEDS_OF_NETS


def _collect(plans, store):
    """The records of all runs by kind, or of those before an interruption."""
    records = {kind: [] for kind in plans}
    try:
        # The standard output is the result's; a detector may print what it likes.
        with redirect_stdout(sys.stderr):
            for kind, plan in plans.items():
                for record in plan.runs(store, progress=True):
                    records[kind].append(record)
    except (KeyboardInterrupt, BrokenProcessPool) as error:
        n_done, n_asked = sum(map(len, records.values())), sum(map(len, plans.values()))
        _say(f"interrupted after {n_done} of {n_asked} runs")
        if isinstance(error, BrokenProcessPool):
            _say("a process died, perhaps for want of memory; --n-jobs 1 needs less")
    return records


def _write(comparisons, folder, args, unread):
    import pandas as pd

    from skad.benchmark import write_report

    runs = {kind: comparison.to_frame() for kind, comparison in comparisons.items()}
    runs = pd.concat(runs, names=["kind"]).reset_index("kind")
    runs["warnings"] = runs["warnings"].map("; ".join, na_action="ignore")
    runs.to_csv(folder / "runs.csv", index=False)
    tables = {kind: comparison.table() for kind, comparison in comparisons.items()}
    pd.concat(tables, names=["kind"]).to_csv(folder / "summary.csv")
    command = _command(args)
    write_report(comparisons, folder / "report.html", command=command, unread=unread)
    return command


def _command(args):
    """The command that asks for the same comparison, defaults left out."""
    words = ["python", "-m", "skad", "compare"]
    options = {
        "--kind": args.kind and ",".join(args.kind),
        "--data": args.data,
        "--label": args.label,
        "--drop": args.drop and ",".join(args.drop),
        "--image-size": args.image_size and "x".join(map(str, args.image_size)),
        "--datasets": args.datasets and ",".join(args.datasets),
        "--detectors": args.detectors and ",".join(args.detectors),
        "--seeds": args.seeds,
        "--max-samples": None if args.max_samples == 10_000 else args.max_samples,
        "--n-jobs": args.n_jobs,
        "--output": None if args.output == "skad-report" else args.output,
    }
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    if args.quick is not None:
        words.append("--quick" if args.quick else "--no-quick")
    return shlex.join(words)


def _as_json(comparisons, command, unread):
    results = {kind: comparison.to_dict() for kind, comparison in comparisons.items()}
    result = {"command": command, "unread": unread, "kinds": results}
    return json.dumps(result, indent=1, allow_nan=False)


def _as_text(kind, comparison):
    """The summary of a kind for a terminal, with all that qualifies it."""
    from skad.benchmark._words import grouped

    table, n_datasets = comparison.table(), len(comparison.scores())
    if not n_datasets:
        return "\n".join(_run_lines(kind, comparison.records))
    lines = [*_table_lines(kind, comparison, table, n_datasets)]
    n_seeds = len(comparison.plan.seeds)
    means = f"Means over {plural(n_datasets, 'data set')}, {plural(n_seeds, 'seed')}"
    error = "" if n_seeds == 1 else "; ± is the standard error over seeds"
    lines.append(f"{means}{error}.")
    if (table["n_datasets"] < n_datasets).any():
        lines.append("* failed on some: last there by rank, its other means without.")
    for failure in grouped(comparison.failures(), "error"):
        lines.append(
            f"{failure['detector']} failed on {failure['datasets']} "
            f"({plural(failure['n_runs'], 'run')}): {failure['message']}"
        )
    return "\n".join(lines)


def _run_lines(kind, records):
    """The runs before all detectors had their turn."""
    yield f"{kind}: no data set was finished by all detectors; there is no table yet."
    for record in records:
        ok = record["status"] == "ok"
        result = f"AUROC {record['auroc']:.3f}" if ok else record["error"]
        yield f"{record['dataset']}, {record['detector']}: {result}"


def _table_lines(kind, comparison, table, n_datasets):
    from skad.benchmark._words import MEASURE_NAMES, decimal, seconds

    heads = {**MEASURE_NAMES, "average_precision": "avg. prec."}
    first, *others = comparison.measures()
    columns = {
        "rank": ("rank", lambda value: decimal(value, 2)),
        first: (heads[first], decimal),
        f"{first}_se": ("±", decimal),
        **{name: (heads[name], decimal) for name in others},
        "fit_seconds": ("fit s", seconds),
        "score_seconds": ("score s", seconds),
        "n_failed": ("failed", lambda value: f"{value:.0f}"),
    }
    width = max(len(kind), *map(len, table.index)) + len(" *")
    line = "".join(f"{head:>12}" for head, _ in columns.values())
    yield f"{kind:<{width}}{line}"
    for name, row in table.iterrows():
        mark = " *" if row["n_datasets"] < n_datasets else ""
        cells = "".join(f"{show(row[key]):>12}" for key, (_, show) in columns.items())
        yield f"{name + mark:<{width}}{cells}"


def _say_where(comparisons, folder):
    n_reused = sum(comparison.n_reused for comparison in comparisons.values())
    if n_reused:
        _say(f"{plural(n_reused, 'run')} of an earlier call used again (see --fresh)")
    if any(comparison.interrupted for comparison in comparisons.values()):
        _say("the same command goes on from here")
    _say(f"report: {folder / 'report.html'}")


def _say(message):
    print(f"skad: {message}", file=sys.stderr)
