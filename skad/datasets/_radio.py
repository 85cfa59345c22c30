"""Hourly load of radio cells, with crowds that are usual and faults that are not."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.spatial.distance import cdist
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

from skad.datasets._network_events import changed_readings, find_room

_KINDS = ("drop", "shift", "stuck", "decoupled")
_START = np.datetime64("2024-01-01", "ns")  # a Monday
_HOUR = np.timedelta64(1, "h")
# Of each type of cell: its share of the cells, the load that it is offered in a busy
# hour, the power to which the profile of the day is raised, and users at full load.
_TYPES = {
    "macro": (0.5, 0.60, 0.8, 60.0),
    "street": (0.3, 0.45, 1.0, 40.0),
    "indoor": (0.2, 0.35, 1.3, 25.0),
}
# Kilometres over which places resemble one another, and that a crowd reaches.
_RESEMBLANCE, _REACH = 2.0, 1.5
_CROWD_HOURS, _FAULT_HOURS = (3, 8), (6, 16)
# Hours between two faults of a cell.
_MARGIN = 6
# Of logarithms: spread of cells of a type, of the regional demand, of a reading.
_CELL, _REGION, _NOISE = 0.2, 0.15, 0.06
# How much of the regional demand of an hour is left in the next.
_MEMORY = 0.93


def make_radio_network(
    n_cells=60,
    n_train_days=21,
    n_test_days=7,
    *,
    n_crowds=20,
    n_faults=15,
    missing=0.0,
    random_state=None,
):
    """Generate the hourly load of radio cells, with crowds and faults.

    Each cell has a day and a week of its own: they depend on its type, and on whether
    offices or homes are around it. The demand of a region wanders, and cells near to
    one another share it. A crowd raises the load of all cells around a point that
    moves: that is rare, and nothing is wrong. A fault changes a single cell:

    - ``"drop"``: load and users fall to less than a tenth;
    - ``"shift"``: the load it is offered is 1.5 to 2.5 times as much, or as little,
      and the users stay the same;
    - ``"stuck"``: load and users of the last hour before it are repeated;
    - ``"decoupled"``: the cell shows load and users of another time of its own.

    Parameters
    ----------
    n_cells : int, default=60
        Number of cells. They are in a square, one per square kilometre on average.

    n_train_days : int, default=21
        Number of days without faults.

    n_test_days : int, default=7
        Number of the days after them, in which the faults are.

    n_crowds : int, default=20
        Number of crowds of 3 to 8 hours, between 8 and 24 o'clock. The second part has
        its share of them, by its number of days and rounded up.

    n_faults : int, default=15
        Number of faults of 6 to 16 hours; the kinds take turns. Those of one cell are
        6 hours apart or more.

    missing : float, default=0.0
        Share of the rows of both parts that are left out at random, less than 1.

    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn; pass an int for a reproducible network.

    Returns
    -------
    X_train : DataFrame of shape (n_train_rows, 7)
        The days without faults, in the order of time and then of the cells: `cell`,
        `time`, the place as `x` and `y` in kilometres, `type`, `load` as share of what
        the cell can carry, and `users`, the mean number of active users.

    X_test : DataFrame of shape (n_test_rows, 7)
        The days that follow.

    y_test : ndarray of shape (n_test_rows,)
        -1 during a fault of the cell, 1 otherwise.

    events : DataFrame of shape (n_crowds + n_faults, 7)
        The events in the order of time: `kind`, which is a kind of fault or
        ``"crowd"``; `cell`, of a crowd the one nearest to its start; the hours from
        `start` up to before `stop`; `x` and `y` of the start of a crowd, NaN for
        faults; and `cells`, a tuple of all cells that are concerned. For a crowd, these
        are raised, for an hour or longer, by more than a quarter of what the one
        raised most is, each measured by its own level.

    See Also
    --------
    inject_network_events : Put faults and shocks into series that were measured.
    make_sensor_series : Readings of sensors of one system, with events.

    Notes
    -----
    Generated networks serve tests and examples. What a detector reaches on them says
    nothing about real ones.

    Examples
    --------
    >>> from skad.datasets import make_radio_network
    >>> X_train, X_test, y_test, events = make_radio_network(random_state=0)
    >>> X_train.shape, X_test.shape
    ((30240, 7), (10080, 7))
    >>> X_train[["cell", "time", "type"]].head(3)
          cell       time    type
    0  cell 00 2024-01-01  street
    1  cell 01 2024-01-01  street
    2  cell 02 2024-01-01  indoor
    >>> int((y_test == -1).sum())
    172
    """
    _check(n_cells, n_train_days, n_test_days, n_crowds, n_faults, missing)
    rng = check_random_state(random_state)
    days = (n_train_days, n_test_days)
    cells = _cells(n_cells, rng)
    crowds, raised = _crowds(cells, days, n_crowds, rng)
    readings = _readings(cells, raised, rng)
    faults = _faults(readings, n_train_days, n_faults, rng)
    changed, is_fault = _with_faults(readings, faults, rng)
    # What a cell carries comes near to 1, and not above, as more is offered.
    changed[..., 0] = -np.expm1(-changed[..., 0])
    table = _table(cells, changed)
    n_train_rows = 24 * n_train_days * n_cells
    train = _present(np.arange(n_train_rows), missing, rng)
    test = _present(np.arange(n_train_rows, len(table)), missing, rng)
    y_test = np.where(is_fault.ravel()[test], -1, 1)
    X_train = table.iloc[train].reset_index(drop=True)
    X_test = table.iloc[test].reset_index(drop=True)
    return X_train, X_test, y_test, _events(cells["cell"], crowds, faults)


def _cells(n_cells, rng):
    """Draw what stays the same of the cells: a dict of arrays."""
    place = rng.uniform(0, np.sqrt(n_cells), size=(n_cells, 2)).round(3)
    shares, *properties = np.array(list(_TYPES.values())).T
    kind = rng.choice(len(_TYPES), size=n_cells, p=shares)
    level, power, users = (values[kind] for values in properties)
    resemblance = np.exp(-0.5 * (cdist(place, place) / _RESEMBLANCE) ** 2)
    # The small number makes the matrix positive definite, rounded or not.
    root = np.linalg.cholesky(resemblance + 1e-6 * np.eye(n_cells))
    names = np.array(list(_TYPES))[kind]
    # More of the cells indoors are in offices.
    offices = root @ rng.normal(size=n_cells) + (names == "indoor")
    width = max(2, len(str(n_cells - 1)))
    return {
        "cell": np.array([f"cell {i:0{width}d}" for i in range(n_cells)]),
        "place": place,
        "type": names,
        "level": level * np.exp(_CELL * rng.normal(size=n_cells)),
        "power": power,
        "users": users * np.exp(_CELL * rng.normal(size=n_cells)),
        "offices": 1 / (1 + np.exp(-2 * offices)),
        "root": root,
    }


def _profiles(n_hours):
    """Return the demand around homes and that around offices, hour by hour."""
    hour = np.arange(n_hours)
    is_weekend = hour // 24 % 7 >= 5

    def around(centre, width):
        away = (hour % 24 - centre + 12) % 24 - 12
        return np.exp(-0.5 * (away / width) ** 2)

    homes = np.where(
        is_weekend,
        0.14 + 0.6 * around(13, 3.5) + 0.9 * around(20, 3),
        0.12 + 0.4 * around(8, 1.8) + 0.3 * around(13, 3) + around(20.5, 2.8),
    )
    offices = np.where(
        is_weekend,
        0.08 + 0.25 * around(14, 3.5),
        0.08 + 0.9 * around(10.5, 2) + 0.85 * around(15, 2.2),
    )
    return homes[:, None], offices[:, None]


def _readings(cells, raised, rng):
    """Return offered load and users, without faults: (n_hours, n_cells, 2)."""
    shape = raised.shape
    homes, offices = _profiles(len(raised))
    profile = homes + cells["offices"] * (offices - homes)
    steps = np.sqrt(1 - _MEMORY**2) * rng.normal(size=shape)
    steps[0] /= np.sqrt(1 - _MEMORY**2)  # as spread as all hours after it
    region = _REGION * lfilter([1], [1, -_MEMORY], steps, axis=0) @ cells["root"].T
    demand = profile ** cells["power"] * np.exp(region) + raised
    load = cells["level"] * demand * np.exp(_NOISE * rng.normal(size=shape))
    users = cells["users"] * load * np.exp(_NOISE * rng.normal(size=shape))
    return np.stack([load, users], axis=2)


def _crowds(cells, days, n_crowds, rng):
    """Draw crowds, and by how many of its levels each cell is raised each hour."""
    place = cells["place"]
    raised = np.zeros((24 * sum(days), len(place)))
    n_late = -(-n_crowds * days[1] // sum(days))
    side, crowds = np.sqrt(len(place)), []
    for i in range(n_crowds):
        day = rng.randint(days[1]) + days[0] if i < n_late else rng.randint(days[0])
        length = rng.randint(_CROWD_HOURS[0], _CROWD_HOURS[1] + 1)
        start = 24 * day + rng.randint(8, 24 - length + 1)
        first = rng.uniform(0, side, size=2)
        steps = rng.normal(0, 0.3, size=2) + rng.normal(0, 0.1, size=(length, 2))
        steps[0] = 0
        points = np.clip(first + np.cumsum(steps, axis=0), 0, side)
        distance = cdist(points, place)
        near = np.exp(-0.5 * (distance / _REACH) ** 2)
        raised[start : start + length] += rng.uniform(0.6, 1.5) * near
        most = near.max(axis=0)
        concerned = tuple(cells["cell"][most > most.max() / 4].tolist())
        crowds.append(
            ("crowd", distance[0].argmin(), start, start + length, *first, concerned)
        )
    return crowds, raised


def _faults(readings, n_train_days, n_faults, rng):
    """Draw when which cell has a fault of what kind."""
    busy = np.zeros(readings.shape[:2], dtype=bool)
    cells = np.arange(busy.shape[1])[:, None]
    faults = []
    for i in range(n_faults):
        place = find_room(busy, cells, _FAULT_HOURS, _MARGIN, rng, 24 * n_train_days)
        if place is None:
            raise ValueError(
                f"n_faults is {n_faults}; there was no room for more than {i} faults. "
                f"Ask for fewer, or for more of n_cells or n_test_days."
            )
        faults.append((_KINDS[i % len(_KINDS)], *place))
    return faults


def _with_faults(readings, faults, rng):
    changed = readings.copy()
    is_fault = np.zeros(readings.shape[:2], dtype=bool)
    for kind, cell, start, stop in faults:
        own = readings[:, cell]
        off = rng.uniform(1.5, 2.5) ** rng.choice([-1, 1]) - 1
        offset = off * own[start:stop] * [1, 0]  # the load only
        left = rng.uniform(0, 0.1)
        changed[start:stop, cell] = changed_readings(
            own, kind, start, stop, left, offset, rng
        )
        is_fault[start:stop, cell] = True
    return changed, is_fault


def _table(cells, readings):
    n_hours, n_cells, _ = readings.shape
    load, users = readings.reshape(-1, 2).T
    x, y = np.tile(cells["place"], (n_hours, 1)).T
    return pd.DataFrame(
        {
            "cell": np.tile(cells["cell"], n_hours),
            "time": np.repeat(_START + np.arange(n_hours) * _HOUR, n_cells),
            "x": x,
            "y": y,
            "type": np.tile(cells["type"], n_hours),
            "load": load,
            "users": users,
        }
    )


def _present(rows, missing, rng):
    n_left_out = int(missing * len(rows))
    return np.sort(rng.permutation(rows)[n_left_out:])


def _events(names, crowds, faults):
    faults = [(*fault, np.nan, np.nan, (names[fault[1]].item(),)) for fault in faults]
    columns = ["kind", "cell", "start", "stop", "x", "y", "cells"]
    drawn = sorted(crowds + faults, key=lambda event: event[2])
    events = pd.DataFrame(drawn, columns=columns)
    events["cell"] = names[events["cell"].to_numpy(dtype=int)]
    for name in ("start", "stop"):
        events[name] = _START + events[name].to_numpy(dtype=int) * _HOUR
    return events.astype({"x": float, "y": float})


def _check(n_cells, n_train_days, n_test_days, n_crowds, n_faults, missing):
    check_scalar(n_cells, "n_cells", Integral, min_val=1)
    check_scalar(n_train_days, "n_train_days", Integral, min_val=1)
    check_scalar(n_test_days, "n_test_days", Integral, min_val=1)
    check_scalar(n_crowds, "n_crowds", Integral, min_val=0)
    check_scalar(n_faults, "n_faults", Integral, min_val=0)
    check_scalar(
        missing, "missing", Real, min_val=0, max_val=1, include_boundaries="left"
    )
