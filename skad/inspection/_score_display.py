"""The scores of many rows as a histogram."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skad.inspection._drawing import ANOMALY, INK, NORMAL, start
from skad.inspection._pipeline import last_step, require
from skad.metrics import outlier_mask

# Room for the legend, as a part of the height of the histogram.
_HEADROOM = 0.3


class ScoreDistributionDisplay:
    """Histogram of scores with the threshold below which rows are flagged.

    With labels, anomalies and normal rows are drawn apart, each as shares of their
    own number: few anomalies are as visible as many. Use `from_estimator` or
    `from_predictions` to create one.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores; the higher, the more normal.

    offset : float, default=None
        Threshold: rows with a lower score are flagged.

    is_outlier : ndarray of shape (n_samples,), default=None
        True for rows that are known to be anomalies.

    Attributes
    ----------
    bars_ : list of matplotlib StepPatch
        The histogram: one, or those of the normal rows and of the anomalies.

    line_ : matplotlib Line2D or None
        The threshold.

    ax_ : matplotlib Axes
        Axes with the histogram.

    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    skad.metrics.outlier_mask : Which labels are understood.

    Examples
    --------
    >>> from skad import UnsupervisedRandomForest
    >>> from skad.datasets import make_planted_anomalies
    >>> from skad.inspection import ScoreDistributionDisplay
    >>> X, y, _ = make_planted_anomalies(random_state=0)
    >>> forest = UnsupervisedRandomForest(random_state=0).fit(X)
    >>> display = ScoreDistributionDisplay.from_estimator(forest, X, y)
    >>> display.ax_.get_xlabel()
    'score (low: strange)'
    """

    def __init__(self, *, scores, offset=None, is_outlier=None):
        self.scores = scores
        self.offset = offset
        self.is_outlier = is_outlier

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, outlier_label=None, bins=40, ax=None, **kwargs
    ):
        """Draw the scores that a detector gives to rows.

        Parameters
        ----------
        estimator : estimator
            A fitted detector with ``score_samples``, or a pipeline that ends in one.
            The threshold is its ``offset_``, if it has one.

        X : array-like of shape (n_samples, n_features)
            The rows to score.

        y : array-like of shape (n_samples,), default=None
            Labels, as `outlier_mask` understands them.

        outlier_label : int, float, bool or str, default=None
            The label of the anomalies, where it is not obvious.

        bins : int or sequence of float, default=40
            Number of bins, or their edges.

        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.stairs`.

        Returns
        -------
        display : ScoreDistributionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector has no ``score_samples``.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        require(estimator, "score_samples")
        offset = getattr(last_step(estimator), "offset_", None)
        return cls.from_predictions(
            estimator.score_samples(X),
            y,
            # scikit-learn's one-class machines keep an array of one number.
            offset=None if offset is None else np.asarray(offset).item(),
            outlier_label=outlier_label,
            bins=bins,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        scores,
        y=None,
        *,
        offset=None,
        outlier_label=None,
        bins=40,
        ax=None,
        **kwargs,
    ):
        """Draw given scores.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Finite scores; the higher, the more normal.

        y : array-like of shape (n_samples,), default=None
            Labels, as `outlier_mask` understands them.

        offset : float, default=None
            Threshold: rows with a lower score are flagged.

        outlier_label : int, float, bool or str, default=None
            The label of the anomalies, where it is not obvious.

        bins : int or sequence of float, default=40
            Number of bins, or their edges.

        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.stairs`.

        Returns
        -------
        display : ScoreDistributionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If scores are not finite, or `y` has another length or other labels than
            `outlier_mask` understands.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        scores = column_or_1d(
            check_array(scores, ensure_2d=False, dtype=float, input_name="scores")
        )
        is_outlier = None
        if y is not None:
            check_consistent_length(scores, y)
            is_outlier = outlier_mask(y, outlier_label=outlier_label)
        display = cls(scores=scores, offset=offset, is_outlier=is_outlier)
        return display.plot(ax, bins=bins, **kwargs)

    def plot(self, ax=None, *, bins=40, **kwargs):
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.

        bins : int or sequence of float, default=40
            Number of bins, or their edges.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.stairs`.

        Returns
        -------
        display : ScoreDistributionDisplay
            The display itself.
        """
        ax = start(self, ax)
        edges = np.histogram_bin_edges(self.scores, bins)
        self.bars_ = [
            self._draw(scores, name, edges, {"color": color, **kwargs})
            for scores, name, color in self._groups()
        ]
        self.line_ = None
        if self.offset is not None:
            self.line_ = ax.axvline(
                self.offset,
                ymax=1 / (1 + _HEADROOM),
                color=INK,
                linewidth=1.2,
                linestyle="--",
                label="threshold",
            )
        ax.margins(y=_HEADROOM)
        ax.set_xlabel("score (low: strange)")
        ax.legend(frameon=False)
        return self

    def _groups(self):
        """The scores of each group with its name and colour."""
        if self.is_outlier is None:
            return [(self.scores, "rows", NORMAL)]
        groups = [
            (self.scores[~self.is_outlier], "normal rows", NORMAL),
            (self.scores[self.is_outlier], "anomalies", ANOMALY),
        ]
        return [group for group in groups if len(group[0])]

    def _draw(self, scores, name, edges, style):
        from matplotlib.ticker import PercentFormatter

        counts, _ = np.histogram(scores, edges)
        label = f"{len(scores)} {name}"
        if self.offset is not None:
            label += f", {np.sum(scores < self.offset)} of them flagged"
        if self.is_outlier is None:
            self.ax_.set_ylabel("number of rows")
        else:
            counts = counts / len(scores)
            self.ax_.set_ylabel("share of the group")
            self.ax_.yaxis.set_major_formatter(PercentFormatter(1))
        return self.ax_.stairs(
            counts, edges, **{"fill": True, "alpha": 0.7, "label": label, **style}
        )
