"""Detectors whose rows are nodes: what they can be told and asked."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skad._groups import group_codes
from skad._node_events import NodeRows, Readings, event_table, node_events


class NodesMixin:
    """Mixin for detectors whose rows are nodes at times, judged by their neighbours.

    ``adjacency`` says who is whose neighbour, in `fit` and in everything that takes
    ``X``; `_validate` of the detector gets it as well, and returns a `Panel`. The
    detector has a ``_network`` that shows a panel as a `Scene`, and implements
    ``_judged(panel)``, which returns `Judged`; ``_contributions`` and ``_scores_of`` of
    that; and ``_told`` and ``_evaluated`` for a scene. The mixin stands before the base
    class of the detector.
    """

    def fit(self, X, y=None, *, adjacency=None):
        """Fit the detector and set its threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The training data, which may contain anomalies; a row for each node and
            time, in any order.

        y : Ignored
            Not used, present for API consistency by convention.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour: a table of edges, with two names of nodes in a row,
            or these and a weight above 0; or a pair of a square matrix of weights and
            the names of its rows. Edges count in both directions. If None, neighbours
            are the nearest nodes.

        Returns
        -------
        self : object
            The fitted detector.
        """
        self._fit_scores(X, adjacency=adjacency)
        return self

    def fit_predict(self, X, y=None, *, adjacency=None):
        """Fit the detector and label the training data, which are scored once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The training data, which may contain anomalies; a row for each node and
            time, in any order.

        y : Ignored
            Not used, present for API consistency by convention.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal rows, -1 for anomalies; the same as of
            ``fit(X).predict(X)``.
        """
        return self._fit_labels(X, adjacency=adjacency)

    def score_samples(self, X, *, adjacency=None):
        """Score rows; the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The data to score; a row for each node and time, in any order.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `fit`. If None, nodes of `fit` keep the
            neighbours that they had there.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            One score per row, as float64.
        """
        return self._scores(X, adjacency=adjacency)

    def decision_function(self, X, *, adjacency=None):
        """Score rows relative to the threshold; negative means anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The data to score; a row for each node and time, in any order.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `score_samples`.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self._decisions(X, adjacency=adjacency)

    def predict(self, X, *, adjacency=None):
        """Label rows as normal or anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The data to label; a row for each node and time, in any order.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `score_samples`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal rows, -1 for anomalies.
        """
        return self._labels(X, adjacency=adjacency)

    def explain(self, X, *, adjacency=None):
        """Return how much each KPI adds to the anomaly of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The data; a row for each node and time, in any order.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `score_samples`.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_columns)
            Numbers from 0 up: how many times its error, and that of its changes, is as
            large as is usual. Those of a row sum to minus its score; 0 for other
            columns, and where nothing was measured.
        """
        check_is_fitted(self)
        panel = self._validate(X, reset=False, adjacency=adjacency)
        terms = self._contributions(self._judged(panel))
        explained = np.zeros((len(panel), self.n_features_in_))
        explained[:, self._columns.kpis] = panel.of_rows(terms)
        return explained

    def attention(self, X, *, adjacency=None):
        """Return the neighbours of each row, and how much attention each got.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The data; a row for each node and time, in any order.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `score_samples`.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_neighbors)
            Attention: numbers from 0 up that sum to one for each row, 0 for neighbours
            that show nothing at that time or, if `robust`, what is clearly an anomaly.
            All are 0 where none is left, and a row is judged by the past of its own
            node.

        neighbors : ndarray of shape (n_samples, n_neighbors), dtype object
            Names of the neighbours, the nearest in front, or positions of rows of the
            training data; None where there are fewer.
        """
        check_is_fitted(self)
        panel = self._validate(X, reset=False, adjacency=adjacency)
        scene = self._network.scene(panel)
        told = self._told(panel, scene)
        weights = self._evaluated(panel, told, "attend")["attention"]
        neighbors = self._network.neighbor_labels(panel, scene)
        return panel.of_rows(weights), neighbors[panel.node]

    def predict_readings(self, X, *, adjacency=None, return_std=False):
        """Return what the neighbours of each row lead to expect of its KPIs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The data; a row for each node and time, in any order.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `score_samples`.

        return_std : bool, default=False
            Whether to return how far readings usually are from that as well.

        Returns
        -------
        expected : ndarray of shape (n_samples, n_kpis)
            The estimate of each of `kpis_`, in its units.

        std : ndarray of shape (n_samples, n_kpis)
            The predicted standard deviation of readings from it. Only returned if
            `return_std` is True.
        """
        check_is_fitted(self)
        panel = self._validate(X, reset=False, adjacency=adjacency)
        judged, n_kpis = self._judged(panel), len(self.kpis_)
        level, unit = self._network.usual.of_nodes(panel, judged.known)
        expected = panel.of_rows(level + unit * judged.estimate[:, :, :n_kpis])
        if not return_std:
            return expected
        # The spread is a mean deviation; that of Laplace's distribution, times the
        # root of two, is its standard deviation.
        std = np.sqrt(2) * unit * judged.spread[:, :, :n_kpis]
        return expected, panel.of_rows(std)

    def events(self, X, *, adjacency=None, min_duration=6, max_gap=0):
        """Return anomalies that last, node by node, with a hint of what each is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            The data; a row for each node and time, in any order.

        adjacency : array-like, sparse matrix or tuple, default=None
            Who is whose neighbour, see `score_samples`.

        min_duration : int, default=6
            The least number of time steps from the first row of an event to its last,
            both of which `predict` calls anomalies.

        max_gap : int, default=0
            So many time steps between two anomalies of a node, or fewer, are part of an
            event.

        Returns
        -------
        events : recarray of shape (n_events,)
            With the fields ``node``; ``start`` and ``end``, the times of the first and
            the last row; ``n_steps``, how many time steps this takes; ``first``,
            ``last`` and ``peak``, the positions in `X` of these rows and of the lowest
            score; ``score`` there; ``kind``, one of "drop to zero", "flat line",
            "spike", "level shift" and "irregular", by the KPI that adds most; ``kpis``,
            their names, that one in front; and ``n_neighbors``, how many neighbours
            showed something, the median over the rows. 0 means that a node was judged
            by its own past.

        Raises
        ------
        ValueError
            If the detector has no `node`, `min_duration` is below 1 or `max_gap` is
            below 0.
        """
        check_is_fitted(self)
        check_scalar(min_duration, "min_duration", Integral, min_val=1)
        check_scalar(max_gap, "max_gap", Integral, min_val=0)
        if self._columns.node is None:
            raise ValueError(
                "node and time are None: every row is a node that is seen once, and "
                "none of them lasts; expected columns that name node and time."
            )
        panel = self._validate(X, reset=False, adjacency=adjacency)
        judged = self._judged(panel)
        terms = panel.of_rows(self._contributions(judged))
        scores = self._scores_of(panel, judged)
        codes, labels = group_codes([panel.labels[i] for i in panel.node], len(panel))
        rows = NodeRows(
            codes,
            panel.step,
            self._columns.times(X),
            scores,
            terms,
            panel.of_rows(judged.n_neighbors),
        )
        found = node_events(
            scores < self.offset_,
            codes,
            panel.step,
            min_duration=min_duration,
            max_gap=max_gap,
        )
        nodes = panel.node[np.unique(codes, return_index=True)[1]]
        readings = self._readings(panel, judged, nodes)
        return event_table(found, rows, readings, labels=labels, kpis=self.kpis_)

    def _readings(self, panel, judged, nodes):
        """Return readings of rows, and what was expected, in spreads of the nodes."""
        n_kpis = len(self.kpis_)
        level, spread = self._network.usual.of_nodes(panel, judged.known)
        return Readings(
            panel.of_rows(judged.channels)[:, :n_kpis],
            panel.of_rows(judged.estimate)[:, :n_kpis],
            (-level / spread)[nodes],
            np.broadcast_to(self._network.usual_change, level[nodes].shape),
        )
