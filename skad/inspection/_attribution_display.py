"""The reasons for the score of one row as bars."""

from collections import Counter
from numbers import Integral, Real

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import _num_samples, check_scalar

from skad._groups import is_missing
from skad.inspection._drawing import ANOMALY, NEUTRAL, start
from skad.inspection._pipeline import feature_names, unwrap

# Longer names and texts lose their middle.
_MAX_LENGTH = 32

# Room for the legend below the bars, as a part of their height.
_LEGEND_ROOM = 0.22


class AttributionDisplay:
    """Bars of the features that make one row an anomaly, the largest first.

    At the right stand the row's values and, with reference rows, what is usual
    among those: the middle half of the numbers, or the most frequent value. Use
    `from_estimator` to create one.

    Parameters
    ----------
    attributions : ndarray of shape (n_features,)
        Attributions of the row.

    feature_names : list of str
        Names of the features.

    values : list of length n_features
        The row's values, which may be texts or missing.

    reference_attributions : ndarray of shape (n_features,), default=None
        Mean attributions of the reference rows.

    usual_values : list of str, default=None
        What is usual among the reference rows, for each feature.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        The row's bars.

    reference_bars_ : matplotlib BarContainer or None
        The bars of the reference rows.

    values_axis_ : matplotlib SecondaryAxis
        The axis at the right, whose labels are the values.

    ax_ : matplotlib Axes
        Axes with the bars.

    figure_ : matplotlib Figure
        Figure that contains them.

    See Also
    --------
    explain : The attributions as an array.

    Examples
    --------
    >>> import numpy as np
    >>> from skad import UnsupervisedRandomForest
    >>> from skad.inspection import AttributionDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> X[7, 1] = 9
    >>> forest = UnsupervisedRandomForest(random_state=0).fit(X)
    >>> display = AttributionDisplay.from_estimator(forest, X, row=7, reference=X)
    >>> display.ax_.get_yticklabels()[0].get_text()
    'x1'
    """

    def __init__(
        self,
        *,
        attributions,
        feature_names,
        values,
        reference_attributions=None,
        usual_values=None,
    ):
        self.attributions = attributions
        self.feature_names = feature_names
        self.values = values
        self.reference_attributions = reference_attributions
        self.usual_values = usual_values

    @classmethod
    def from_estimator(
        cls, estimator, X, *, row=0, reference=None, n_features=10, ax=None, **kwargs
    ):
        """Draw the reasons that a detector has for the score of a row.

        Through a pipeline, features and values are those that the detector sees.

        Parameters
        ----------
        estimator : estimator
            A fitted detector with ``explain``, or a pipeline that ends in one.

        X : array-like of shape (n_samples, n_features)
            Rows, one of which is explained.

        row : int, default=0
            Position of that row in `X`; negative ones count from the end.

        reference : array-like of shape (n_reference, n_features), default=None
            Rows to compare with, the training data for example. Every row has
            reasons, and a feature tells something if it has more than usual.

        n_features : int, default=10
            Largest number of features to draw.

        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.barh` for the row's bars.

        Returns
        -------
        display : AttributionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector has no ``explain``, or a number is not an integer.
        ValueError
            If `X` has no such row, or `n_features` is less than 1.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        n_rows = _num_samples(X)
        check_scalar(row, "row", Integral, min_val=-n_rows, max_val=n_rows - 1)
        X = _safe_indexing(X, [row % n_rows])
        detector, seen = unwrap(estimator, X, "explain")
        attributions = detector.explain(seen)[0]
        usual = {}
        if reference is not None:
            _, reference = unwrap(estimator, reference, "explain")
            usual = {
                "reference_attributions": detector.explain(reference).mean(axis=0),
                "usual_values": [_usual(column) for column in _columns(reference)],
            }
        display = cls(
            attributions=attributions,
            feature_names=feature_names(estimator, len(attributions)),
            values=[column[0] for column in _columns(seen)],
            **usual,
        )
        return display.plot(ax, n_features=n_features, **kwargs)

    def plot(self, ax=None, *, n_features=10, **kwargs):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.

        n_features : int, default=10
            Largest number of features to draw.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.barh` for the row's bars.

        Returns
        -------
        display : AttributionDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `n_features` is not an integer.
        ValueError
            If `n_features` is less than 1.
        """
        check_scalar(n_features, "n_features", Integral, min_val=1)
        ax = start(self, ax)
        top = np.argsort(-self.attributions, kind="stable")[:n_features]
        places = np.arange(len(top))
        style = {"color": ANOMALY, "label": "this row", **kwargs}
        self.bars_ = ax.barh(places, self.attributions[top], **style)
        self.reference_bars_ = None
        if self.reference_attributions is not None:
            self.reference_bars_ = ax.barh(
                places,
                self.reference_attributions[top],
                height=0.35,
                color=NEUTRAL,
                label="mean of the reference rows",
            )
            ax.legend(loc="lower right", frameon=False)
        room = 0 if self.reference_bars_ is None else _LEGEND_ROOM * len(top)
        ax.set_ylim(len(top) - 0.4 + room, -0.6)
        ax.set_xlabel(self._axis_label(top))
        names = [_shorten(self.feature_names[i]) for i in top]
        ax.set_yticks(places, names, parse_math=False)
        ax.tick_params(axis="y", length=0)
        self._write_values(places, top)
        return self

    def _axis_label(self, top):
        total, shown = self.attributions.sum(), self.attributions[top].sum()
        if len(top) == len(self.attributions) or total <= 0:
            return "attribution"
        return (
            f"attribution ({shown / total:.0%} of the sum in these {len(top)} features)"
        )

    def _write_values(self, places, top):
        heading, texts = "value", [_text(self.values[i]) for i in top]
        if self.usual_values is not None:
            heading = "value (usual)"
            texts = [
                f"{text} ({self.usual_values[i]})"
                for text, i in zip(texts, top, strict=True)
            ]
        axis = self.values_axis_ = self.ax_.secondary_yaxis("right")
        axis.set_yticks(places, texts, parse_math=False)
        axis.tick_params(length=0)
        axis.spines["right"].set_visible(False)
        self.ax_.annotate(
            heading,
            (1, 1),
            xytext=(axis.yaxis.get_tick_padding(), 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            style="italic",
        )


def _columns(X):
    """The columns of a table or an array, each as a list."""
    X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
    return [
        np.asarray(_safe_indexing(X, j, axis=1)).tolist() for j in range(X.shape[1])
    ]


def _usual(column):
    """The middle half of numbers, or the most frequent of other values."""
    known = [value for value in column if not is_missing(value)]
    if not known:
        return "missing"
    if all(_is_number(value) for value in known):
        low, high = np.quantile(np.array(known, dtype=float), [0.25, 0.75])
        return f"{_text(low)} to {_text(high)}"
    return _text(Counter(known).most_common(1)[0][0])


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)


def _text(value):
    if is_missing(value):
        return "missing"
    if _is_number(value):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return _shorten(value)


def _shorten(value):
    text = " ".join(str(value).split())
    if len(text) <= _MAX_LENGTH:
        return text
    half = _MAX_LENGTH // 2
    return f"{text[:half]}…{text[1 - half :]}"
