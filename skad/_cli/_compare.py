"""``python -m skad compare``: run, print a table, write the report."""

import json
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

from skad._cli._errors import CommandError, plural, require


def run(args):
    """Compare as the arguments say; return the exit status."""
    require(["jinja2", "matplotlib", "pandas", "pyod"], extra="benchmark")
    from skad.benchmark import Comparison
    from skad.benchmark._store import Store

    plan, unread = _plan(args)
    for message in unread:
        _say(f"error: {message}")
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.jsonl"
    if args.fresh:
        results.unlink(missing_ok=True)
    comparison = Comparison(plan, _collect(plan, Store(results)))
    command = _write(comparison, folder, args, unread)
    if args.json:
        print(_as_json(comparison, command, unread))
    else:
        print(_as_text(comparison))
    _say_where(comparison, folder)
    if comparison.interrupted:
        return 130
    return 1 if unread else 0


def _plan(args):
    from skad.benchmark import default_datasets, default_detectors
    from skad.benchmark._compare import Plan
    from skad.benchmark._data import read_folder

    try:
        detectors = default_detectors(args.detectors)
        if args.data is None:
            datasets, unread = default_datasets(args.datasets), []
        else:
            datasets, unread = read_folder(
                args.data, args.datasets, max_samples=args.max_samples
            )
        if not datasets:
            raise CommandError(f"no data set could be read: {'; '.join(unread)}")
        plan = Plan(
            detectors,
            datasets,
            seeds=args.seeds,
            max_samples=args.max_samples,
            n_jobs=args.n_jobs,
        )
    except ValueError as error:
        raise CommandError(error) from error
    return plan, unread


def _collect(plan, store):
    """The records of all runs, or of those before an interruption."""
    records = []
    try:
        # The standard output is the result's; a detector may print what it likes.
        with redirect_stdout(sys.stderr):
            for record in plan.runs(store, progress=True):
                records.append(record)
    except KeyboardInterrupt:
        _say(f"interrupted after {len(records)} of {len(plan)} runs")
    return records


def _write(comparison, folder, args, unread):
    comparison.to_frame().to_csv(folder / "runs.csv", index=False)
    comparison.table().to_csv(folder / "summary.csv")
    command = _command(args)
    comparison.to_html(folder / "report.html", command=command, unread=unread)
    return command


def _command(args):
    """The command that asks for the same comparison, defaults left out."""
    words = ["python", "-m", "skad", "compare"]
    options = {
        "--data": args.data,
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
    return shlex.join(words)


def _as_json(comparison, command, unread):
    result = {"command": command, "unread": unread, **comparison.to_dict()}
    return json.dumps(result, indent=1, allow_nan=False)


def _as_text(comparison):
    """The summary for a terminal, with all that qualifies it."""
    from skad.benchmark._report import grouped

    table, n_datasets = comparison.table(), len(comparison.scores())
    if not n_datasets:
        return "\n".join(_run_lines(comparison.records))
    lines = [*_table_lines(table, n_datasets), ""]
    lines.append(
        f"Means over {plural(n_datasets, 'data set')}; "
        "± is the standard error over seeds."
    )
    if (table["n_datasets"] < n_datasets).any():
        lines.append("* failed on some: last there by rank, its other means without.")
    for failure in grouped(comparison.failures(), "error"):
        lines.append(
            f"{failure['detector']} failed on {failure['datasets']} "
            f"({plural(failure['n_runs'], 'run')}): {failure['message']}"
        )
    return "\n".join(lines)


def _run_lines(records):
    """The runs before all detectors had their turn."""
    yield "No data set was finished by all detectors; there is no table yet."
    for record in records:
        ok = record["status"] == "ok"
        result = f"AUROC {record['auroc']:.3f}" if ok else record["error"]
        yield f"{record['dataset']}, {record['detector']}: {result}"


def _table_lines(table, n_datasets):
    from skad.benchmark._report import decimal, seconds

    width = max(map(len, table.index)) + len(" *")
    heads = ("rank", "AUROC", "±", "avg. prec.", "fit s", "score s", "failed")
    yield " " * width + "".join(f"{head:>11}" for head in heads)
    for name, row in table.iterrows():
        mark = " *" if row["n_datasets"] < n_datasets else ""
        cells = (
            decimal(row["rank"], 2),
            decimal(row["auroc"]),
            decimal(row["auroc_se"]),
            decimal(row["average_precision"]),
            seconds(row["fit_seconds"]),
            seconds(row["score_seconds"]),
            f"{row['n_failed']:.0f}",
        )
        yield f"{name + mark:<{width}}" + "".join(f"{cell:>11}" for cell in cells)


def _say_where(comparison, folder):
    if comparison.n_reused:
        _say(f"{comparison.n_reused} runs are from an earlier call (see --fresh)")
    if comparison.interrupted:
        _say("the same command goes on from here")
    _say(f"report: {folder / 'report.html'}")


def _say(message):
    print(f"skad: {message}", file=sys.stderr)
