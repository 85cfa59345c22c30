"""A table of nodes over time, as a detector of nodes reads it."""

import numpy as np
from sklearn.utils import _safe_indexing, check_array

from skad._groups import group_codes
from skad._named_columns import column_name, column_position
from skad._times import numeric_times


class NodeTable:
    """Rows of a table by their nodes and times.

    Parameters
    ----------
    detector : CAnemon
        The detector, which knows what the columns are.

    X : array-like of shape (n_rows, n_columns)
        The table.

    kpi : str, int or None
        The KPI whose readings are wanted.
    """

    def __init__(self, detector, X, kpi):
        X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
        self.kpi_index = _kpi_index(detector, kpi)
        if getattr(detector, "node", None) is None:
            raise ValueError(
                "estimator has node=None, so that every row is a node that is seen "
                "once; expected a detector with columns that name node and time."
            )
        node = column_position(X, detector.node, f"node={detector.node!r}")
        codes, labels = group_codes(_safe_indexing(X, node, axis=1), len(X))
        self._codes = codes
        self._code_of = {label: code for code, label in enumerate(labels)}
        time = column_position(X, detector.time, f"time={detector.time!r}")
        self._read_times(X, time)
        name = detector.kpis_[self.kpi_index]
        j = column_position(X, name, f"kpi={name!r}")
        self.readings = check_array(
            _safe_indexing(X, [j], axis=1), dtype=float, ensure_all_finite=False
        )[:, 0]

    def _read_times(self, X, j):
        column, name = _safe_indexing(X, j, axis=1), column_name(X, j)
        times = numeric_times(column, f"time: column {name!r}")
        self.times, self._step = np.unique(times, return_inverse=True)
        self.time_name = name if isinstance(name, str) else "time"
        if getattr(getattr(column, "dtype", None), "tz", None) is not None:
            self.time_name += " (UTC)"

    def rows_of(self, node):
        """Return the positions of the rows of a node."""
        if node not in self._code_of:
            some = ", ".join(repr(label) for label in list(self._code_of)[:3])
            raise ValueError(
                f"node={node!r} is none of the {len(self._code_of)} nodes in X, such "
                f"as {some}."
            )
        return np.flatnonzero(self._codes == self._code_of[node])

    def over_time(self, values, rows):
        """Return the values of some rows at all times, NaN where there is no row."""
        found = np.full(len(self.times), np.nan)
        found[self._step[rows]] = values[rows]
        return found


def _kpi_index(detector, kpi):
    names = list(detector.kpis_)
    if kpi is not None and kpi not in names:
        raise ValueError(f"kpi={kpi!r} is none of the KPIs of the detector, {names}.")
    return 0 if kpi is None else names.index(kpi)
