"""The map of rows that a detector finds alike, as a scatter plot."""

import numpy as np
from scipy.stats import rankdata
from sklearn.utils import check_consistent_length
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skad.inspection._drawing import ANOMALY, INK, NORMAL, start
from skad.inspection._embedding import proximity_embedding
from skad.inspection._pipeline import require
from skad.metrics import outlier_mask

# How far a legend reaches from its corner, as a part of the map's sides.
_CORNER = (0.4, 0.25)


class EmbeddingDisplay:
    """Map of rows, in the colours of their ranks or of their labels.

    Rows that a detector finds alike lie side by side; rings mark those that it
    flags. Use `from_estimator` to create one.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, 2)
        Coordinates.

    scores : ndarray of shape (n_samples,), default=None
        Scores whose ranks colour the rows; not used with `is_outlier`.

    is_outlier : ndarray of shape (n_samples,), default=None
        True for rows that are known to be anomalies.

    flagged : ndarray of shape (n_samples,), default=None
        True for rows that get a ring.

    Attributes
    ----------
    points_ : list of matplotlib PathCollection
        All rows, or the normal rows and the anomalies.

    rings_ : matplotlib PathCollection or None
        The marks of the flagged rows.

    colorbar_ : matplotlib Colorbar or None
        What the colours of the ranks mean.

    ax_ : matplotlib Axes
        Axes with the map.

    figure_ : matplotlib Figure
        Figure that contains it.

    See Also
    --------
    proximity_embedding : The coordinates, and what they do not show.

    Examples
    --------
    >>> from skad import UnsupervisedRandomForest
    >>> from skad.datasets import make_planted_anomalies
    >>> from skad.inspection import EmbeddingDisplay
    >>> X, y, _ = make_planted_anomalies(200, random_state=0)
    >>> forest = UnsupervisedRandomForest(random_state=0).fit(X)
    >>> display = EmbeddingDisplay.from_estimator(forest, X)
    >>> len(display.rings_.get_offsets()) == (forest.predict(X) == -1).sum()
    np.True_
    """

    def __init__(self, *, embedding, scores=None, is_outlier=None, flagged=None):
        self.embedding = embedding
        self.scores = scores
        self.is_outlier = is_outlier
        self.flagged = flagged

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        outlier_label=None,
        n_landmarks=1000,
        random_state=None,
        ax=None,
        **kwargs,
    ):
        """Draw the map of rows that a detector has scored.

        Parameters
        ----------
        estimator : estimator
            A fitted detector with ``proximity``, or a pipeline that ends in one.

        X : array-like of shape (n_samples, n_features)
            The rows to place.

        y : array-like of shape (n_samples,), default=None
            Labels, as `outlier_mask` understands them. If None, the colour is the
            rank of the score.

        outlier_label : int, float, bool or str, default=None
            The label of the anomalies, where it is not obvious.

        n_landmarks : int, default=1000
            Largest number of rows that span the map.

        random_state : int, RandomState instance or None, default=None
            Chooses the landmarks; not used if all rows are landmarks.

        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.scatter` for the rows.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector lacks a method.
        ValueError
            If `y` has another length or other labels than `outlier_mask`
            understands.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        require(estimator, "proximity", "score_samples", "predict")
        is_outlier = None
        if y is not None:
            check_consistent_length(X, y)
            is_outlier = outlier_mask(y, outlier_label=outlier_label)
        display = cls(
            embedding=proximity_embedding(
                estimator, X, n_landmarks=n_landmarks, random_state=random_state
            ),
            scores=estimator.score_samples(X),
            is_outlier=is_outlier,
            flagged=estimator.predict(X) == -1,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.scatter` for the rows.

        Returns
        -------
        display : EmbeddingDisplay
            The display itself.
        """
        ax = start(self, ax)
        size = np.clip(1e4 / len(self.embedding), 4, 24)
        self.colorbar_ = self.rings_ = None
        if self.is_outlier is not None:
            self.points_ = self._draw_labels({"s": size, **kwargs})
        else:
            self.points_ = [self._draw_ranks({"s": size, **kwargs})]
        if self.flagged is not None:
            self.rings_ = ax.scatter(
                *self.embedding[self.flagged].T,
                s=3 * size + 8,
                facecolor="none",
                edgecolor=ANOMALY if self.is_outlier is None else INK,
                linewidth=0.8,
                alpha=0.6,
                label=f"{np.sum(self.flagged)} flagged",
            )
        ax.set_aspect("equal", "datalim")
        ax.set_xlabel("first coordinate")
        ax.set_ylabel("second coordinate")
        if self.rings_ is not None or self.is_outlier is not None:
            ax.legend(loc=_emptiest_corner(self.embedding))
        return self

    def _draw_ranks(self, style):
        """Strange rows last, so that ordinary ones do not hide them."""
        if self.scores is None:
            return self.ax_.scatter(*self.embedding.T, **{"color": NORMAL, **style})
        order = np.argsort(-self.scores, kind="stable")
        points = self.ax_.scatter(
            *self.embedding[order].T,
            **{"c": rankdata(self.scores)[order], "cmap": "viridis", **style},
        )
        self.colorbar_ = self.figure_.colorbar(
            points, ax=self.ax_, label="rank of the score (low: strange)"
        )
        return points

    def _draw_labels(self, style):
        groups = [
            (~self.is_outlier, "normal rows", {"color": NORMAL, "marker": "o"}),
            (self.is_outlier, "anomalies", {"color": ANOMALY, "marker": "D"}),
        ]
        return [
            self.ax_.scatter(
                *self.embedding[rows].T,
                **{"label": f"{np.sum(rows)} {name}", **look, **style},
            )
            for rows, name, look in groups
            if rows.any()
        ]


def _emptiest_corner(embedding):
    """Where a legend hides the fewest rows; "best" takes long for many rows."""
    low, extent = embedding.min(axis=0), np.ptp(embedding, axis=0)
    place = (embedding - low) / np.where(extent > 0, extent, 1)
    corners = {
        "upper right": (1, 1),
        "upper left": (0, 1),
        "lower right": (1, 0),
        "lower left": (0, 0),
    }
    hidden = {
        name: (np.abs(place - corner) < _CORNER).all(axis=1).sum()
        for name, corner in corners.items()
    }
    return min(hidden, key=hidden.get)
