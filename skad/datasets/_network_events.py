"""Faults of single nodes and shocks of neighbourhoods, put into measured series."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_scalar

KINDS = ("drop", "shift", "stuck", "decoupled", "spike")

_N_TRIES = 1000
# One in so many readings of a spike event is off.
_SPIKES = 8


def inject_network_events(
    X,
    neighbors,
    *,
    fault_fraction=0.005,
    shock_fraction=0.005,
    duration=(6, 24),
    size=(1.0, 2.5),
    kinds=("drop", "shift", "stuck", "decoupled"),
    margin=24,
    random_state=None,
):
    """Put events into the series of nodes that have neighbours.

    A fault changes a single node. A shock moves a node and all its neighbours alike,
    as a crowd or a storm does, and nothing is wrong with any of them. A detector that
    looks at one node at a time cannot tell a fault from a shock.

    Parameters
    ----------
    X : array-like of shape (n_times, n_nodes)
        A measured series per node.

    neighbors : array-like of int of shape (n_nodes, n_neighbors)
        The neighbours of each node; -1 stands for none, where a node has fewer.

    fault_fraction : float, default=0.005
        Share of all readings that faults change, at least; 0 for no faults.

    shock_fraction : float, default=0.005
        Share of all readings that shocks change, at least; 0 for no shocks.

    duration : tuple of two ints, default=(6, 24)
        Range of the number of time steps of an event. `X` must have three times as
        many as the longest.

    size : tuple of two floats, default=(1.0, 2.5)
        Range of how far shifts and shocks are off, up or down, in standard deviations
        of the node.

    kinds : tuple of str, default=('drop', 'shift', 'stuck', 'decoupled')
        Kinds of faults; they take turns:

        - ``"drop"``: less than three tenths of each value is left;
        - ``"shift"``: the level is another;
        - ``"stuck"``: the last reading before it is repeated;
        - ``"decoupled"``: the node shows a stretch of its own from another time, so
          that its values are usual and do not fit those of its neighbours;
        - ``"spike"``: an eighth of the readings, at least one, are off by twice as
          much as in a shift.

    margin : int, default=24
        At least so many time steps are between two events that share a node.

    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn; pass an int for reproducible events.

    Returns
    -------
    changed : ndarray of shape (n_times, n_nodes)
        `X` with the events.

    is_fault : ndarray of shape (n_times, n_nodes)
        True during a fault of the node; of a spike, where its readings are off.

    is_shocked : ndarray of shape (n_times, n_nodes)
        True during a shock of the node.

    events : DataFrame of shape (n_events, 5)
        The events in the order of time: `kind`, which is a kind of fault or
        ``"shock"``; `node`, of a shock the one in its centre; the time steps from
        `start` up to before `stop`; and `size` in standard deviations, NaN for a kind
        that has none.

    Raises
    ------
    ValueError
        If there is no room for as many events.

    See Also
    --------
    make_radio_network : Hourly load of radio cells, with crowds and faults.
    make_sensor_series : Readings of sensors of one system, with events.

    Examples
    --------
    >>> import numpy as np
    >>> from skad.datasets import inject_network_events
    >>> X = np.random.RandomState(0).normal(10, 1, size=(1000, 20))
    >>> neighbors = (np.arange(20)[:, None] + [1, -1]) % 20  # a ring
    >>> changed, is_fault, is_shocked, events = inject_network_events(
    ...     X, neighbors, random_state=0
    ... )
    >>> events["kind"].value_counts().sort_index().to_dict()
    {'decoupled': 1, 'drop': 2, 'shift': 2, 'shock': 3, 'stuck': 1}
    >>> bool(np.all((changed != X) <= (is_fault | is_shocked)))
    True
    """
    X = check_array(X, dtype=np.float64, input_name="X")
    rng = check_random_state(random_state)
    _check_parameters(fault_fraction, shock_fraction, duration, size, kinds, margin)
    if len(X) < 3 * duration[1]:
        raise ValueError(
            f"X has {len(X)} time steps; expected at least {3 * duration[1]}, three "
            f"times the longest duration ({duration[1]})."
        )
    around = _neighborhoods(neighbors, X.shape[1])
    alone = np.arange(X.shape[1])[:, None]
    busy = np.zeros(X.shape, dtype=bool)
    # Shocks take more room, hence first.
    shocks = _drawn(shock_fraction, around, ("shock",), busy, duration, margin, rng)
    faults = _drawn(fault_fraction, alone, kinds, busy, duration, margin, rng)
    return _with_events(X, shocks + faults, around, size, rng)


def find_room(busy, groups, duration, margin, rng, first=1):
    """Draw a group of nodes and a time when they are free, and mark that as busy.

    Return the number of the group, the start and the stop, or None if there is no
    room to be found.
    """
    for _ in range(_N_TRIES):
        length = rng.randint(duration[0], duration[1] + 1)
        start = rng.randint(first, len(busy) - length + 1)
        node, stop = rng.randint(len(groups)), start + length
        if not busy[max(start - margin, 0) : stop + margin, groups[node]].any():
            busy[start:stop, groups[node]] = True
            return node, start, stop
    return None


def changed_readings(readings, kind, start, stop, factor, offset, rng):
    """Return what a faulty node shows from `start` up to before `stop`.

    `readings`, of shape (n_times, ...), has at least three times as many time steps;
    `start` is at least 1. `factor` is for drops, `offset` for shifts and spikes.
    """
    length = stop - start
    if kind == "drop":
        return factor * readings[start:stop]
    if kind == "stuck":
        return np.repeat(readings[start - 1 : start], length, axis=0)
    if kind == "decoupled":
        firsts = np.arange(len(readings) - length + 1)
        first = rng.choice(firsts[np.abs(firsts - start) >= length])
        return readings[first : first + length]
    return readings[start:stop] + offset


def _drawn(fraction, groups, kinds, busy, duration, margin, rng):
    """Draw events, as (kind, node, start, stop), until the fraction is reached."""
    events, n_readings, n_wanted = [], 0, fraction * busy.size
    while n_readings < n_wanted:
        kind = kinds[len(events) % len(kinds)]
        place = find_room(busy, groups, duration, margin, rng)
        if place is None:
            raise ValueError(
                f"There is no room for one more event ({kind}) with "
                f"duration={duration} and margin={margin} after {len(events)} events "
                f"with {n_readings} of {np.ceil(n_wanted):.0f} readings; lower "
                "fault_fraction, shock_fraction, duration or margin."
            )
        node, start, stop = place
        length = _n_spikes(stop - start) if kind == "spike" else stop - start
        n_readings += length * len(groups[node])
        events.append((kind, node, start, stop))
    return events


def _with_events(X, drawn, around, size, rng):
    """Return what `inject_network_events` does."""
    std = X.std(axis=0)
    changed = X.copy()
    is_fault, is_shocked = np.zeros((2, *X.shape), dtype=bool)
    rows = []
    for kind, node, start, stop in sorted(drawn, key=lambda event: event[2]):
        off = rng.choice([-1, 1]) * rng.uniform(*size) * (1 + (kind == "spike"))
        if kind == "shock":
            there = np.ix_(np.arange(start, stop), around[node])
            changed[there] += off * std[around[node]]
            is_shocked[there] = True
        else:
            when, left = np.arange(start, stop), rng.uniform(0, 0.3)
            shown = changed_readings(
                X[:, node], kind, start, stop, left, off * std[node], rng
            )
            if kind == "spike":
                when = rng.choice(when, _n_spikes(len(when)), replace=False)
            changed[when, node] = shown[when - start]
            is_fault[when, node] = True
        has_size = kind in ("shock", "shift", "spike")
        rows.append((kind, node, start, stop, off if has_size else np.nan))
    types = {"kind": str, "node": int, "start": int, "stop": int, "size": float}
    events = pd.DataFrame(rows, columns=list(types)).astype(types)
    return changed, is_fault, is_shocked, events


def _n_spikes(length):
    return max(1, length // _SPIKES)


def _neighborhoods(neighbors, n_nodes):
    """Return each node and its neighbours, as a list of arrays."""
    neighbors = check_array(neighbors, dtype=None, input_name="neighbors")
    if not np.issubdtype(neighbors.dtype, np.integer):
        raise TypeError(f"neighbors has dtype {neighbors.dtype}; expected integers.")
    if len(neighbors) != n_nodes:
        raise ValueError(
            f"neighbors has {len(neighbors)} rows; expected one for each of the "
            f"{n_nodes} nodes (columns) of X."
        )
    if neighbors.min() < -1 or neighbors.max() >= n_nodes:
        raise ValueError(
            f"neighbors has values from {neighbors.min()} to {neighbors.max()}; "
            f"expected nodes from 0 to {n_nodes - 1}, and -1 for none."
        )
    return [np.unique(np.r_[i, row[row >= 0]]) for i, row in enumerate(neighbors)]


def _check_parameters(fault_fraction, shock_fraction, duration, size, kinds, margin):
    check_scalar(fault_fraction, "fault_fraction", Real, min_val=0, max_val=1)
    check_scalar(shock_fraction, "shock_fraction", Real, min_val=0, max_val=1)
    # A stuck node repeats a reading that belongs to no other event.
    check_scalar(margin, "margin", Integral, min_val=1)
    _check_pair(duration, "duration", Integral, "integers", 1)
    _check_pair(size, "size", Real, "finite numbers", 0)
    is_list = isinstance(kinds, list | tuple) and len(kinds) > 0
    if not is_list or not all(kind in KINDS for kind in kinds):
        raise ValueError(f"kinds is {kinds!r}; expected a tuple of some of {KINDS}.")


def _check_pair(value, name, kind, kind_name, least):
    """Check that a parameter is a pair of numbers in order."""
    try:
        low, high = value
        valid = isinstance(low, kind) and isinstance(high, kind)
        valid = valid and least <= low <= high < np.inf
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"{name} is {value!r}; expected two {kind_name}, the first at least "
            f"{least} and not above the second."
        )
