"""Plots of the scores of one run each: how high the anomalies rank, and when."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from skad.benchmark._figures import BAD, EVENT, MUTED, RULE, colour, ink, style, svg

_FAILED = {"color": BAD, "va": "center", "ha": "left"}


def position_plot(runs, prefix, title):
    """A row a detector, with a tick wherever an anomaly is in its ranking.

    Parameters
    ----------
    runs : dict of str to dict
        The record of one run by detector, in the order of the summary.

    prefix : str
        Begins the ids.

    title : str
        Read out instead of the figure.

    Returns
    -------
    figure : str
        SVG.
    """
    with style(7.5):
        figure = Figure(figsize=(4.4, 0.3 + 0.17 * len(runs)))
        room = _room(figure, runs, bottom=0.25, top=0.03)
        axes = figure.subplots(gridspec_kw=room)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(len(runs) - 0.4, -0.6)
        for row, run in enumerate(runs.values()):
            axes.axhline(row, color=RULE, linewidth=0.6, zorder=0)
            if run["status"] == "ok":
                x, y = tick_path(run["positions"], row - 0.38, row + 0.38)
                axes.plot(x, y, color=_stroke(row), linewidth=0.9)
            else:
                axes.text(0, row, "failed", **_FAILED)
        _name_rows(axes, runs)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25", "50", "75", "100 %"])
        axes.spines[["left", "bottom"]].set_visible(False)
        return svg(figure, prefix, title)


def course_plot(runs, prefix, title):
    """A panel a detector, with its ranking along time and the events shaded.

    Parameters and result are those of :func:`position_plot`.
    """
    with style(9):
        figure = Figure(figsize=(9, 0.52 + 0.42 * len(runs)))
        room = {**_room(figure, runs, bottom=0.47, top=0.05), "hspace": 0.1}
        panels = figure.subplots(
            len(runs), sharex=True, squeeze=False, gridspec_kw=room
        )[:, 0]
        for rank, (axes, name) in enumerate(zip(panels, runs, strict=True)):
            _draw_course(axes, runs[name], colour=_stroke(rank))
            axes.set_ylim(1.02, -0.04)
            axes.set_yticks([0.5], [name])
            axes.tick_params(axis="y", labelcolor=ink(rank))
        panels[-1].set_xlabel("row")
        return svg(figure, prefix, title)


def tick_path(positions, low, high):
    """One line of vertical ticks, with gaps between them: one element of the page."""
    x = np.repeat(np.asarray(positions, dtype=float), 3)
    y = np.tile([low, high, np.nan], len(positions))
    return x, y


def event_spans(course):
    """First row and number of rows of each run of bins that has an event."""
    starts = _starts(course)
    event = np.asarray(course["event"], dtype=int)
    edges = np.flatnonzero(np.diff(event, prepend=0, append=0))
    bounds = np.append(starts, course["n_rows"])
    return [(bounds[a], bounds[b] - bounds[a]) for a, b in edges.reshape(-1, 2)]


def _draw_course(axes, run, colour):
    if run["status"] != "ok":
        axes.text(0, 0.5, "failed", **_FAILED)
        return
    course = run["course"]
    axes.broken_barh(event_spans(course), (0, 1), color=EVENT, linewidth=0, zorder=0)
    # The square root spreads the strangest rows, which are the ones that matter.
    axes.plot(_starts(course), np.sqrt(course["rank"]), color=colour, linewidth=1)
    axes.set_xlim(0, course["n_rows"])


def _room(figure, names, *, bottom, top):
    """Where panels begin and end: the longest name is on the left; the rest in inches.

    A layout engine would draw each figure twice to find out.
    """
    width, height = figure.get_size_inches()
    letter = 0.62 * matplotlib.rcParams["font.size"] / 72
    left = min(0.1 + letter * max(map(len, names)), width / 2)
    return {
        "left": left / width,
        "right": 1 - 0.2 / width,
        "bottom": bottom / height,
        "top": 1 - top / height,
    }


def _starts(course):
    n_bins = len(course["rank"])
    return np.linspace(0, course["n_rows"], n_bins, endpoint=False).astype(int)


def _stroke(rank):
    """Thin lines need more contrast than dots."""
    return MUTED if rank > 2 else colour(rank)


def _name_rows(axes, runs):
    axes.set_yticks(range(len(runs)), list(runs))
    for rank, label in enumerate(axes.get_yticklabels()):
        label.set_color(ink(rank))
