"""c-ANEMON: radio cells, and other nodes of a network, judged by their neighbours."""

import warnings
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skad._deep import BaseDeepDetector
from skad._nets._canemon import NeighborEstimate, NeighborLoss
from skad._nets._snapshots import LastSnapshots, Snapshots, Stars
from skad._network import Network, ReferenceRows
from skad._node_scores import Judged, UsualErrors
from skad._nodes import NodesMixin
from skad._panel import PanelColumns

# Readings with errors as many times as large as is usual are clearly anomalies.
_ODD = 5.0


class CAnemon(NodesMixin, BaseDeepDetector):
    """Detect nodes of a network that do not show what their neighbours show.

    Made for radio cells: the load of a cell may rise because a crowd moves through, and
    then that of its neighbours rises as well; it may also fall because the cell fails,
    and then only its own does. What a node shows at a time is estimated from what its
    neighbours show at that time. Each of them is scaled and weighed by attention, by a
    net that sees what both have shown before; it is the same net for all nodes, so that
    it also serves nodes that were not there in `fit`.

    `X` has a row for each node and time, in any order, and columns that name them. All
    columns but those of `node`, `time`, `position` and `attributes` are KPIs. Without
    such columns every row is a node that is seen once, and its neighbours are the
    nearest rows of the training data.

    Read more in the :ref:`User Guide <canemon>`.

    Parameters
    ----------
    node : int or str, default=None
        Index or name of the column that names the node of each row.

    time : int or str, default=None
        Index or name of the column with the time of each row, numbers or dates. Times
        are on a grid, whose step is the least difference of two times in `fit`; nodes
        may lack rows.

    position : array-like of int or str, default=None
        Columns with the coordinates of nodes. If None, and if there is no adjacency
        either, neighbours are the nodes whose KPIs correlate most, or the rows whose
        KPIs are nearest.

    attributes : array-like of int or str, default=None
        Columns with what else is known of nodes, such as the type of an antenna:
        numbers or categories, the same in all rows of a node. A category that was not
        there in `fit` counts as none.

    metric : {"auto", "euclidean", "haversine"}, default="auto"
        What distance is measured by. With "haversine", positions are latitude and
        longitude in degrees; "auto" takes it where two columns of positions are named
        so, or ``lat`` and ``lon``.

    n_neighbors : int, default=10
        Number of neighbours of a node. If there are fewer nodes, all others are.

    window_size : int, default=24
        Number of time steps of a context, what the net sees of the past of nodes.

    horizon : int, default=24
        Number of time steps from the end of the context to the row that is estimated.
        An anomaly that lasts no longer cannot hide in the context of its own node.

    neighbor_window : {"observed", "past"}, default="observed"
        Whether estimates are from what neighbours show at the same time, or from what
        they have shown in their contexts. With "past" a crowd is an anomaly.

    robust : bool, default=True
        Whether scores are computed twice: what is clearly an anomaly in the first pass,
        with errors five times as large as is usual, is left out in the second, of
        contexts and of what neighbours say. Without `node`, rows of the training data
        that are anomalies are left out.

    change_window : int, default=6
        Number of time steps. How much a KPI changes from step to step, on average over
        these, is judged like a KPI: a node that is stuck changes less than its
        neighbours. 0 for KPIs only, as in the paper.

    smoothing : int, default=7
        Number of time steps. Besides errors, their means with their sign over so many
        steps are judged. 1 for errors only.

    causal : bool, default=False
        Whether `smoothing` and `change_window` are over the last time steps, so that
        the scores of nodes of `fit` depend on no later row, instead of those around a
        row.

    hidden_size : int, default=64
        Size of the layers of the net.

    attention_size : int, default=32
        Size of the queries and keys of attention.

    missing : {"raise", "mask"}, default="raise"
        What becomes of NaN in KPIs: an error, or a reading without any part in a score.
        Rows that are not there never have any.

    max_epochs : int, default=10
        Number of passes over the training data.

    batch_size : int, default=512
        Number of rows per training step. With `node`, as many whole time steps as have
        together no more rows, at least one.

    lr : float, default=0.002
        Learning rate of Adam.

    warm_start : bool, default=False
        Whether `fit` continues the training of the net, with the scaling and the
        neighbours that it has learnt first.

    n_iter_no_change : int, default=None
        If given, so many epochs without an improvement on held-out rows end the
        training, and the best net is kept. With `node`, these are the last time steps.

    validation_fraction : float, default=0.1
        Share of the time steps, or rows, held out if `n_iter_no_change` is given.

    device : str or torch.device, default="auto"
        Where the net is trained, such as "cpu" or "cuda"; "auto" takes an accelerator
        if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls initial weights and the order of batches; pass an int for reproducible
        results.

    verbose : int, default=0
        1 shows a progress bar, 2 a line per epoch.

    net_params : dict, default=None
        More parameters of skorch's ``NeuralNet``, such as ``callbacks`` or
        ``optimizer__weight_decay``.

    contamination : float, default=0.1
        Share of anomalies in the training data, which sets the threshold.

    Attributes
    ----------
    offset_ : float
        Threshold: rows with a lower score are anomalies.

    net_ : DetectorNet
        The trained net.

    nodes_ : list or None
        Names of the nodes of `fit`; None without `node`.

    kpis_ : list
        Names, or indices, of the columns of KPIs.

    n_neighbors_ : int
        Number of neighbours that were used.

    n_iter_ : int
        Number of epochs trained.

    history_ : list of dict
        Losses and seconds of each epoch.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of columns seen during `fit`, if `X` has string names.

    See Also
    --------
    M2AD : Judges systems by their own past, with p-values.

    skad.datasets.make_radio_network : Cells with crowds and faults.

    skad.inspection.NodeDisplay : A node, what was expected of it, and its neighbours.

    Notes
    -----
    A score is minus the sum over KPIs of how many times an error is as large as is
    usual for its node. Errors are divided by a spread that the net predicts: where
    neighbours disagree, much is possible. Weights of neighbours, attention times scale,
    sum to one, so that what is added to a node and to all its neighbours, in units of
    the spread of each, changes no error of a KPI at that time. Whether a neighbour is
    alike, by correlation over all of the training data, is known to attention.

    From the paper [1]_, of which no code was released, are star graphs, contexts and
    attributes, the scaling of neighbours by a net, attention, and that anomalies which
    last are what matters. It leaves open whether estimates are from the past or the
    present of neighbours; only the latter can tell a crowd from a fault. That weights
    sum to one, predicted spreads, changes as channels, similarities of pairs, the
    context that ends before the horizon, and estimates by a node's own context where no
    neighbour speaks are ours.

    The level and the spread of a node that was not there in `fit` are those of its rows
    in `X`, all of which its scores then depend on; a node with fewer than 20 rows has
    those of all nodes.

    References
    ----------
    .. [1] "Uncovering Issues in the Radio Access Network by Looking at the Neighbors"
       (2025). arXiv:2504.14686.

    Examples
    --------
    >>> from skad import CAnemon
    >>> from skad.datasets import make_radio_network
    >>> X_train, X_test, y_test, _ = make_radio_network(n_cells=30, random_state=0)
    >>> detector = CAnemon(
    ...     node="cell",
    ...     time="time",
    ...     position=["x", "y"],
    ...     attributes=["type"],
    ...     max_epochs=2,
    ...     random_state=0,
    ... )
    >>> scores = detector.fit(X_train).score_samples(X_test)
    >>> bool(scores[y_test == -1].mean() < scores[y_test == 1].mean())
    True
    """

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        "node": [Interval(Integral, 0, None, closed="left"), str, None],
        "time": [Interval(Integral, 0, None, closed="left"), str, None],
        "position": ["array-like", None],
        "attributes": ["array-like", None],
        "metric": [StrOptions({"auto", "euclidean", "haversine"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "window_size": [Interval(Integral, 1, None, closed="left")],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "neighbor_window": [StrOptions({"observed", "past"})],
        "robust": ["boolean"],
        "change_window": [Interval(Integral, 0, None, closed="left")],
        "smoothing": [Interval(Integral, 1, None, closed="left")],
        "causal": ["boolean"],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "attention_size": [Interval(Integral, 1, None, closed="left")],
        "missing": [StrOptions({"raise", "mask"})],
    }

    _criterion = NeighborLoss

    def __init__(
        self,
        *,
        node=None,
        time=None,
        position=None,
        attributes=None,
        metric="auto",
        n_neighbors=10,
        window_size=24,
        horizon=24,
        neighbor_window="observed",
        robust=True,
        change_window=6,
        smoothing=7,
        causal=False,
        hidden_size=64,
        attention_size=32,
        missing="raise",
        max_epochs=10,
        batch_size=512,
        lr=0.002,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.node = node
        self.time = time
        self.position = position
        self.attributes = attributes
        self.metric = metric
        self.n_neighbors = n_neighbors
        self.window_size = window_size
        self.horizon = horizon
        self.neighbor_window = neighbor_window
        self.robust = robust
        self.change_window = change_window
        self.smoothing = smoothing
        self.causal = causal
        self.hidden_size = hidden_size
        self.attention_size = attention_size
        self.missing = missing
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params
        self.contamination = contamination

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    def _prepare(self, panel):
        n_others = panel.n_nodes - 1
        self.n_neighbors_ = max(1, min(self.n_neighbors, n_others))
        if n_others < self.n_neighbors:
            warnings.warn(
                f"n_neighbors ({self.n_neighbors}) is greater than the number of other "
                f"nodes ({n_others}); {self.n_neighbors_} are used.",
                stacklevel=2,
            )
        options = {"n_neighbors": self.n_neighbors_, "metric": self._columns.metric}
        if panel.labels is None:
            self._network = ReferenceRows(panel, **options)
        else:
            self._network = Network(
                panel, change_window=self.change_window, causal=self.causal, **options
            )
        self._context = self.window_size, self.horizon
        self.nodes_ = panel.labels
        self.kpis_ = self._columns.names(self._columns.kpis)

    def _make_module(self, panel):
        has_window = panel.labels is not None
        return NeighborEstimate(
            self._network.n_channels,
            panel.attributes.shape[1],
            self._network.n_pair_features,
            window_size=self.window_size if has_window else 0,
            hidden_size=self.hidden_size,
            attention_size=self.attention_size,
            from_past=has_window and self.neighbor_window == "past",
        )

    def _rows(self, panel):
        return self._items(self._network.scene(panel))

    def _items(self, scene):
        if self.nodes_ is None:
            return Stars(scene)
        return Snapshots(scene, *self._context)

    def _batch_size(self, panel):
        if panel.labels is None:
            return self.batch_size
        return max(1, self.batch_size // panel.n_nodes)

    def _valid_split(self, seed):
        if self.nodes_ is None:
            return super()._valid_split(seed)
        return LastSnapshots(self.validation_fraction)

    def _fit(self, panel):
        super()._fit(panel)
        scene, is_network = self._network.scene(panel), panel.labels is not None
        self._warn_of_nodes_alone(panel, scene)
        judged = self._judge(panel, scene, scene)
        self._usual = UsualErrors(
            judged.errors,
            smoothing=self.smoothing if is_network else 1,
            causal=self.causal,
            is_network=is_network,
        )
        if self.robust:
            is_odd = self._is_odd(judged.errors, scene)
            if not is_network:
                self._network.leave_out(is_odd)
                told = self._network.scene(panel)
            else:
                told = scene.without(is_odd)
            judged = self._judge(panel, scene, told)
        scores = -self._contributions(judged).sum(axis=2)
        self._usual_score = float(np.median(scores[judged.is_seen]))
        # They are asked for at once, for the threshold, and not computed again.
        self._scored = panel, self._scores_of(panel, judged)

    def _score_samples(self, panel):
        scored, scores = vars(self).pop("_scored", (None, None))
        if scored is panel:
            return scores
        return self._scores_of(panel, self._judged(panel))

    def _scores_of(self, panel, judged):
        scores = -self._contributions(judged).sum(axis=2)
        # Of rows without any reading nothing is known.
        return panel.of_rows(np.where(judged.is_seen, scores, self._usual_score))

    def _contributions(self, judged):
        """Return what each KPI says against each node and time step."""
        evidence = self._usual.evidence(judged.errors, judged.known)
        n_kpis = len(self.kpis_)
        parts = np.split(evidence, evidence.shape[2] // n_kpis, axis=2)
        return sum(parts)

    def _judged(self, panel):
        """Return what neighbours say of the nodes of a panel."""
        scene = self._network.scene(panel)
        self._warn_of_nodes_alone(panel, scene)
        return self._judge(panel, scene, self._told(panel, scene))

    def _told(self, panel, scene):
        """Return what is taken as said, without what is clearly an anomaly itself.

        It would spread to the neighbours, and come back as soon as it is in contexts.
        """
        if not self.robust or panel.labels is None:
            return scene
        errors = self._judge(panel, scene, scene).errors
        return scene.without(self._is_odd(errors, scene))

    def _is_odd(self, errors, scene):
        return self._usual.evidence(errors, scene.known) > _ODD

    def _judge(self, panel, scene, told):
        """Judge the nodes of a scene by what is told of their neighbours."""
        channels = scene.channels[:, : len(scene.index)]
        return Judged(scene.known, channels, **self._evaluated(panel, told, "judge"))

    def _warn_of_nodes_alone(self, panel, scene):
        is_alone = (scene.index < 0).all(axis=1)
        if is_alone.any():
            nodes = panel.labels or range(len(is_alone))
            names = [nodes[i] for i in np.flatnonzero(is_alone)[:3]]
            more = ", ..." if np.count_nonzero(is_alone) > 3 else ""
            warnings.warn(
                f"{np.count_nonzero(is_alone)} of {len(is_alone)} nodes have no "
                f"neighbours in X, {', '.join(map(repr, names))}{more}: they are "
                "judged by their own past.",
                stacklevel=2,
            )

    def _evaluated(self, panel, scene, method):
        """Return what the net says of nodes, of shape (n_steps, n_nodes, ...)."""
        items = self._items(scene)
        if panel.labels is not None:
            return self.net_.evaluate(items, method, size=self._batch_size(panel))
        found = self.net_.evaluate(items, method)
        return {name: part.swapaxes(0, 1) for name, part in found.items()}

    def _validate(self, X, *, reset, adjacency=None):
        learns = reset and not self._goes_on()
        if learns:
            chosen = self.node, self.time, self.position, self.attributes
            columns = PanelColumns(*chosen, self.metric, self.missing == "mask")
            panel, self._columns = columns.fit_read(self, X), columns
        else:
            panel = self._columns.read(self, X)
        if panel.labels is None:
            if adjacency is not None:
                raise ValueError(
                    "adjacency is given and node is None; expected the column that "
                    "names the node of a row."
                )
            return panel
        panel = replace(panel, adjacency=adjacency)
        known = np.full(panel.n_nodes, -1) if learns else self._network.known(panel)
        return panel.arranged(known)
