"""From errors of nodes to evidence against them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad._node_readings import moving_mean
from skad._node_scores import UsualErrors


def noise(n_steps=60, n_nodes=4, n_channels=3, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    errors = rng.standard_t(3, size=(n_steps, n_nodes, n_channels))
    errors[rng.random(errors.shape) < missing] = np.nan
    return errors


def usual_errors(errors, smoothing=1, causal=False, is_network=True):
    return UsualErrors(
        errors, smoothing=smoothing, causal=causal, is_network=is_network
    )


def usual_size(view, node, channel, is_network=True):
    """Return the size that three quarters of the errors of a node do not exceed."""
    sizes = np.abs(view[:, node, channel]) if node is not None else None
    if sizes is None or not is_network or np.count_nonzero(~np.isnan(sizes)) < 20:
        sizes = np.abs(view[:, :, channel])
    sizes = sizes[~np.isnan(sizes)]
    return (np.percentile(sizes, 75) if len(sizes) else 0) + 0.05


def mean_around(errors, step, node, channel, smoothing, causal):
    """Return the mean of what is there around a step, or else the error itself."""
    first = step - (smoothing - 1 if causal else smoothing // 2)
    held = errors[max(0, first) : first + smoothing, node, channel]
    held = held[~np.isnan(held)]
    if 2 * len(held) < min(smoothing, len(errors)) or not len(held):
        return errors[step, node, channel]
    return held.mean()


@given(
    st.integers(0, 99),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([1, 2, 7, 100]),
    st.booleans(),
    st.booleans(),
)
def test_evidence_is_how_many_times_an_error_is_as_large_as_usual(
    seed, missing, smoothing, causal, is_network
):
    train, test = noise(40, 3, 2, seed, missing), noise(9, 2, 2, seed + 1, missing)
    known = np.array([2, -1])
    usual = usual_errors(train, smoothing, causal, is_network)
    found = usual.evidence(test, known)
    views = [train]
    if smoothing > 1:
        around = [
            mean_around(train, *cell, smoothing, causal)
            for cell in np.ndindex(40, 3, 2)
        ]
        views.append(np.reshape(around, train.shape))
    for step, node, channel in np.ndindex(test.shape):
        place = None if known[node] < 0 else known[node]
        errors = [test[step, node, channel]]
        if smoothing > 1:
            errors.append(mean_around(test, step, node, channel, smoothing, causal))
        sizes = [usual_size(view, place, channel, is_network) for view in views]
        expected = np.mean(np.abs(errors) / sizes)
        expected = 0 if np.isnan(errors[0]) else expected
        assert_allclose(found[step, node, channel], expected, rtol=1e-9, atol=1e-12)


def test_an_error_of_the_usual_size_counts_as_one():
    errors = noise(400)
    evidence = usual_errors(errors).evidence(errors, np.arange(4))
    assert_allclose(np.percentile(evidence, 75, axis=0), 1, atol=0.05)
    assert np.all(evidence >= 0)
    twice = usual_errors(errors).evidence(-2 * errors, np.arange(4))
    assert_allclose(twice, 2 * evidence)


def test_a_node_is_measured_by_itself_and_others_by_all():
    errors = noise() * np.array([1, 2, 3, 100])[:, np.newaxis]
    usual = usual_errors(errors)
    whole = usual.evidence(errors, np.arange(4))
    assert_array_equal(
        usual.evidence(errors[:, [3, 0]], np.array([3, 0])),
        whole[:, [3, 0]],
    )
    others = usual.evidence(np.ones((5, 2, 3)), np.array([-1, -1]))
    expected = 1 / (np.percentile(np.abs(errors), 75, axis=(0, 1)) + 0.05)
    assert_allclose(others, np.tile(expected, (5, 2, 1)))


def test_what_is_usual_for_19_errors_is_that_of_all():
    errors = noise()
    errors[19:, 1], errors[20:, 2] = np.nan, np.nan
    found = usual_errors(errors).evidence(np.ones((1, 4, 3)), np.array([1, 2, -1, -1]))
    assert_array_equal(found[0, 0], found[0, 3])
    own = 1 / (np.percentile(np.abs(errors[:20, 2]), 75, axis=0) + 0.05)
    assert_allclose(found[0, 1], own)


def test_errors_that_are_not_there_are_no_evidence():
    errors = noise(missing=0.3)
    errors[:, 2] = np.nan
    errors[:, :, 1] = np.nan
    for smoothing in (1, 7):
        usual = usual_errors(errors, smoothing)
        evidence = usual.evidence(errors, np.arange(4))
        assert_array_equal(evidence[np.isnan(errors)], 0)
        assert np.all(evidence[~np.isnan(errors)] > 0)
    # Never seen in fit: any error is out of the ordinary, and none is infinite.
    new = usual.evidence(np.ones_like(errors), np.arange(4))
    assert_allclose(new[:, :, 1], 20)


@pytest.mark.parametrize("causal", [False, True])
def test_small_errors_that_last_are_evidence(causal):
    train, test = noise(500), noise(100, seed=1)
    test[40:60, 0] = 0.9 + 0.2 * test[40:60, 0]
    plain = usual_errors(train).evidence(test, np.arange(4))
    smooth = usual_errors(train, 7, causal).evidence(test, np.arange(4))
    inside = slice(46, 60) if causal else slice(43, 57)
    assert smooth[inside, 0].mean() > 1.5 * plain[inside, 0].mean()
    assert_allclose(smooth[:, 1:].mean(), plain[:, 1:].mean(), rtol=0.1)


def test_causal_evidence_does_not_depend_on_later_errors():
    train, test = noise(), noise(30, seed=1, missing=0.2)
    usual = usual_errors(train, 7, causal=True)
    known = np.array([0, 1, -1, 3])
    whole, part = (usual.evidence(t, known) for t in (test, test[:13]))
    assert_array_equal(whole[:13], part)
    around = usual_errors(train, 7).evidence(test, known)
    assert np.any(around[:13] != usual_errors(train, 7).evidence(test[:13], known))


def test_nodes_that_are_seen_once_are_measured_by_all():
    errors = noise(1, 50)
    usual = usual_errors(errors, is_network=False)
    evidence = usual.evidence(errors, np.full(50, -1))
    expected = np.abs(errors) / (np.percentile(np.abs(errors), 75, axis=1) + 0.05)
    assert_allclose(evidence, expected)


def test_a_mean_needs_half_of_its_errors():
    errors = np.full((9, 1, 1), np.nan)
    errors[[3, 4]] = [[[2.0]], [[4.0]]]
    assert np.isnan(moving_mean(errors, 5, False)).all()
    assert_array_equal(moving_mean(errors, 4, False).ravel()[3:6], [3, 3, 3])
