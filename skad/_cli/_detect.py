"""``python -m skad detect``: score a table, explain its strangest rows."""

import shutil
import sys
import textwrap
from pathlib import Path

import numpy as np

from skad._cli._errors import CommandError, require

MIN_ROWS = 10
MAX_EXPLAINED = 10_000
N_REASONS = 3


def run(args):
    """Score a file as the arguments say; return the exit status."""
    require(["pandas"], extra="table")
    if {Path(args.file).suffix.lower(), _output(args).suffix.lower()} & {".parquet"}:
        require(["pyarrow"], extra="table")
    from skad._cli._table import prepare, read_table

    output = _checked_output(args)
    table, notes = read_table(args.file)
    if len(table) < MIN_ROWS:
        raise CommandError(
            f"{args.file} has {len(table)} rows; expected at least {MIN_ROWS}."
        )
    X, more_notes = prepare(table, args.drop)
    for note in notes + more_notes:
        _say(note)
    _say(f"looking at {X.shape[0]:,} rows, {X.shape[1]} columns")
    scores, labels, attributions = _detect(X, args)
    result = _result(table[X.columns], scores, labels, attributions)
    print(_as_text(result, args.top))
    _write(result, output)
    return 0


def _output(args):
    if args.output is not None:
        return Path(args.output)
    path = Path(args.file)
    return path.with_name(f"{path.stem}-scores.csv")


def _checked_output(args):
    """Where to write; refused before anything is computed."""
    output = _output(args)
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise CommandError(f"{output}: unknown ending; known are .csv, .parquet.")
    if output.resolve() == Path(args.file).resolve():
        raise CommandError(f"{output} is the input; choose another output.")
    if not output.resolve().parent.is_dir():
        raise CommandError(f"{output.parent} is not a folder.")
    return output


def _detect(X, args):
    """Scores and labels of all rows, attributions of the strangest (NaN others)."""
    from skad import UnsupervisedRandomForest

    detector = UnsupervisedRandomForest(
        categorical_features="from_dtype",
        contamination=args.contamination,
        n_jobs=args.n_jobs,
        random_state=args.seed,
    )
    try:
        detector.fit(X)
    except ValueError as error:
        raise CommandError(str(error).splitlines()[0]) from error
    scores = detector.score_samples(X)
    labels = np.where(scores < detector.offset_, -1, 1)
    strangest = np.argsort(scores, kind="stable")[:MAX_EXPLAINED]
    attributions = np.full(X.shape, np.nan)
    attributions[strangest] = detector.explain(X.iloc[strangest])
    if len(strangest) < len(X):
        _say(f"the {MAX_EXPLAINED:,} strangest rows are explained")
    return scores, labels, attributions


def _result(table, scores, labels, attributions):
    """One row a row of the input, in its order, counted from 1."""
    import pandas as pd

    result = {"row": np.arange(1, len(table) + 1), "score": scores, "label": labels}
    order = np.argsort(-attributions, axis=1, kind="stable")  # NaN comes last
    rows = np.arange(len(table))
    names = table.columns.to_numpy(object)
    values = table.astype(object).to_numpy()
    for place in range(min(N_REASONS, len(names))):
        chosen = order[:, place]
        attribution = attributions[rows, chosen]
        given = attribution > 0
        value = pd.Series(values[rows, chosen], dtype=object).map(_shown)
        result[f"feature_{place + 1}"] = np.where(given, names[chosen], None)
        result[f"value_{place + 1}"] = np.where(given, value, None)
        result[f"attribution_{place + 1}"] = np.where(given, attribution, np.nan)
    return pd.DataFrame(result)


def _shown(value):
    import pandas as pd

    if pd.isna(value):
        return "missing"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _as_text(result, top):
    """The strangest rows as a table as wide as the terminal."""
    strangest = result.nsmallest(top, "score")
    n_anomalies = int((result["label"] == -1).sum())
    width = shutil.get_terminal_size().columns
    lines = [
        f"The {len(strangest)} strangest of {len(result):,} rows; "
        f"{n_anomalies:,} are labelled -1.",
        "",
        f"{'row':>8}{'score':>10}{'label':>7}  because of",
    ]
    for row in strangest.itertuples():
        start = f"{row.row:>8}{row.score:>10.4f}{row.label:>7}  "
        lines += textwrap.wrap(
            _reasons(row), width, initial_indent=start, subsequent_indent=" " * 27
        ) or [start.rstrip()]
    lines += ["", "The lower the score, the stranger; row 1 is the first of the table."]
    return "\n".join(lines)


def _reasons(row):
    reasons = []
    for place in range(1, N_REASONS + 1):
        name = getattr(row, f"feature_{place}", None)
        if isinstance(name, str):
            value = textwrap.shorten(getattr(row, f"value_{place}"), 40)
            share = getattr(row, f"attribution_{place}")
            reasons.append(f"{name} = {value} ({share:.3f})")
    return ", ".join(reasons)


def _write(result, output):
    replaced = output.exists()
    if output.suffix.lower() == ".parquet":
        result.to_parquet(output, index=False)
    else:
        result.to_csv(output, index=False)
    if replaced:
        _say(f"{output} was there and has been replaced")
    _say(f"scores of all rows: {output}")


def _say(message):
    print(f"skad: {message}", file=sys.stderr)
