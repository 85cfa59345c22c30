"""What is kept of scores to draw them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skad.benchmark._curves import N_BINS, N_MARKS, course, positions

SCORES = arrays(float, st.integers(2, 60), elements=st.integers(-4, 4))


@given(SCORES, st.randoms(use_true_random=False))
def test_positions_are_ranks_that_no_monotone_function_changes(scores, random):
    labels = np.array([random.random() < 0.5 for _ in scores])
    found = positions(labels, scores)
    assert len(found) == labels.sum()
    assert found == positions(labels, np.exp(scores))
    n = len(scores)
    expected = [
        ((scores < own).sum() + (scores <= own).sum()) / (2 * n)
        for own in scores[labels]
    ]
    assert np.allclose(found, np.sort(expected), atol=1e-4)


def test_of_many_anomalies_quantiles_are_kept():
    found = positions(np.ones(1000, dtype=bool), np.arange(1000))
    assert len(found) == N_MARKS
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.0005, 0.9995)


def test_a_course_keeps_the_strangest_of_each_bin_and_every_event():
    scores, labels = np.zeros(2400), np.zeros(2400, dtype=bool)
    scores[1234], labels[2001] = -1, True
    found = course(labels, scores)
    assert len(found["rank"]) == len(found["event"]) == N_BINS
    assert found["rank"].index(min(found["rank"])) == 123
    assert [i for i, event in enumerate(found["event"]) if event] == [200]
    assert found["n_rows"] == 2400


def test_a_short_course_has_a_bin_for_each_row():
    found = course(np.array([False, True, False]), np.array([3.0, 1.0, 2.0]))
    assert found["event"] == [False, True, False]
    assert np.argsort(found["rank"]).tolist() == [1, 2, 0]
