"""Detectors whose rows are nodes: who is whose neighbour, beside `X`."""


class AdjacencyMixin:
    """Mixin for detectors that can be told who is whose neighbour.

    ``adjacency`` says so, in `fit` and in everything that takes ``X``; `_validate` of
    the detector gets it as well. The mixin stands before the base class of the
    detector.
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
