"""Readings of nodes over time: from a table of rows to a grid, and back."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import _safe_indexing, check_array

from skad._attributes import Attribute, is_number, missing, plain
from skad._groups import group_codes
from skad._named_columns import (
    check_size,
    column_name,
    column_position,
    column_positions,
    other_columns,
    validated_table,
)
from skad._times import TimeGrid


@dataclass(frozen=True)
class Panel:
    """Readings on a grid of time steps and nodes.

    Parameters
    ----------
    values : ndarray of shape (n_steps, n_nodes, n_kpis)
        The readings, NaN where there is none.

    step, node : ndarray of shape (n_rows,)
        Where the caller's rows are on the grid.

    labels : list of length n_nodes, or None
        The names of nodes; None if every row is a node of its own.

    positions : ndarray of shape (n_nodes, n_dims), or None
        Where nodes are, NaN where that is not known.

    attributes : ndarray of shape (n_nodes, n_attributes)
        What else is known of nodes, as numbers.

    adjacency : object
        What the caller said of neighbours, or None.
    """

    values: np.ndarray
    step: np.ndarray
    node: np.ndarray
    labels: list | None
    positions: np.ndarray | None
    attributes: np.ndarray
    adjacency: object = None

    def __len__(self):
        return len(self.step)

    @property
    def n_nodes(self):
        """The number of nodes."""
        return self.values.shape[1]

    def of_rows(self, values):
        """Return what belongs to the cells of the grid for the caller's rows."""
        return values[self.step, self.node]

    def arranged(self, known):
        """Return the same with nodes in an order that names and rows do not change.

        Parameters
        ----------
        known : ndarray of shape (n_nodes,)
            The place of nodes among those of `fit`, which come first, -1 for others.
            These follow by where they are and by what they show.
        """
        keys = [np.where(known < 0, len(known) + known.max(initial=0), known)]
        if self.positions is not None:
            keys.extend(self.positions.T)
        keys.extend(np.nansum(self.values, axis=0).T)
        return self._ordered(np.lexsort(keys[::-1]))

    def _ordered(self, order):
        place = np.empty(len(order), dtype=np.intp)
        place[order] = np.arange(len(order))
        return Panel(
            self.values[:, order],
            self.step,
            place[self.node],
            [self.labels[i] for i in order],
            None if self.positions is None else self.positions[order],
            self.attributes[order],
            self.adjacency,
        )


class PanelColumns:
    """The columns of a table that hold nodes, times, positions, attributes and KPIs.

    Parameters
    ----------
    node, time : int, str or None
        The columns that name the node and the time of a row, both or none.

    position, attributes : array-like of int or str, or None
        The columns of coordinates, and of what else is known of nodes. All others are
        KPIs.

    metric : {"auto", "euclidean", "haversine"}
        What distance is measured by; "auto" is haversine where columns of positions
        are named latitude and longitude.

    allow_nan : bool
        Whether KPIs may have gaps.
    """

    def __init__(self, node, time, position, attributes, metric, allow_nan):
        self.chosen = node, time, position, attributes
        self.metric = metric
        self.allow_nan = allow_nan

    def fit_read(self, estimator, X):
        """Learn what the columns are; return the panel in `X`."""
        table = validated_table(estimator, X, reset=True)
        self._find(table)
        return self._read(estimator, table, reset=True)

    def read(self, estimator, X):
        """Return the panel in `X`, with the columns that `fit_read` saw."""
        table = validated_table(estimator, X, reset=False)
        return self._read(estimator, table, reset=False)

    def names(self, positions):
        """Return the names of columns."""
        return [self._names[j] for j in positions]

    def times(self, X):
        """Return the times of rows as the caller wrote them."""
        X = X if hasattr(X, "columns") else np.asarray(X, dtype=object)
        return np.asarray(_safe_indexing(X, self.time, axis=1), dtype=object)

    def _find(self, table):
        node, time, position, attributes = self.chosen
        if (node is None) != (time is None):
            given, lacks = ("time", "node") if node is None else ("node", "time")
            raise ValueError(
                f"{given} is given and {lacks} is None; expected both columns, or "
                "none, with which every row is a node that is seen once."
            )
        self.node = self.time = None
        if node is not None:
            self.node = column_position(table, node, f"node={node!r}")
            self.time = column_position(table, time, f"time={time!r}")
        self.position = column_positions(table, position, "position")
        self.attributes = column_positions(table, attributes, "attributes")
        self._names = [column_name(table, j) for j in range(table.shape[1])]
        self._find_metric()
        used = [*self.position, *self.attributes]
        used += [] if self.node is None else [self.node, self.time]
        parameters = "node, time, position and attributes"
        self.kpis = other_columns(self._names, used, parameters, "KPI")

    def _find_metric(self):
        """Choose the metric; positions on the globe have the latitude in front."""
        names = [_geographic(self._names[j]) for j in self.position]
        if set(names) == {"latitude", "longitude"} and len(names) == 2:
            if self.metric == "auto":
                self.metric = "haversine"
            if self.metric == "haversine" and names[0] == "longitude":
                self.position.reverse()
        if self.metric == "auto":
            self.metric = "euclidean"
        if self.metric == "haversine" and len(self.position) != 2:
            raise ValueError(
                "metric='haversine' needs position to name two columns, latitude and "
                f"longitude in degrees; it names {self.names(self.position)}."
            )

    def _read(self, estimator, table, *, reset):
        kpis = self._numbers(estimator, table, self.kpis, reset)
        positions = None
        if self.position:
            positions = self._numbers(None, table, self.position, reset, "position")
        attributes = self._attribute_columns(table, reset)
        if self.node is None:
            rows = np.arange(len(kpis))
            encoded = self._encoded(attributes, len(kpis), reset)
            steps = np.zeros_like(rows)
            return Panel(kpis[np.newaxis], steps, rows, None, positions, encoded)
        return self._grid(table, kpis, positions, attributes, reset)

    def _grid(self, table, kpis, positions, attributes, reset):
        name = f"node: column {self._names[self.node]!r}"
        column = np.asarray(_safe_indexing(table, self.node, axis=1))
        node, labels = group_codes(column, len(kpis), name)
        step = self._steps(table, reset)
        first = np.unique(node, return_index=True)[1]
        self._check_rows(step, node, labels)
        if positions is not None:
            self._check_constant(positions.T, self.position, node, first, labels)
            positions = positions[first]
        self._check_constant(attributes, self.attributes, node, first, labels)
        values = np.full((step.max() + 1, len(labels), kpis.shape[1]), np.nan)
        values[step, node] = kpis
        attributes = [column[first] for column in attributes]
        encoded = self._encoded(attributes, len(labels), reset)
        return Panel(values, step, node, labels, positions, encoded)

    def _numbers(self, estimator, table, chosen, reset, name="X"):
        """Return columns as floats."""
        is_whole = len(chosen) == table.shape[1]
        columns = table if is_whole else _safe_indexing(table, chosen, axis=1)
        self._check_numeric(columns, chosen, name)
        numbers = check_array(
            columns,
            dtype=np.float64,
            order="C",
            ensure_all_finite="allow-nan" if name != "X" or self.allow_nan else True,
            ensure_min_samples=2 if reset else 1,
            estimator=estimator,
            input_name=name,
        )
        empty = np.isnan(numbers).all(axis=0)
        if reset and name == "X" and empty.any():
            column = self._names[chosen[int(empty.argmax())]]
            raise ValueError(f"Column {column!r} of X has no value in any row but NaN.")
        check_size(numbers, f"Input {name}")
        return numbers

    def _check_numeric(self, columns, chosen, name):
        if getattr(getattr(columns, "dtype", None), "kind", "O") in "biufc":
            return
        for k, j in enumerate(chosen):
            column = np.asarray(_safe_indexing(columns, k, axis=1))
            if column.dtype.kind not in "OUS" or plain(column).dtype.kind == "f":
                continue
            words = [v for v in column if isinstance(v, str) and not is_number(v)]
            if words:
                raise ValueError(
                    f"{name}: could not convert {words[0]!r} in column "
                    f"{self._names[j]!r} to a number; columns of categories belong "
                    "into attributes."
                )

    def _steps(self, table, reset):
        """Return the time step of each row; the first one in `X` is 0."""
        column = _safe_indexing(table, self.time, axis=1)
        if reset:
            label = f"time: column {self._names[self.time]!r}"
            self._grid_of_times = TimeGrid(column, label)
        return self._grid_of_times.steps(column, is_fit=reset)

    def _check_rows(self, step, node, labels):
        cell = node.astype(np.int64) * (step.max() + 1) + step
        order = np.argsort(cell, kind="stable")
        twice = np.flatnonzero(np.diff(cell[order]) == 0)
        if twice.size:
            rows = order[twice[0] : twice[0] + 2].tolist()
            raise ValueError(
                f"X has several rows of one node at one time, {len(twice)} too many, "
                f"such as rows {rows} of {labels[node[rows[0]]]!r}; expected one."
            )

    def _check_constant(self, columns, chosen, node, first, labels):
        for j, column in zip(chosen, columns, strict=True):
            here, there = column, column[first][node]
            differs = (here != there) & ~(missing(here) & missing(there))
            if differs.any():
                row = int(differs.argmax())
                raise ValueError(
                    f"node {labels[node[row]]!r} has more than one value in column "
                    f"{self._names[j]!r}, {there.tolist()[row]!r} and "
                    f"{here.tolist()[row]!r}; expected "
                    "one position and the same attributes in all rows of a node."
                )

    def _attribute_columns(self, table, reset):
        """Return the columns of attributes, as they are compared and encoded."""
        columns = [_safe_indexing(table, j, axis=1) for j in self.attributes]
        columns = [np.asarray(column) for column in columns]
        if reset:
            pairs = zip(columns, self.names(self.attributes), strict=True)
            self._attributes = [Attribute(*pair) for pair in pairs]
        pairs = zip(self._attributes, columns, strict=True)
        return [attribute.read(column) for attribute, column in pairs]

    def _encoded(self, columns, n_nodes, reset):
        """Return the attributes of nodes as numbers."""
        parts = [np.zeros((n_nodes, 0))]
        for attribute, values in zip(self._attributes, columns, strict=True):
            if reset:
                attribute.fit(values)
            parts.append(attribute.encode(values))
        return np.concatenate(parts, axis=1)


def _geographic(name):
    """Return which coordinate a column is named after, or None."""
    name = str(name).lower()
    if name in ("lat", "latitude"):
        return "latitude"
    return "longitude" if name in ("lon", "lng", "long", "longitude") else None
