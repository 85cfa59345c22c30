"""Readings of sensors with events of which it is known what they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skad.datasets import make_sensor_series


@given(
    st.integers(40, 90),
    st.integers(1, 5),
    st.integers(0, 5),
    st.integers(3, 12),
    st.integers(0, 1000),
)
@settings(max_examples=40)
def test_what_is_promised_is_drawn(n_rows, n_channels, n_events, length, seed):
    if n_events * 2 * length > n_rows:
        return
    X_train, X_test, y, events = make_sensor_series(
        n_rows,
        n_rows,
        n_channels,
        n_events=n_events,
        event_length=length,
        random_state=seed,
    )
    assert X_train.shape == X_test.shape == (n_rows, n_channels)
    assert len(events) == n_events
    during = np.ones(n_rows, dtype=int)
    for event in events.itertuples():
        assert np.all(during[event.start : event.stop] == 1)
        during[event.start : event.stop] = -1
        assert event.stop - event.start == (3 if event.kind == "spike" else length)
        assert 0 <= event.channel < n_channels
    assert_array_equal(y, during)


def test_an_event_changes_its_channel_and_nothing_else():
    _, X, _, events = make_sensor_series(random_state=3)
    _, other, _, _ = make_sensor_series(random_state=3, size=9.0)
    changed = np.argwhere(X != other)
    expected = {
        (row, event.channel)
        for event in events.itertuples()
        if event.kind in ("spike", "shift")
        for row in range(event.start, event.stop)
    }
    assert {tuple(place) for place in changed.tolist()} == expected


def test_stuck_repeats_the_reading_before_it():
    _, X, _, events = make_sensor_series(random_state=0)
    for event in events[events["kind"] == "stuck"].itertuples():
        held = X[event.start - 1 : event.stop, event.channel]
        assert np.ptp(held) == 0


def test_decoupled_readings_are_of_the_past():
    X_train, X_test, _, events = make_sensor_series(random_state=0)
    X = np.vstack([X_train, X_test])
    for event in events[events["kind"] == "decoupled"].itertuples():
        length = event.stop - event.start
        shown = X_test[event.start : event.stop, event.channel]
        past = X[: len(X_train) + event.start, event.channel]
        windows = np.lib.stride_tricks.sliding_window_view(past, length)
        assert (windows == shown).all(axis=1).any()


def test_the_same_seed_draws_the_same():
    for one, other in zip(
        make_sensor_series(random_state=1),
        make_sensor_series(random_state=1),
        strict=True,
    ):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_events": 30}, "n_test is 2000; 30 events of 40 .* need 2400"),
        ({"n_train": 10}, "n_train is 10; expected at least event_length"),
        ({"event_length": 2}, "event_length == 2"),
        ({"noise": -1}, "noise == -1"),
    ],
)
def test_impossible_series_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        make_sensor_series(**params)
