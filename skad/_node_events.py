"""From flagged rows of nodes to events that last, with a hint of what each is."""

from dataclasses import dataclass

import numpy as np

KINDS = ("drop to zero", "flat line", "spike", "level shift", "irregular")

# A hint holds although some rows of an event are not of its kind: events reach over
# gaps, and a fault seldom begins and ends exactly with a flag.
_MOST = 0.8
# A reading at 0 may still carry a residue, such as a few signals of other nodes.
_NEAR_ZERO = 0.15
# One that repeats itself is at 0, and not just stuck at night, with less than that.
_AT_ZERO = 0.01
# Where so little is expected, in usual spreads, a reading of 0 is nothing unusual.
_AWAY_FROM_ZERO = 1.0
# A sensor that is stuck repeats itself up to rounding; one that lives does not.
_UNCHANGED = 0.01
# Two readings show neither a level nor a change of it.
_FEWEST = 3
# What is as much larger than what is typical for the event is seen by eye. Among 24
# deviations that are normal noise there is such a one in one of ten cases.
_OUTSTANDING = 5.0
# A shift has one direction. That a node is above by chance in nine of ten rows has a
# probability of 1 %.
_ONE_SIDED = 0.9
# Means over time reach beyond what is off: a hint is made of the rows from the first to
# the last one that is off by as much of the farthest.
_CORE = 1 / 3


@dataclass(frozen=True)
class NodeRows:
    """What is known of rows, each of which is one node at one time step.

    Parameters
    ----------
    node : ndarray of int of shape (n_rows,)
        The code of the node of each row.

    step : ndarray of int of shape (n_rows,)
        The time step of each row.

    time : sequence of length n_rows
        The time of each row in the caller's terms.

    score : ndarray of shape (n_rows,)
        The score of each row, low for an anomaly.

    contribution : ndarray of shape (n_rows, n_kpis)
        What each KPI says against its row; 0 for nothing.

    n_neighbors : ndarray of int of shape (n_rows,)
        The number of neighbours that had a say in each row.
    """

    node: np.ndarray
    step: np.ndarray
    time: object
    score: np.ndarray
    contribution: np.ndarray
    n_neighbors: np.ndarray


@dataclass(frozen=True)
class Readings:
    """Readings, and what was to be expected, in usual spreads of node and KPI.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_kpis)
        The readings, NaN where there are none.

    expected : ndarray of shape (n_rows, n_kpis)
        What the neighbours say, NaN where they say nothing.

    zero : ndarray of shape (n_nodes, n_kpis)
        The number that a reading of 0 has in these units.

    usual : ndarray of shape (n_nodes, n_kpis)
        The usual size of a change from one step to the next; 0 or NaN where that is
        not known.
    """

    values: np.ndarray
    expected: np.ndarray
    zero: np.ndarray
    usual: np.ndarray

    def kind(self, place, node, kpi):
        """Return a hint of what happens to a KPI of a node in some of its rows."""
        values, expected = self.values[place, kpi], self.expected[place, kpi]
        core = _core(np.abs(values - expected))
        values, expected = values[core], expected[core]
        return event_kind(values, expected, self.zero[node, kpi], self.usual[node, kpi])


def node_events(flagged, node, step, *, min_duration, max_gap):
    """Find the events of nodes: flagged rows that lie close together for some time.

    Parameters
    ----------
    flagged : ndarray of bool of shape (n_rows,)
        Which rows are flagged, in any order.

    node : ndarray of int of shape (n_rows,)
        The code of the node of each row.

    step : ndarray of int of shape (n_rows,)
        The time step of each row. No two rows of a node have the same.

    min_duration : int
        The least number of steps that an event covers, from its first flagged row to
        its last.

    max_gap : int
        So many steps between two flagged rows of a node, or fewer, are part of an
        event, whether there are rows of them or not.

    Returns
    -------
    events : list of ndarray of int
        The positions of the rows of each event in the order of time, those between
        flagged ones included. Events are in the order of nodes, then of time.

    Examples
    --------
    >>> import numpy as np
    >>> from skad._node_events import node_events
    >>> flagged = np.array([1, 0, 1, 0, 0, 1], dtype=bool)
    >>> node, step = np.zeros(6, dtype=int), np.arange(6)
    >>> node_events(flagged, node, step, min_duration=3, max_gap=1)
    [array([0, 1, 2])]
    """
    order = np.lexsort([step, node])
    at = np.flatnonzero(flagged[order])
    node, step = node[order[at]], step[order[at]]
    begins, ends = np.ones((2, len(at)), dtype=bool)
    begins[1:] = (node[1:] != node[:-1]) | (step[1:] - step[:-1] > max_gap + 1)
    ends[:-1] = begins[1:]
    lasting = step[ends] - step[begins] + 1 >= min_duration
    first, last = at[begins][lasting].tolist(), at[ends][lasting].tolist()
    return [order[i : j + 1] for i, j in zip(first, last, strict=True)]


def event_kind(values, expected, zero, usual):
    """Return a hint of what happens in an event, from one KPI.

    The first of these that holds:

    - ``"flat line"``: four fifths of the readings repeat the one before, and are not 0;
    - ``"drop to zero"``: four fifths of the readings are 0, or a seventh of what is
      expected at most, which is more than a usual spread away from 0;
    - ``"spike"``: there are one or two readings only, or one is five times as far off
      as the others are;
    - ``"level shift"``: nine tenths of the readings are off to the same side, by more
      than their deviations vary;
    - ``"irregular"``: none of these.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        The readings of the event in the order of time, in units of the node's usual
        spread; NaN where there are none.

    expected : ndarray of shape (n_rows,)
        What the neighbours say, NaN where they say nothing.

    zero : float
        The number that a reading of 0 has in these units.

    usual : float or None
        The usual size of a change from one step to the next in these units. None, 0
        or NaN if it is not known; there is no flat line then.

    Returns
    -------
    kind : str
        One of `KINDS`.

    Examples
    --------
    >>> import numpy as np
    >>> from skad._node_events import event_kind
    >>> expected = np.array([0.5, 1.0, 0.8, 0.4])
    >>> event_kind(np.full(4, -3.0), expected, zero=-3.0, usual=0.4)
    'drop to zero'
    >>> event_kind(np.full(4, 2.0), expected, zero=-3.0, usual=0.4)
    'flat line'
    >>> event_kind(expected + 2, expected, zero=-3.0, usual=0.4)
    'level shift'
    """
    seen = ~np.isnan(values)
    values, expected = values[seen], expected[seen]
    deviations = values - expected
    deviations = deviations[~np.isnan(deviations)]
    if _is_flat(values, usual) and not _is_near_zero(values, expected, zero, _AT_ZERO):
        return "flat line"
    if _is_near_zero(values, expected, zero, _NEAR_ZERO):
        return "drop to zero"
    if 0 < len(values) < _FEWEST or _has_spike(deviations):
        return "spike"
    return "level shift" if _is_shifted(deviations) else "irregular"


def event_table(events, rows, readings, *, labels, kpis):
    """Describe events in the caller's terms.

    Parameters
    ----------
    events : list of ndarray of int
        What `node_events` returned.

    rows : NodeRows
        What is known of rows.

    readings : Readings
        What a hint is made from.

    labels : sequence of length n_nodes
        The label of each node, by its code.

    kpis : sequence of length n_kpis
        The names of the KPIs.

    Returns
    -------
    table : recarray of shape (n_events,)
        In the order of the events, with the fields ``node``; ``start`` and ``end``, the
        times of the first and the last row; ``n_steps``, how many steps it covers;
        ``first``, ``last`` and ``peak``, the positions of these rows and of the lowest
        score; ``score`` there; ``kind``, a hint from the KPI that says most (see
        `event_kind`); ``kpis``, the names of those that say something, the one that
        says most in front; and ``n_neighbors``, the median number of neighbours that
        had a say, rounded down: 0 means that the node was judged by its own history.

    Examples
    --------
    >>> import numpy as np
    >>> from skad._node_events import NodeRows, Readings, event_table, node_events
    >>> node, step = np.zeros(4, dtype=int), np.arange(4)
    >>> score = np.array([0.0, -5.0, -6.0, -4.0])
    >>> events = node_events(score < -3, node, step, min_duration=3, max_gap=0)
    >>> contribution = np.column_stack([-score, np.zeros(4)])
    >>> rows = NodeRows(node, step, step, score, contribution, np.full(4, 6))
    >>> values, one = np.array([[0.0, 0], [4, 0], [5, 0], [4, 0]]), np.ones((1, 2))
    >>> readings = Readings(values, np.zeros((4, 2)), zero=-3 * one, usual=one)
    >>> names = ["load", "drops"]
    >>> (event,) = event_table(events, rows, readings, labels=["a"], kpis=names)
    >>> event.node, event.kind, event.kpis, int(event.peak)
    ('a', 'level shift', ('load',), 2)
    """
    dtype = [("node", object), ("start", object), ("end", object), ("n_steps", int)]
    dtype += [("first", int), ("last", int), ("peak", int), ("score", float)]
    dtype += [("kind", object), ("kpis", object), ("n_neighbors", int)]
    table = np.recarray(len(events), dtype=dtype)
    for i, place in enumerate(events):
        table[i] = _described(place, rows, readings, labels, kpis)
    return table


def _described(place, rows, readings, labels, kpis):
    """Return the record of the event that has its rows at `place`."""
    first, last, node = place[0], place[-1], rows.node[place[0]]
    peak = place[rows.score[place].argmin()]
    contribution = rows.contribution[place].sum(axis=0)
    ranked = np.argsort(-contribution, kind="stable")
    ranked = ranked[contribution[ranked] > 0]
    # A KPI that says nothing has nothing to tell about the event.
    kind = readings.kind(place, node, ranked[0]) if len(ranked) else "irregular"
    n_steps = rows.step[last] - rows.step[first] + 1
    span = labels[node], rows.time[first], rows.time[last], n_steps, first, last
    names = tuple(kpis[k] for k in ranked)
    n_neighbors = int(np.median(rows.n_neighbors[place]))
    return *span, peak, rows.score[peak], kind, names, n_neighbors


def _core(sizes):
    """Return the rows from the first to the last large deviation, or all."""
    sizes = np.nan_to_num(sizes)
    large = np.flatnonzero(sizes >= _CORE * sizes.max())
    return slice(large[0], large[-1] + 1)


def _is_near_zero(values, expected, zero, share):
    """Tell whether most readings are a share of what is expected, which is not 0."""
    distances = np.abs(expected - zero)
    if np.isnan(distances).all() or not np.nanmedian(distances) > _AWAY_FROM_ZERO:
        return False
    # At night little is expected, and a residue need not be a share of that.
    residue = share * np.fmax(distances, np.nanmedian(distances))
    return np.mean(np.abs(values - zero) <= residue) >= _MOST


def _is_flat(values, usual):
    """Tell whether most readings repeat the one before."""
    if len(values) < _FEWEST or usual is None or not usual > 0:
        return False
    return np.mean(np.abs(np.diff(values)) < _UNCHANGED * usual) >= _MOST


def _has_spike(deviations):
    """Tell whether a reading is much farther off than the others are."""
    sizes = np.sort(np.abs(deviations))
    return len(sizes) >= _FEWEST and sizes[-1] > _OUTSTANDING * np.median(sizes[:-1])


def _is_shifted(deviations):
    """Tell whether readings are off to one side, by more than they vary."""
    if len(deviations) < _FEWEST:
        return False
    share = max(np.mean(deviations > 0), np.mean(deviations < 0))
    low, median, high = np.quantile(deviations, [0.25, 0.5, 0.75])
    return share >= _ONE_SIDED and np.abs(median) > high - low
