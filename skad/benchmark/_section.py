"""What the report says of one comparison, ready for its template."""

import numpy as np

from skad.benchmark._plots import dot_plot, time_plot
from skad.benchmark._problem import TEST_SIZE
from skad.benchmark._rank_plot import rank_plot
from skad.benchmark._score_plots import course_plot, position_plot
from skad.benchmark._words import above_chance, decimal, grouped


def describe_section(kind, comparison, id_):
    """Values for the template of a section; ids on the page begin with `id_`."""
    table, scores = comparison.table(), comparison.scores()
    measure = comparison.measure
    measured = bool(scores.notna().to_numpy().any())
    # A mean over the data sets that were easy enough is no mean to compare with.
    never_failed = table.index[table["n_datasets"] == max(1, len(scores))]
    return {
        "kind": kind,
        "id": id_,
        "measure": measure,
        "measures": comparison.measures(),
        "has_errors": bool(table[f"{measure}_se"].notna().any()),
        "interrupted": comparison.interrupted,
        "n_planned": len(comparison.plan),
        "runs": comparison.records,
        "names": list(table.index),
        "summary": [(name, row) for name, row in table.iterrows()],
        "cells": [(name, _cells(row, measure)) for name, row in scores.iterrows()],
        "leaders": list(table.index[table["rank"] == table["rank"].min()]),
        "n_failed": int(table["n_failed"].sum()),
        "n_never_failed": len(never_failed),
        "dots": dot_plot(scores, measure, f"{id_}-dots") if measured else None,
        "time": _time(table, never_failed, measure, id_),
        "ranks": _describe_ranks(comparison, table["rank"], id_),
        "pictures": list(_pictures(comparison, scores, id_)),
        "failures": grouped(comparison.failures(), "error"),
        "warnings": grouped(comparison.warnings(), "warnings"),
        "detectors": comparison.plan.detectors,
        "problems": [
            _describe_problem(problem, comparison.plan.max_samples)
            for problem in comparison.plan.problems
        ],
    }


def _cells(row, measure):
    """Values of one data set; the best is bold, ties included as they are shown."""
    best = np.nanmax(row) if row.notna().any() else None
    return [
        {
            "value": None if np.isnan(value) else value,
            "best": best is not None and decimal(value) == decimal(best),
            "shade": round(45 * (above_chance(value, measure) / 100) ** 3),
        }
        for value in row
    ]


def _time(table, names, measure, id_):
    return time_plot(table, names, measure, f"{id_}-time") if len(names) else None


def _describe_ranks(comparison, ranks, id_):
    """What the test of the mean ranks says; None where there is nothing to test."""
    test = comparison.rank_test()
    if test is None:
        return None
    # No two mean ranks can be further apart.
    largest = len(ranks) - 1
    telling = test.critical_difference < largest
    return {
        "test": test,
        "largest": largest,
        "telling": telling,
        "plot": rank_plot(ranks, test, f"{id_}-ranks") if telling else None,
    }


def _pictures(comparison, scores, id_):
    """The scores of the runs with the first seed, a figure a data set."""
    first = comparison.plan.seeds[0]
    runs = {
        (run["dataset"], run["detector"]): run
        for run in comparison.records
        if run["seed"] == first
    }
    for number, dataset in enumerate(scores.index):
        shown = {name: runs[dataset, name] for name in scores.columns}
        ordered = any("course" in run for run in shown.values())
        draw = course_plot if ordered else position_plot
        prefix, title = f"{id_}-scores{number}", f"Ranking of {dataset}"
        yield {
            "dataset": dataset,
            "ordered": ordered,
            "plot": draw(shown, prefix, title),
        }


def _describe_problem(problem, max_samples):
    n_train, n_test, n_all = problem.n_train, problem.n_samples, problem.n_samples
    if not problem.is_fixed:
        n_used = min(n_all, max_samples)
        n_test = int(np.ceil(TEST_SIZE * n_used))
        n_train = n_used - n_test
    return {
        "name": problem.name,
        "is_fixed": problem.is_fixed,
        "n_train": n_train,
        "n_test": n_test,
        "shape": problem.sample_shape,
        "n_anomalies": int(problem.is_anomaly.sum()),
        "n_labels": n_all,
        "percent": 100 * problem.is_anomaly.mean(),
    }
