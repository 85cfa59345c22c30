"""A week of traffic and a radio network, with faults and shocks that are known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from experiments.networks.measures import NORMAL, SHOCK

from skad.datasets import inject_network_events, make_radio_network

# Five-minute steps of a day, and of the part that is learned from.
_DAY, _N_TRAIN = 288, 4 * 288
_N_NEIGHBORS = 10


@dataclass(frozen=True)
class Week:
    """Speeds of sensors, the first days to learn from.

    Parameters
    ----------
    train, test : ndarray of shape (n_times, n_sensors)
        Speeds, in which events are.

    kinds : ndarray of str of shape (n_test_times, n_sensors)
        What the rows to score are.

    neighbors : ndarray of shape (n_sensors, n_neighbors)
        The neighbours of largest weight, -1 for none.

    weights : ndarray of shape (n_sensors, n_sensors)
        How near sensors are on the roads, 0 where they are far.
    """

    train: np.ndarray
    test: np.ndarray
    kinds: np.ndarray
    neighbors: np.ndarray
    weights: np.ndarray

    def standardised(self):
        """Return both parts in standard deviations from the medians of the first."""
        level, spread = np.median(self.train, axis=0), self.train.std(axis=0) + 1e-6
        return (self.train - level) / spread, (self.test - level) / spread

    def hours(self):
        """Return the hours of the day of the steps of both parts."""
        first = len(self.train)
        steps = np.arange(first + len(self.test))
        hours = steps % _DAY * 24 // _DAY
        return hours[:first], hours[first:]

    def adjacency(self, sensors=slice(None)):
        """Return the weights among some sensors, and the names of these."""
        names = np.arange(len(self.weights))[sensors]
        return self.weights[np.ix_(names, names)], names

    def rows_before(self, sensors=slice(None)):
        """Return the table to learn from."""
        return _table(self.train, 0, sensors)

    def rows_after(self):
        """Return the table to score, step by step and then by sensor."""
        return _table(self.test, len(self.train), slice(None))


def traffic_week(folder, seed):
    """Return a week of METR-LA with events in both parts."""
    with np.load(Path(folder) / "traffic_graph" / "metr_la_week.npz") as data:
        speeds = data["x"].astype(float)
        weights = np.maximum(data["adj"], data["adj"].T).astype(float)
    np.fill_diagonal(weights, 0)
    nearest = np.argsort(-weights, axis=1, kind="stable")[:, :_N_NEIGHBORS]
    is_near = np.take_along_axis(weights, nearest, axis=1) > 0
    neighbors = np.where(is_near, nearest, -1)
    rng = np.random.RandomState(seed)
    parts = [
        inject_network_events(part, neighbors, random_state=rng)
        for part in (speeds[:_N_TRAIN], speeds[_N_TRAIN:])
    ]
    train, (test, is_fault, is_shocked, events) = parts[0][0], parts[1]
    kinds = np.where(is_shocked, SHOCK, NORMAL).astype(object)
    for event in events[events["kind"] != SHOCK].itertuples():
        kinds[event.start : event.stop, event.node] = event.kind
    kinds[~is_fault & ~is_shocked] = NORMAL
    return Week(train, test, kinds, neighbors, weights)


def radio_cells(seed, n_cells=200, n_crowds=60, n_faults=60):
    """Return the days to learn from, those to score, and what the rows of these are."""
    options = {"n_crowds": n_crowds, "n_faults": n_faults, "random_state": seed}
    train, test, labels, events = make_radio_network(n_cells, **options)
    kinds = np.full(len(test), NORMAL, dtype=object)
    for is_fault in (False, True):
        for event in events[(events["kind"] != "crowd") == is_fault].itertuples():
            is_during = (test["time"] >= event.start) & (test["time"] < event.stop)
            chosen = is_during & test["cell"].isin(event.cells)
            kinds[chosen] = event.kind if is_fault else SHOCK
    assert np.array_equal(np.isin(kinds, [NORMAL, SHOCK]), labels > 0)
    return train, test, kinds


def _table(speeds, first, sensors):
    """Return a row for each step and sensor."""
    names = np.arange(speeds.shape[1])[sensors]
    steps = np.arange(first, first + len(speeds))
    return pd.DataFrame(
        {
            "node": np.tile(names, len(steps)),
            "time": np.repeat(steps, len(names)),
            "speed": speeds[:, names].ravel(),
        }
    )
