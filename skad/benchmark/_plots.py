"""The report's plots of the summary: by data set, and against time."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox

from skad.benchmark._figures import INK, MUTED, RULE, dot, ink, style, svg
from skad.benchmark._words import MEASURE_NAMES

# Where a label may stand: the side, and the distance in lines.
_OFFSETS = [(1, 0), (1, 0.8), (1, -0.8), (-1, 0), (-1, 0.8), (-1, -0.8), (1, 1.8)]


def dot_plot(scores, measure, prefix):
    """A measure of each detector on each data set; the three best in colour."""
    with style():
        figure = Figure(figsize=(9, 0.8 + 0.3 * len(scores)), layout="constrained")
        axes = figure.subplots()
        rows = np.arange(len(scores))[::-1]
        low, high = scores.min(axis=1), scores.max(axis=1)
        axes.hlines(rows, low, high, color=RULE, linewidth=1.5, zorder=1)
        for rank, name in reversed(list(enumerate(scores.columns))):
            axes.scatter(scores[name], rows, label=name, **dot(rank))
        if measure == "auroc":
            axes.axvline(
                0.5, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0
            )
        axes.set_yticks(rows, scores.index)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(-0.7, len(scores) - 0.3)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel(MEASURE_NAMES[measure])
        return svg(figure, prefix, f"{MEASURE_NAMES[measure]} by data set")


def time_plot(table, names, measure, prefix):
    """Mean of a measure against the seconds of some detectors of the summary."""
    with style():
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        ranks = [table.index.get_loc(name) for name in names]
        table = table.loc[names]
        seconds = table["fit_seconds"] + table["score_seconds"]
        axes.set_xscale("log")
        for rank, x, y in zip(ranks, seconds, table[measure], strict=True):
            axes.scatter(x, y, **dot(rank))
        axes.set_xlim(seconds.min() / 1.5, seconds.max() * 4)
        axes.margins(y=0.12)
        axes.grid(axis="both")
        axes.set_xlabel("seconds to fit and score a data set, mean (logarithmic)")
        axes.set_ylabel(f"mean {MEASURE_NAMES[measure]}")
        if seconds.max() < 20 * seconds.min():  # powers of ten would be too few
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        axes.xaxis.set_minor_formatter("")
        _label(axes, seconds.to_numpy(), table[measure].to_numpy(), table.index, ranks)
        return svg(figure, prefix, f"{MEASURE_NAMES[measure]} against time")


def _label(axes, x, y, names, ranks):
    """Write each name beside its point, where it covers the least."""
    axes.figure.draw_without_rendering()
    points = axes.transData.transform(np.column_stack([x, y]))
    size = 100 / axes.figure.dpi  # of the offsets below, made for 100 dots an inch
    taken = [Bbox.from_bounds(*(point - 4 / size), 8, 8) for point in points]
    for point, name, rank in zip(points, names, ranks, strict=True):
        width, height = 8.2 * len(name) / size, 17 / size
        spots = [_spot(point, dx, dy, width, height) for dx, dy in _OFFSETS]
        covered = [
            sum(box.overlaps(other) for other in taken)
            + (box.x1 > axes.bbox.x1)
            + (box.x0 < axes.bbox.x0)
            for box in spots
        ]
        box = spots[int(np.argmin(covered))]
        taken.append(box)
        on_right = box.x0 > point[0]
        anchor = (box.x0 if on_right else box.x1, (box.y0 + box.y1) / 2)
        axes.text(
            *axes.transData.inverted().transform(anchor),
            name,
            ha="left" if on_right else "right",
            va="center",
            color=ink(rank),
        )


def _spot(point, dx, dy, width, height):
    """The box of a label at the right (dx = 1) or the left (dx = -1) of a point."""
    left = point[0] + (0.6 * height if dx > 0 else -width - 0.6 * height)
    return Bbox.from_bounds(left, point[1] + (dy - 0.5) * height, width, height)
