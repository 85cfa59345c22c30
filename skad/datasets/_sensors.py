"""Readings of sensors of one system, with events of which it is known what they are."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

KINDS = ("spike", "shift", "stuck", "decoupled")
_N_FACTORS = 3
_SPIKE_LENGTH = 3


def make_sensor_series(
    n_train=2000,
    n_test=2000,
    n_channels=8,
    *,
    n_events=8,
    event_length=40,
    size=3.0,
    noise=0.1,
    random_state=None,
):
    """Generate the readings of sensors of one system, with events in the second part.

    Three hidden factors, waves of different length that wander, drive all channels.
    An event changes one channel for a while:

    - ``"spike"``: three readings are off;
    - ``"shift"``: the level is another;
    - ``"stuck"``: the last reading before it is repeated;
    - ``"decoupled"``: the channel shows a stretch of its own past, so that its values
      are usual and do not fit those of the others.

    Parameters
    ----------
    n_train : int, default=2000
        Number of time steps without events.

    n_test : int, default=2000
        Number of the time steps after them, in which the events are.

    n_channels : int, default=8
        Number of channels.

    n_events : int, default=8
        Number of events; the kinds take turns. They do not overlap.

    event_length : int, default=40
        Number of time steps of an event other than a spike.

    size : float, default=3.0
        How far spikes and shifts are off, in standard deviations of the channel.

    noise : float, default=0.1
        Standard deviation of the noise of a reading; that of the rest is about 1.

    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn; pass an int for reproducible series.

    Returns
    -------
    X_train : ndarray of shape (n_train, n_channels)
        The time steps without events.

    X_test : ndarray of shape (n_test, n_channels)
        The time steps that follow.

    y_test : ndarray of shape (n_test,)
        -1 during an event, 1 otherwise.

    events : DataFrame of shape (n_events, 4)
        The events in the order of time: `kind`, `channel`, and the time steps of
        `X_test` from `start` up to before `stop`.

    See Also
    --------
    make_planted_anomalies : Tables with anomalies in known features.

    Examples
    --------
    >>> from skad.datasets import make_sensor_series
    >>> X_train, X_test, y_test, events = make_sensor_series(random_state=0)
    >>> X_train.shape, X_test.shape
    ((2000, 8), (2000, 8))
    >>> events["kind"].tolist()[:4]
    ['spike', 'shift', 'stuck', 'decoupled']
    >>> int((y_test == -1).sum()), int((events["stop"] - events["start"]).sum())
    (246, 246)
    """
    check_scalar(n_train, "n_train", Integral, min_val=1)
    check_scalar(n_test, "n_test", Integral, min_val=1)
    check_scalar(n_channels, "n_channels", Integral, min_val=1)
    check_scalar(n_events, "n_events", Integral, min_val=0)
    check_scalar(event_length, "event_length", Integral, min_val=_SPIKE_LENGTH)
    check_scalar(size, "size", Real, min_val=0)
    check_scalar(noise, "noise", Real, min_val=0)
    if n_events * 2 * event_length > n_test:
        raise ValueError(
            f"n_test is {n_test}; {n_events} events of {event_length} time steps that "
            f"do not overlap need {n_events * 2 * event_length}."
        )
    if n_events and n_train < event_length:
        raise ValueError(
            f"n_train is {n_train}; expected at least event_length ({event_length})."
        )
    rng = check_random_state(random_state)
    X = _readings(n_train + n_test, n_channels, noise, rng)
    events = _drawn_events(n_test, n_channels, n_events, event_length, rng)
    changed, y = X.copy(), np.ones(n_test, dtype=int)
    for event in events.itertuples():
        when = slice(n_train + event.start, n_train + event.stop)
        changed[when, event.channel] = _changed(X, event.kind, when, event, size, rng)
        y[event.start : event.stop] = -1
    return changed[:n_train], changed[n_train:], y, events


def _readings(n_rows, n_channels, noise, rng):
    period = rng.uniform(25, 120, size=_N_FACTORS)
    # The speed of a wave wanders around its mean.
    wander = lfilter([1], [1, -0.95], rng.normal(size=(n_rows, _N_FACTORS)), axis=0)
    phase = np.cumsum((1 + 0.05 * wander) / period, axis=0) + rng.uniform(size=3)
    factors = np.sqrt(2) * np.sin(2 * np.pi * phase)
    mixing = rng.normal(size=(_N_FACTORS, n_channels))
    mixing /= np.linalg.norm(mixing, axis=0)
    return factors @ mixing + noise * rng.normal(size=(n_rows, n_channels))


def _drawn_events(n_test, n_channels, n_events, event_length, rng):
    rows = []
    # Each in a stretch of its own, and away from the ends of that.
    edges = np.linspace(0, n_test, n_events + 1).astype(int)
    for i in range(n_events):
        kind = KINDS[i % len(KINDS)]
        length = _SPIKE_LENGTH if kind == "spike" else event_length
        free = edges[i + 1] - edges[i] - length
        start = edges[i] + rng.randint(free // 4, free - free // 4 + 1)
        rows.append((kind, rng.randint(n_channels), start, start + length))
    return pd.DataFrame(rows, columns=["kind", "channel", "start", "stop"])


def _changed(X, kind, when, event, size, rng):
    channel = X[:, event.channel]
    if kind == "stuck":
        return channel[when.start - 1]
    if kind == "decoupled":
        length = when.stop - when.start
        first = rng.randint(when.start - length + 1)
        return channel[first : first + length]
    return channel[when] + rng.choice([-1, 1]) * size * channel.std()
