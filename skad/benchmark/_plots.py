"""The report's figures, as SVG whose colours and fonts are the page's."""

import io
import re

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

# Colours that nothing else uses, replaced by the style sheet's variables: the
# figures then follow the page into its dark mode.
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--rule)",
    "#040404": "var(--first)",
    "#050505": "var(--second)",
    "#060606": "var(--third)",
    "#070707": "var(--rest)",
}
_INK, _MUTED, _RULE, *_PODIUM, _REST = _VARIABLES
_MARKERS = ("o", "D", "s")

# Where a label may stand: the side, and the distance in lines.
_OFFSETS = [(1, 0), (1, 0.8), (1, -0.8), (-1, 0), (-1, 0.8), (-1, -0.8), (1, 1.8)]

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "skad",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "grid.color": _RULE,
    "grid.linewidth": 0.8,
}


def dot_plot(scores, title):
    """AUROC of each detector on each data set; the three best in colour."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.3 * len(scores)), layout="constrained")
        axes = figure.subplots()
        rows = np.arange(len(scores))[::-1]
        low, high = scores.min(axis=1), scores.max(axis=1)
        axes.hlines(rows, low, high, color=_RULE, linewidth=1.5, zorder=1)
        for rank, name in reversed(list(enumerate(scores.columns))):
            axes.scatter(scores[name], rows, label=name, **_dot(rank))
        axes.axvline(0.5, color=_MUTED, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
        axes.set_yticks(rows, scores.index)
        axes.tick_params(axis="y", labelcolor=_INK)
        axes.set_ylim(-0.7, len(scores) - 0.3)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel("AUROC")
        return _svg(figure, "dots", title)


def time_plot(table, names):
    """Mean AUROC against fit and score seconds of some detectors of the summary."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        ranks = [table.index.get_loc(name) for name in names]
        table = table.loc[names]
        seconds = table["fit_seconds"] + table["score_seconds"]
        axes.set_xscale("log")
        for rank, x, y in zip(ranks, seconds, table["auroc"], strict=True):
            axes.scatter(x, y, **_dot(rank))
        axes.set_xlim(seconds.min() / 1.5, seconds.max() * 4)
        axes.margins(y=0.12)
        axes.grid(axis="both")
        axes.set_xlabel("seconds to fit and score a data set, mean (logarithmic)")
        axes.set_ylabel("mean AUROC")
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        axes.xaxis.set_minor_formatter("")
        _label(axes, seconds.to_numpy(), table["auroc"].to_numpy(), table.index, ranks)
        return _svg(figure, "time", "AUROC against time")


def _dot(rank):
    if rank < len(_PODIUM):
        return {"color": _PODIUM[rank], "marker": _MARKERS[rank], "s": 44, "zorder": 4}
    return {"color": _REST, "s": 26, "linewidths": 0, "zorder": 3}


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
            color=_INK if rank < len(_PODIUM) else _MUTED,
        )


def _spot(point, dx, dy, width, height):
    """The box of a label at the right (dx = 1) or the left (dx = -1) of a point."""
    left = point[0] + (0.6 * height if dx > 0 else -width - 0.6 * height)
    return Bbox.from_bounds(left, point[1] + (dy - 0.5) * height, width, height)


def _svg(figure, prefix, title):
    """The figure as an element for a page: no size, no clashing ids."""
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    for mark in ('id="', '"#', "url(#"):
        svg = svg.replace(mark, f"{mark}{prefix}-")
    width, height = figure.get_size_inches() * 72
    start = f'<svg role="img" aria-label="{title}" viewBox="0 0 {width:g} {height:g}"'
    return f'{start} xmlns:xlink="http://www.w3.org/1999/xlink"{svg[svg.index(">") :]}'
