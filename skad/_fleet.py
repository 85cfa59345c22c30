"""Rows of many systems: whose they are, what conditions a forecast, what is scored."""

import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np
from sklearn.utils import _safe_indexing, check_array

from skad._groups import group_codes
from skad._named_columns import (
    check_size,
    column_name,
    column_position,
    column_positions,
    other_columns,
    validated_table,
)
from skad._segments import SeriesRows
from skad._series import Series

# A single row tells nothing of what errors are usual.
_FEWEST_ROWS = 2


@dataclass(frozen=True)
class System:
    """The rows of one system; those of each of its series lie side by side.

    Parameters
    ----------
    label : object
        Its name; None if the data name no systems.

    series : Series
        The sensors, with NaN where nothing was measured.

    covariates : ndarray of shape (n_rows, n_covariates)
        What else is known of each row.
    """

    label: object
    series: Series
    covariates: np.ndarray

    def __len__(self):
        return len(self.series)

    @property
    def is_measured(self):
        """Whether each sensor has any value."""
        return ~np.isnan(self.series.values).all(axis=0)

    def parts(self):
        """Yield the sensors and the covariates of each series."""
        for rows in self.series.slices():
            yield self.series.values[rows], self.covariates[rows]


class FleetColumns:
    """The columns of a table that hold systems, covariates and sensors.

    Parameters
    ----------
    system : int, str or None
        The column that names the system of a row.

    covariates : array-like of int or str, or None
        The columns that condition forecasts. All others are of sensors.

    allow_nan : bool
        Whether sensors may have gaps. If not, a system may still have no value at all
        of a sensor where `system` is given: it has no such sensor.
    """

    def __init__(self, system, covariates, allow_nan):
        self.chosen = system, covariates
        self.allow_nan = allow_nan

    def fit_read(self, estimator, X, groups):
        """Learn where the columns are; return the systems in `X`, by their labels."""
        table = validated_table(estimator, X, reset=True)
        self._find(table)
        return self._read(estimator, table, groups, reset=True)

    def read(self, estimator, X, groups):
        """Return the systems in `X`, with the columns that `fit_read` saw."""
        table = validated_table(estimator, X, reset=False)
        return self._read(estimator, table, groups, reset=False)

    def names(self, positions):
        """Return the names of columns."""
        return [self._names[j] for j in positions]

    def sensor_place(self, column):
        """Return the place among the sensors of a column, by its name or index."""
        position = column
        if isinstance(column, str) and column in self._names:
            position = self._names.index(column)
        if position not in self.sensors:
            names = self.names(self.sensors)
            raise ValueError(f"weights names {column!r}; the sensors are {names}.")
        return self.sensors.index(position)

    def check_gaps(self, system, is_measured):
        """Raise if a sensor of a system has gaps and may not; warn if it has no such.

        Parameters
        ----------
        system : System
            The rows of a system.

        is_measured : ndarray of shape (n_sensors,)
            Which sensors the system has.
        """
        missing = np.isnan(system.series.values)
        gaps = missing.any(axis=0) & is_measured
        if gaps.any() and not self.allow_nan:
            n_rows = np.count_nonzero(missing[:, gaps].any(axis=1))
            raise ValueError(
                f"Input X contains NaN in {n_rows} rows of system {system.label!r}, in "
                f"the columns {self._sensor_names(gaps)}; missing='mask' allows gaps."
            )
        surplus = ~missing.all(axis=0) & ~is_measured
        if surplus.any():
            warnings.warn(
                f"System {system.label!r} had no value in fit in the columns "
                f"{self._sensor_names(surplus)}; those it has now are not scored.",
                stacklevel=2,
            )

    def _sensor_names(self, mask):
        return [self._names[self.sensors[k]] for k in np.flatnonzero(mask)]

    def _find(self, table):
        system, covariates = self.chosen
        self.system = None
        if system is not None:
            self.system = column_position(table, system, f"system={system!r}")
        self.covariates = column_positions(table, covariates, "covariates")
        self._names = [column_name(table, j) for j in range(table.shape[1])]
        used = [*self.covariates]
        used += [] if self.system is None else [self.system]
        parameters = "system and covariates"
        self.sensors = other_columns(self._names, used, parameters, "sensor")

    def _read(self, estimator, table, groups, *, reset):
        n_rows = len(table)
        of_system, labels = self._system_codes(table)
        of_run, _ = group_codes(groups, n_rows)
        numbers, place_of = self._numbers(estimator, table, reset=reset)
        sensors = _as_slice([place_of[j] for j in self.sensors])
        covariates = [place_of[j] for j in self.covariates]
        # Stable: rows of a series stay in the order of time.
        order = np.lexsort((of_run, of_system))
        of_system, of_run = of_system[order], of_run[order]
        changes = (np.diff(of_system) != 0) | (np.diff(of_run) != 0)
        starts = np.r_[0, np.flatnonzero(changes) + 1, n_rows]
        edges = np.searchsorted(of_system, np.arange(len(labels) + 1))
        systems = {}
        for label, first, last in zip(labels, edges[:-1], edges[1:], strict=True):
            bounds = starts[(starts >= first) & (starts <= last)] - first
            place = order[first:last]
            rows = numbers[_as_slice(place)]
            series = Series(rows[:, sensors], bounds, place)
            systems[label] = System(label, series, rows[:, covariates])
        return systems

    def _system_codes(self, table):
        if self.system is None:
            return group_codes(None, len(table))
        column = np.asarray(_safe_indexing(table, self.system, axis=1))
        name = f"system: column {self._names[self.system]!r}"
        return group_codes(column, len(table), name)

    def _numbers(self, estimator, table, *, reset):
        """Return columns as floats, and the place of each column among them."""
        is_numeric = getattr(getattr(table, "dtype", None), "kind", "O") in "fiub"
        chosen = list(range(table.shape[1]))
        if self.system is not None and not is_numeric:
            chosen.remove(self.system)
            table = _safe_indexing(table, chosen, axis=1)
        lacks = self.allow_nan or self.system is not None
        numbers = check_array(
            table,
            dtype=np.float64,
            ensure_all_finite="allow-nan" if lacks else True,
            ensure_min_samples=2 if reset else 1,
            estimator=estimator,
            input_name="X",
        )
        place_of = {j: k for k, j in enumerate(chosen)}
        self._check_numbers(numbers, [place_of[j] for j in self.covariates])
        return numbers, place_of

    def _check_numbers(self, numbers, covariates):
        check_size(numbers, "Input X")
        gaps = np.isnan(numbers[:, covariates]).any(axis=0)
        if gaps.any():
            name = self._names[self.covariates[int(gaps.argmax())]]
            raise ValueError(
                f"covariates: column {name!r} contains NaN; a forecast needs the "
                "covariates of every row."
            )


def _as_slice(places):
    """Return a slice for places side by side, of which an array gives a view."""
    if np.all(np.diff(places) == 1):
        return slice(places[0], places[-1] + 1)
    return places


def in_order_of_rows(systems, results):
    """Return what belongs to rows of systems in the order of the caller's rows.

    Parameters
    ----------
    systems : dict of System
        The systems.

    results : iterable of ndarray of shape (n_rows, ...)
        What belongs to the rows of each.

    Returns
    -------
    result : ndarray of shape (n_rows of all systems, ...)
        The same for all rows.
    """
    results = np.concatenate(list(results))
    found = np.empty_like(results)
    found[_rows_of(systems)] = results
    return found


def labels_of_rows(systems):
    """Return the label of the system of each of the caller's rows, as objects."""
    labels = np.empty(sum(map(len, systems.values())), dtype=object)
    for label, system in systems.items():
        labels[system.series.place] = [label] * len(system)
    return labels


def series_rows(systems):
    """Return which of the caller's rows are of one series."""
    lengths = [system.series.lengths for system in systems.values()]
    bounds = np.r_[0, np.cumsum(np.concatenate(lengths))]
    return SeriesRows(_rows_of(systems), bounds)


def check_system(system, weights):
    """Raise if nothing can be learnt from the rows of a system."""
    name = "X" if system.label is None else f"system {system.label!r}"
    if len(system) < _FEWEST_ROWS:
        raise ValueError(
            f"{name} has {len(system)} row; expected at least {_FEWEST_ROWS}."
        )
    if not weights[system.is_measured].any():
        raise ValueError(
            f"{name} has no value but NaN in any sensor whose weight is above 0."
        )


def _rows_of(systems):
    return np.concatenate([system.series.place for system in systems.values()])


def sensor_weights(weights, columns):
    """Return the weight of each sensor in the sum over the sensors of a row.

    Parameters
    ----------
    weights : dict or None
        The weight of columns or, by tuples of columns, of groups of sensors, among
        which it is divided. Sensors that are not named have a weight of 1.

    columns : FleetColumns
        The columns.

    Returns
    -------
    weights : ndarray of shape (n_sensors,)
        The weights.
    """
    found = np.ones(len(columns.sensors))
    named = set()
    for key, weight in (weights or {}).items():
        group = key if isinstance(key, tuple) else (key,)
        places = [columns.sensor_place(column) for column in group]
        if len(set(places)) < len(places) or not named.isdisjoint(places):
            raise ValueError(
                f"weights has a sensor of {key!r} more than once; expected it once."
            )
        if not places or not isinstance(weight, Real) or not 0 <= weight < np.inf:
            raise ValueError(
                f"weights[{key!r}] is {weight!r}; expected a finite number from 0 up, "
                "for one column or for a tuple of columns."
            )
        named.update(places)
        found[places] = weight / len(places)
    if not found.any():
        raise ValueError("weights are 0 for all sensors; expected one above 0.")
    return found
