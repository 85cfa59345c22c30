"""The report: one HTML file that holds its figures and its style."""

import os
import platform
import re
from datetime import datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader

from skad.benchmark._plots import dot_plot, time_plot
from skad.benchmark._problem import TEST_SIZE
from skad.benchmark._store import versions


def write_report(comparison, path, *, command, unread):
    """Render the template with everything that a reader may ask for."""
    environment = Environment(
        loader=PackageLoader("skad.benchmark", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (above_chance, breakable, decimal, seconds):
        environment.filters[function.__name__] = function
    template = environment.get_template("report.html.j2")
    page = template.render(**_context(comparison), command=command, unread=unread)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _context(comparison):
    table, scores = comparison.table(), comparison.scores("auroc")
    plan = comparison.plan
    measured = bool(scores.notna().to_numpy().any())
    # A mean over the data sets that were easy enough is no mean to compare with.
    never_failed = table[table["n_datasets"] == max(1, len(scores))]
    return {
        "plan": plan,
        "comparison": comparison,
        "n_runs": len(comparison.records),
        "summary": [(name, row) for name, row in table.iterrows()],
        "names": list(table.index),
        "cells": [(name, _cells(row)) for name, row in scores.iterrows()],
        "problems": [_describe(problem) for problem in plan.problems],
        "test_percent": round(100 * TEST_SIZE),
        "dots": dot_plot(scores, "AUROC by data set") if measured else None,
        "time": None if never_failed.empty else time_plot(table, never_failed.index),
        "n_never_failed": len(never_failed),
        "runs": comparison.records,
        "failures": grouped(comparison.failures(), "error"),
        "warnings": grouped(comparison.warnings(), "warnings"),
        "versions": {"Python": platform.python_version(), **versions()},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "date": f"{datetime.now():%d %B %Y}".lstrip("0"),
    }


def _cells(row):
    """Values of one data set; the best is bold, ties included as they are shown."""
    best = np.nanmax(row) if row.notna().any() else None
    return [
        {
            "value": None if np.isnan(value) else value,
            "best": best is not None and decimal(value) == decimal(best),
            "shade": 0 if np.isnan(value) else round(45 * max(0, 2 * value - 1) ** 3),
        }
        for value in row
    ]


def _describe(problem):
    n_samples, n_features = problem.shape
    return {
        "name": problem.name,
        "n_samples": n_samples,
        "n_features": n_features,
        "n_anomalies": int(problem.is_anomaly.sum()),
        "percent": 100 * problem.is_anomaly.mean(),
    }


def grouped(messages, column):
    """One dictionary for each detector and message, with all its data sets."""
    return [
        {
            "detector": detector,
            "message": message,
            "datasets": listed(group["dataset"].tolist()),
            "n_runs": int(group["n_runs"].sum()),
        }
        for (detector, message), group in messages.groupby(
            ["detector", column], sort=False
        )
    ]


def listed(names, n_shown=4):
    """Some names, and how many more there are."""
    more = len(names) - n_shown
    return ", ".join(names[:n_shown]) + (f" and {more} more" if more > 0 else "")


def decimal(value, digits=3):
    """A number as the tables show it; a dash for a missing one."""
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def above_chance(auroc):
    """The length of an AUROC's bar, in per cent."""
    return 0 if np.isnan(auroc) else round(max(0, 200 * (auroc - 0.5)), 1)


def seconds(value):
    """Seconds with two significant digits and no exponent."""
    if value is None or np.isnan(value):
        return "–"
    digits = max(0, 1 - int(np.floor(np.log10(max(value, 1e-4)))))
    return f"{value:.{digits}f}"


def breakable(name):
    """Split a long name where a line may end."""
    return re.findall(r"[A-Z]+[^A-Z]*|[^A-Z]+", name)
