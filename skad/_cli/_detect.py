"""``python -m skad detect``: score a table, explain its strangest rows."""

import os
import shutil
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np

from skad._cli._errors import CommandError, plural, require

MIN_ROWS = 10
MAX_EXPLAINED = 10_000
N_USUAL = 1000
N_REASONS = 3


def run(args):
    """Score a file as the arguments say; return the exit status."""
    require(["pandas"], extra="table")
    output = _checked_output(args)
    if ".parquet" in {Path(args.file).suffix.lower(), output.suffix.lower()}:
        require(["pyarrow"], extra="table")
    from skad._cli._table import prepare
    from skad.datasets._table_files import read_table

    try:
        table, notes = read_table(args.file)
    except ValueError as error:
        raise CommandError(error) from error
    if len(table) < MIN_ROWS:
        raise CommandError(
            f"{args.file} has {plural(len(table), 'row')}; expected at least "
            f"{MIN_ROWS}."
        )
    X, more_notes = prepare(table, args.drop)
    for note in notes + more_notes:
        _say(note)
    _say(f"looking at {plural(X.shape[0], 'row')}, {plural(X.shape[1], 'column')}")
    scores, labels, strangest, attributions = _detect(X, args)
    result = _result(table[X.columns], scores, labels, strangest, attributions)
    _write(result, table, output)
    print(_as_text(result, args.top))
    return 0


def _checked_output(args):
    """Where to write; refused before anything is computed."""
    path = Path(args.file)
    output = Path(args.output or path.with_name(f"{path.stem}-scores.csv"))
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise CommandError(f"{output}: unknown ending; known are .csv, .parquet.")
    if output.resolve() == path.resolve():
        raise CommandError(f"{output} is the input; choose another output.")
    if not output.resolve().parent.is_dir():
        raise CommandError(f"{output.parent} is not a folder.")
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        raise CommandError(f"{output} cannot be written; choose another --output.")
    return output


def _detect(X, args):
    """Scores and labels of all rows, the strangest rows and what is odd about them."""
    from skad import UnsupervisedRandomForest

    detector = UnsupervisedRandomForest(
        categorical_features="from_dtype",
        contamination=args.contamination,
        n_jobs=args.n_jobs,
        random_state=args.seed,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            scores = detector._fit_scores(X)  # what fit computes and does not keep
        except ValueError as error:
            raise CommandError(str(error).splitlines()[0]) from error
        labels = np.where(scores < detector.offset_, -1, 1)
        strangest = np.argsort(scores, kind="stable")[:MAX_EXPLAINED]
        # A column of two categories parts any row from half of the others: what
        # counts is how much more it adds to the distance than it usually does.
        sample = np.linspace(0, len(X) - 1, min(len(X), N_USUAL)).astype(int)
        usual = detector.explain(X.iloc[sample]).mean(axis=0)
        attributions = detector.explain(X.iloc[strangest]) - usual
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        _say(message)
    if len(strangest) < len(X):
        _say(f"the {MAX_EXPLAINED:,} strangest rows are explained")
    return scores, labels, strangest, attributions


def _result(table, scores, labels, strangest, attributions):
    """One row a row of the input, in its order, counted from 1."""
    import pandas as pd

    rows = np.arange(len(table))
    result = pd.DataFrame({"row": rows + 1, "score": scores, "label": labels})
    order = np.argsort(-attributions, axis=1, kind="stable")
    names = table.columns.to_numpy(object)
    values = table.iloc[strangest].astype(object).to_numpy()
    explained = np.arange(len(strangest))
    for place in range(min(N_REASONS, len(names))):
        chosen = order[:, place]
        attribution = attributions[explained, chosen]
        reasons = pd.DataFrame(
            {
                f"feature_{place + 1}": names[chosen],
                f"value_{place + 1}": list(map(_shown, values[explained, chosen])),
                f"attribution_{place + 1}": attribution,
            },
            index=strangest,
        )
        result = result.join(reasons[attribution > 0])
    return result


def _shown(value):
    import pandas as pd

    if pd.isna(value):
        return "missing"
    if not isinstance(value, float | np.floating):
        return str(value)
    text = f"{value:.12g}"
    return text if len(text) <= 10 else f"{value:.6g}"


def _as_text(result, top):
    """The strangest rows as a table as wide as the terminal."""
    strangest = result.nsmallest(top, "score")
    n_anomalies = int((result["label"] == -1).sum())
    width = max(60, shutil.get_terminal_size().columns)
    lines = [
        f"The {len(strangest)} strangest of {plural(len(result), 'row')}; "
        f"{n_anomalies:,} labelled -1.",
        "",
        f"{'row':>8}{'score':>10}{'label':>7}  because of",
    ]
    for row in strangest.itertuples():
        start = f"{row.row:>8}{row.score:>10.4f}{row.label:>7}  "
        reasons = [reason.replace(" ", "\xa0") for reason in _reasons(row)]
        wrapped = textwrap.wrap(
            ", ".join(reasons),
            width,
            initial_indent=start,
            subsequent_indent=" " * 27,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [start.rstrip()]
        lines += [line.replace("\xa0", " ") for line in wrapped]
    lines += ["", "The lower the score, the stranger; row 1 is the first of the table."]
    lines += ["In parentheses: what a column adds to the score beyond the average."]
    if n_anomalies == 0:
        lines += ["No label is -1: too many rows share the lowest score."]
    return "\n".join(lines)


def _reasons(row):
    reasons = []
    for place in range(1, N_REASONS + 1):
        name = getattr(row, f"feature_{place}", None)
        if isinstance(name, str):
            value = textwrap.shorten(getattr(row, f"value_{place}"), 40)
            share = getattr(row, f"attribution_{place}")
            reasons.append(f"{name} = {value} ({share:.3f})")
    return reasons


def _write(result, table, output):
    """Scores and reasons, and after them the table that they belong to."""
    import pandas as pd

    while set(result.columns) & set(table.columns):
        result = result.add_prefix("skad_")
    replaced = output.exists()
    whole = pd.concat([result, table], axis=1)
    if output.suffix.lower() == ".parquet":
        try:
            whole.to_parquet(output, index=False)
        except (ValueError, TypeError, NotImplementedError) as error:
            line = str(error).splitlines()[0]
            raise CommandError(f"{output} cannot be written: {line}") from error
    else:
        whole.to_csv(output, index=False)
    if replaced:
        _say(f"{output} was there and has been replaced")
    _say(f"scores of all rows: {output}")


def _say(message):
    print(f"skad: {message}", file=sys.stderr)
