"""c-ANEMON: radio cells, and other nodes of a network, judged by their neighbours."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skad._adjacency import AdjacencyMixin
from skad._deep import BaseDeepDetector
from skad._groups import group_codes
from skad._nets._canemon import NeighborEstimate, NeighborLoss
from skad._nets._snapshots import LastSnapshots, Snapshots, Stars
from skad._network import Network, ReferenceRows
from skad._node_events import NodeRows, Readings, event_table, node_events
from skad._node_scores import UsualErrors
from skad._panel import PanelColumns


class CAnemon(AdjacencyMixin, BaseDeepDetector):
    """Detect nodes of a network that do not show what their neighbours show."""

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
        robust=False,
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

    def explain(self, X, *, adjacency=None):
        """Return how much each KPI adds to the anomaly of each row."""
        check_is_fitted(self)
        panel = self._validate(X, reset=False, adjacency=adjacency)
        terms = self._contributions(self._judged(panel))
        explained = np.zeros((len(panel), self.n_features_in_))
        explained[:, self._columns.kpis] = panel.of_rows(terms)
        return explained

    def attention(self, X, *, adjacency=None):
        """Return the neighbours of each row, and how much attention each got."""
        check_is_fitted(self)
        panel = self._validate(X, reset=False, adjacency=adjacency)
        scene = self._network.scene(panel)
        weights = self._evaluated(panel, scene, "attend")["attention"]
        neighbors = self._network.neighbor_labels(panel, scene)
        return panel.of_rows(weights), neighbors[panel.node]

    def predict_readings(self, X, *, adjacency=None, return_std=False):
        """Return what the neighbours of each row lead to expect of its KPIs."""
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
        """Return anomalies that last, node by node, with a hint of what each is."""
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
        readings = self._readings(panel, judged)
        return event_table(found, rows, readings, labels=labels, kpis=self.kpis_)

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
            robust=self.robust,
        )

    def _rows(self, panel):
        return self._items(self._network.scene(panel))

    def _items(self, scene):
        if self.nodes_ is None:
            return Stars(scene)
        return Snapshots(scene, self.window_size, self.horizon)

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
        judged = self._judged(panel)
        is_network = panel.labels is not None
        self._usual = UsualErrors(
            judged.errors,
            smoothing=self.smoothing if is_network else 1,
            causal=self.causal,
            is_network=is_network,
        )
        scores = -self._contributions(judged).sum(axis=2)
        self._usual_score = float(np.median(scores[judged.is_seen]))

    def _score_samples(self, panel):
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
        found = self._evaluated(panel, scene, "judge")
        channels = scene.channels[:, : len(scene.index)]
        return Judged(scene.known, channels, **found)

    def _evaluated(self, panel, scene, method):
        """Return what the net says of nodes, of shape (n_steps, n_nodes, ...)."""
        if panel.labels is not None:
            return self.net_.evaluate(
                self._items(scene), method, size=self._batch_size(panel)
            )
        found = self.net_.evaluate(self._items(scene), method)
        return {name: part.swapaxes(0, 1) for name, part in found.items()}

    def _readings(self, panel, judged):
        """Return readings and what was expected in spreads, as events need them."""
        n_kpis = len(self.kpis_)
        level, spread = self._network.usual.of_nodes(panel, judged.known)
        return Readings(
            panel.of_rows(judged.channels)[:, :n_kpis],
            panel.of_rows(judged.estimate)[:, :n_kpis],
            -level / spread,
            np.broadcast_to(self._network.usual_change, level.shape),
        )

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


@dataclass(frozen=True)
class Judged:
    """What is said of nodes at time steps, in spreads.

    Parameters
    ----------
    known : ndarray of shape (n_nodes,)
        The place of each node among those of `fit`, -1 for others.

    channels, estimate, spread : ndarray of shape (n_steps, n_nodes, n_channels)
        What nodes show, what was expected, and how far off that usually is.

    n_neighbors : ndarray of shape (n_steps, n_nodes)
        How many neighbours spoke.
    """

    known: np.ndarray
    channels: np.ndarray
    estimate: np.ndarray
    spread: np.ndarray
    n_neighbors: np.ndarray

    @property
    def errors(self):
        """Errors over how large they usually are; NaN where nothing was seen."""
        return (self.channels - self.estimate) / self.spread

    @property
    def is_seen(self):
        """Where a node shows anything."""
        return ~np.isnan(self.channels).all(axis=2)
