"""One node of a network over time: what it shows, and what its neighbours say."""

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skad.inspection._drawing import ANOMALY, INK, NEUTRAL, NORMAL, start
from skad.inspection._node_table import NodeTable
from skad.inspection._pipeline import require, unwrap

# Widths of the lines of neighbours, with no attention and with the most, in points.
_THINNEST, _THICKEST = 0.3, 1.3

# Lines have a gap where times are farther apart than this many usual steps.
_USUAL = 1.5

# Inches that an entry of a legend takes; where there are fewer, one is below another.
_WIDTH = 2.1


class NodeDisplay:
    """Readings of one node over time, what was expected, and the score.

    Above are the readings of a KPI, what the detector expected of them with a band of
    two standard deviations, and the readings of the neighbours as they are, thicker
    the more attention they got. Below is the score with the threshold; it counts all
    KPIs. Where readings are missing, lines have gaps. Use `from_estimator` to create
    one.

    Parameters
    ----------
    node : object
        The name of the node.

    kpi : str or int
        The KPI, or the column that holds it.

    times : ndarray of shape (n_times,)
        Times in ascending order, as numbers or as datetime64.

    readings : ndarray of shape (n_times,)
        Readings of the node, NaN where there are none, as in what follows.

    scores : ndarray of shape (n_times,)
        Scores; the higher, the more normal.

    expected : ndarray of shape (n_times,), default=None
        What was expected of the readings.

    std : ndarray of shape (n_times,), default=None
        The standard deviation of what was expected.

    flagged : ndarray of shape (n_times,), default=None
        True where the node was flagged.

    offset : float, default=None
        Threshold: rows with a lower score are flagged.

    neighbors : sequence of object, default=()
        The names of the neighbours.

    neighbor_readings : array-like of shape (n_neighbors, n_times), default=()
        Their readings.

    attention : ndarray of shape (n_neighbors,), default=None
        How much attention each of them got.

    time_name : str, default="time"
        What the axis of times is called.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The readings.

    expected_line_ : matplotlib Line2D or None
        What was expected of them.

    band_ : matplotlib PolyCollection or None
        Two standard deviations around that.

    neighbor_lines_ : list of matplotlib Line2D
        The readings of the neighbours.

    score_line_ : matplotlib Line2D
        The scores.

    threshold_line_ : matplotlib Line2D or None
        The threshold.

    marks_ : list of matplotlib Line2D
        The flagged rows among the readings, and among the scores.

    ax_ : matplotlib Axes
        Axes with the readings.

    score_ax_ : matplotlib Axes
        Axes with the scores.

    figure_ : matplotlib Figure
        Figure that contains them.

    See Also
    --------
    skad.CAnemon : Detector of nodes that differ from their neighbours.
    AttributionDisplay : How much each KPI adds to the score of a row.

    Examples
    --------
    >>> from skad import CAnemon
    >>> from skad.datasets import make_radio_network
    >>> from skad.inspection import NodeDisplay
    >>> X_train, X_test, _, events = make_radio_network(
    ...     12, 6, 2, n_crowds=2, n_faults=1, random_state=0
    ... )
    >>> detector = CAnemon(
    ...     node="cell",
    ...     time="time",
    ...     position=["x", "y"],
    ...     attributes=["type"],
    ...     n_neighbors=4,
    ...     max_epochs=1,
    ...     random_state=0,
    ... ).fit(X_train)
    >>> cell = events["cell"][events["kind"] == "drop"].item()
    >>> display = NodeDisplay.from_estimator(detector, X_test, cell)
    >>> len(display.neighbor_lines_)
    4
    """

    def __init__(
        self,
        *,
        node,
        kpi,
        times,
        readings,
        scores,
        expected=None,
        std=None,
        flagged=None,
        offset=None,
        neighbors=(),
        neighbor_readings=(),
        attention=None,
        time_name="time",
    ):
        self.node = node
        self.kpi = kpi
        self.times = times
        self.readings = readings
        self.scores = scores
        self.expected = expected
        self.std = std
        self.flagged = flagged
        self.offset = offset
        self.neighbors = neighbors
        self.neighbor_readings = neighbor_readings
        self.attention = attention
        self.time_name = time_name

    @classmethod
    def from_estimator(
        cls, estimator, X, node, *, kpi=None, adjacency=None, axes=None, **kwargs
    ):
        """Draw one node as a detector sees it.

        Through a pipeline, columns and readings are those that the detector sees. All
        times in `X` are drawn; to draw a part of them with what came before taken
        into account, narrow the axis of times afterwards.

        Parameters
        ----------
        estimator : estimator
            A fitted `CAnemon` that was told the columns of node and time, or a
            pipeline that ends in one.

        X : array-like of shape (n_samples, n_columns)
            Rows of the node and of its neighbours.

        node : object
            The name of the node.

        kpi : str or int, default=None
            The KPI to draw: one of ``kpis_``. If None, the first.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, as the detector understands it.

        axes : sequence of two matplotlib Axes, default=None
            Axes to draw on, the first for readings and the second for scores; those
            of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot` for the readings of the node.

        Returns
        -------
        display : NodeDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector does not tell what it expected and who the neighbours are.
        ValueError
            If the detector knows no column of nodes, `X` has no such node, `kpi` is
            not one of its KPIs, or `axes` are not two.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        require(estimator, "predict_readings")
        detector, X = unwrap(estimator, X, "attention")
        check_is_fitted(detector)
        table = NodeTable(detector, X, kpi)
        rows = table.rows_of(node)
        scores = detector.score_samples(X, adjacency=adjacency)
        expected, std = detector.predict_readings(
            X, adjacency=adjacency, return_std=True
        )
        weights, names = detector.attention(X, adjacency=adjacency)
        attention = _mean_attention(weights[rows], names[rows])
        kpi = table.kpi_index
        display = cls(
            node=node,
            kpi=detector.kpis_[kpi],
            times=table.times,
            readings=table.over_time(table.readings, rows),
            scores=table.over_time(scores, rows),
            expected=table.over_time(expected[:, kpi], rows),
            std=table.over_time(std[:, kpi], rows),
            flagged=table.over_time(scores < detector.offset_, rows) == 1,
            offset=detector.offset_,
            neighbors=list(attention),
            neighbor_readings=[
                table.over_time(table.readings, table.rows_of(name))
                for name in attention
            ],
            attention=list(attention.values()),
            time_name=table.time_name,
        )
        return display.plot(axes, **kwargs)

    def plot(self, axes=None, **kwargs):
        """Draw the node.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, default=None
            Axes to draw on, the first for readings and the second for scores; those
            of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot` for the readings of the node.

        Returns
        -------
        display : NodeDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `axes` are not two.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        upper, lower = _two_axes(axes)
        self.score_ax_ = start(self, lower)
        start(self, upper)
        self.neighbor_lines_ = self._draw_neighbors()
        self.expected_line_, self.band_ = self._draw_expected()
        style = {"color": INK, "linewidth": 1.4, "label": "readings"}
        self.line_ = self._line(upper, self.readings, **{**style, **kwargs})
        self.score_line_ = self._line(lower, self.scores, color=INK, linewidth=1)
        self.marks_ = self._mark_flagged()
        self.threshold_line_ = None
        if self.offset is not None:
            self.threshold_line_ = lower.axhline(
                self.offset, color=INK, linewidth=1, linestyle="--", label="threshold"
            )
        self._write()
        return self

    def _line(self, ax, values, **style):
        """Draw a line with gaps; a value between two of them is a point."""
        times, values = _with_gaps(self.times, values)
        is_gap = np.isnan(np.r_[np.nan, values, np.nan])
        alone = is_gap[:-2] & is_gap[2:]
        style = {"marker": "o", "markersize": 2, "markevery": alone, **style}
        return ax.plot(times, values, **style)[0]

    def _draw_neighbors(self):
        n_neighbors = len(self.neighbor_readings)
        if n_neighbors == 0:
            return []
        attention = np.ones(n_neighbors) if self.attention is None else self.attention
        share = np.asarray(attention) / (max(attention) or 1)
        return [
            self._line(
                self.ax_,
                readings,
                color=NEUTRAL,
                alpha=0.8,
                linewidth=_THINNEST + part * (_THICKEST - _THINNEST),
            )
            for readings, part in zip(self.neighbor_readings, share, strict=True)
        ]

    def _draw_expected(self):
        if self.expected is None:
            return None, None
        style = {"color": NORMAL, "linewidth": 1.4}
        line, band = self._line(self.ax_, self.expected, **style), None
        if self.std is not None:
            times, middle = _with_gaps(self.times, self.expected)
            _, std = _with_gaps(self.times, self.std)
            band = self.ax_.fill_between(
                times,
                middle - 2 * std,
                middle + 2 * std,
                color=NORMAL,
                alpha=0.3,
                linewidth=0,
            )
        return line, band

    def _mark_flagged(self):
        if self.flagged is None:
            return []
        style = {"color": ANOMALY, "linestyle": "", "marker": "o", "markersize": 3.5}
        n_rows = np.count_nonzero(~np.isnan(self.scores))
        label = f"{np.sum(self.flagged)} of {n_rows} rows flagged"
        return [
            ax.plot(
                self.times,
                np.where(self.flagged, values, np.nan),
                label=label,
                zorder=3,
                **style,
            )[0]
            for ax, values in (
                (self.ax_, self.readings),
                (self.score_ax_, self.scores),
            )
        ]

    def _write(self):
        """Write titles and labels; legends are above the data."""
        upper, lower = self.ax_, self.score_ax_
        kpi = _named("column", self.kpi)
        n_lines = _write_legend(upper, self._entries())
        marks = [line for line in (self.threshold_line_, *self.marks_[1:]) if line]
        if marks:
            _write_legend(lower, [(line, line.get_label()) for line in marks])
        upper.set_title(
            f"{_named('node', self.node)}: {kpi}",
            loc="left",
            pad=6 + 1.6 * n_lines * upper.get_legend().get_texts()[0].get_fontsize(),
            parse_math=False,
        )
        upper.set_ylabel(kpi, parse_math=False)
        lower.set_ylabel("score\n(low: strange)")
        lower.set_xlabel(self.time_name, parse_math=False)
        for ax in (upper, lower):
            ax.margins(x=0.01)
            if np.asarray(self.times).dtype.kind == "M":
                _write_dates(ax)

    def _entries(self):
        """Return handles and texts of the legend of the readings."""
        entries = [(self.line_, self.line_.get_label())]
        if self.band_ is not None:
            both = self.band_, self.expected_line_
            entries.append((both, "expected ± two standard deviations"))
        elif self.expected_line_ is not None:
            entries.append((self.expected_line_, "expected"))
        if self.neighbor_lines_:
            thickest = max(self.neighbor_lines_, key=lambda line: line.get_linewidth())
            entries.append((thickest, self._neighbor_text()))
        return entries

    def _neighbor_text(self):
        n_neighbors = len(self.neighbor_lines_)
        text = "1 neighbour" if n_neighbors == 1 else f"{n_neighbors} neighbours"
        widths = {line.get_linewidth() for line in self.neighbor_lines_}
        return text if len(widths) == 1 else f"{text} (thick: much attention)"


def _mean_attention(weights, names):
    """Return the mean attention that each neighbour got, by its name."""
    sums = {}
    for name, weight in zip(names.ravel(), weights.ravel(), strict=True):
        if name is not None:
            sums[name] = sums.get(name, 0) + weight / len(weights)
    return sums


def _with_gaps(times, values):
    """Put NaN where times are farther apart than they usually are."""
    times, values = np.asarray(times), np.asarray(values, dtype=float)
    steps = np.diff(times)
    if len(steps) == 0:
        return times, values
    after = np.flatnonzero(steps > _USUAL * np.median(steps)) + 1
    return np.insert(times, after, times[after]), np.insert(values, after, np.nan)


def _named(kind, name):
    """Return a name that can stand alone."""
    return name if isinstance(name, str) else f"{kind} {name}"


def _two_axes(axes):
    import matplotlib.pyplot as plt

    if axes is None:
        _, axes = plt.subplots(
            2,
            1,
            sharex=True,
            height_ratios=(2, 1),
            figsize=(9, 5),
            layout="constrained",
        )
    axes = np.ravel(axes)
    if len(axes) != 2:
        raise ValueError(
            f"axes holds {len(axes)} matplotlib Axes; expected two, for the readings "
            "and for the scores."
        )
    return axes


def _write_legend(ax, entries):
    """Write a legend above the axes; return of how many lines it is."""
    from matplotlib.lines import Line2D

    inches = ax.get_window_extent().width / ax.figure.dpi
    n_columns = len(entries) if inches > _WIDTH * len(entries) else 1
    legend = ax.legend(
        *zip(*entries, strict=True),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0,
        frameon=False,
        fontsize="small",
        ncols=n_columns,
    )
    for line in legend.findobj(Line2D):
        if line.get_linestyle() != "None":
            line.set_marker("")
    return len(entries) // n_columns


def _write_dates(ax):
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
