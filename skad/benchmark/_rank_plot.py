"""The critical difference diagram: mean ranks, and which of them chance may explain."""

from typing import NamedTuple

from matplotlib.figure import Figure

from skad.benchmark._figures import INK, MUTED, colour, ink, style, svg

# Heights in inches, from the axis downwards or, for the critical difference, upwards.
_ABOVE, _LEVEL, _ROW = 0.75, 0.11, 0.25


class Name(NamedTuple):
    """Where a detector's name stands: beside which end of the axis, in which row."""

    name: str
    rank: float
    side: str
    row: int


def place_names(ranks):
    """Place the names so that no line crosses another.

    The better half stands on the left and the others on the right, those nearest to
    an end of the axis in the upper rows.

    Parameters
    ----------
    ranks : Series
        Mean ranks by detector, the best first.

    Returns
    -------
    names : list of Name
        In the same order.
    """
    n_left = (len(ranks) + 1) // 2
    places = [("left", row) for row in range(n_left)]
    places += [("right", row) for row in reversed(range(len(ranks) - n_left))]
    return [
        Name(name, rank, *place)
        for (name, rank), place in zip(ranks.items(), places, strict=True)
    ]


def place_bars(ranks, groups):
    """Give each group a level at which its bar stands clear of all others.

    Returns
    -------
    bars : list of (float, float, int)
        Lowest and highest mean rank, and the level, 0 next to the axis.
    """
    ends, bars, gap = [], [], (len(ranks) - 1) / 20
    for group in groups:
        low, high = ranks[group].min(), ranks[group].max()
        free = [level for level, end in enumerate(ends) if end + gap < low]
        level = free[0] if free else len(ends)
        ends[level : level + 1] = [high]
        bars.append((low, high, level))
    return bars


def rank_plot(ranks, test, prefix):
    """Mean ranks on a line, as Demšar draws them, the best on the left."""
    names, bars = place_names(ranks), place_bars(ranks, test.groups)
    n_levels = 1 + max((level for *_, level in bars), default=-1)
    n_rows = 1 + max(name.row for name in names)
    below = 0.2 + _LEVEL * n_levels + _ROW * n_rows
    with style():
        figure = Figure(figsize=(9, _ABOVE + below))
        # Both halves have the room that the longest name takes.
        side = min(0.35, 0.08 + 0.0095 * max(map(len, ranks.index)))
        axes = figure.add_axes((side, 0, 1 - 2 * side, 1))
        axes.set(xlim=(1, len(ranks)), ylim=(-below, _ABOVE))
        axes.set_axis_off()
        _draw_axis(axes, len(ranks))
        _draw_difference(axes, test.critical_difference)
        margin = (len(ranks) - 1) / 150
        for low, high, level in bars:
            ends = [low - margin, high + margin]
            _draw_line(axes, ends, [-_LEVEL * (level + 1)] * 2, INK, 3.5)
        for place, name in enumerate(names):
            depth = 0.12 + _LEVEL * n_levels + _ROW * (name.row + 0.5)
            _draw_name(axes, place, name, depth, margin)
        return svg(figure, prefix, "Critical difference of the mean ranks")


def _draw_axis(axes, n_detectors):
    _draw_line(axes, [1, n_detectors], [0, 0], MUTED, 1)
    for rank in range(1, n_detectors + 1):
        _draw_line(axes, [rank, rank], [0, 0.06], MUTED, 1)
        axes.text(rank, 0.1, rank, ha="center", va="bottom", color=MUTED)


def _draw_difference(axes, difference):
    height = _ABOVE - 0.3
    _draw_line(axes, [1, 1 + difference], [height, height], INK, 1)
    for end in (1, 1 + difference):
        _draw_line(axes, [end, end], [height - 0.05, height + 0.05], INK, 1)
    text = f"critical difference {difference:.2f}"
    axes.text(1 + difference / 2, height + 0.07, text, ha="center", va="bottom")


def _draw_name(axes, place, name, depth, margin):
    on_left = name.side == "left"
    low, high = axes.get_xlim()
    end = low - 3 * margin if on_left else high + 3 * margin
    line = [name.rank, name.rank, end], [0, -depth, -depth]
    _draw_line(axes, *line, colour(place), 1.4)
    axes.text(
        end - margin if on_left else end + margin,
        -depth,
        f"{name.name} {name.rank:.2f}" if on_left else f"{name.rank:.2f} {name.name}",
        ha="right" if on_left else "left",
        va="center",
        color=ink(place),
    )


def _draw_line(axes, x, y, color, width):
    axes.plot(x, y, color=color, linewidth=width, clip_on=False, solid_capstyle="butt")
