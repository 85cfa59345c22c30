"""Anomalies of which it is known what is wrong with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from skad.datasets import make_planted_anomalies
from skad.metrics import roc_auc_score

KINDS = ["extreme", "joint", "mixed"]


def is_beyond(X, y):
    """Tell which values are out of the range of the normal samples."""
    normal = X[y == 1]
    return (X < normal.min(axis=0)) | (X > normal.max(axis=0))


@pytest.mark.parametrize("kind", KINDS)
@given(
    st.integers(4, 60),
    st.integers(2, 12),
    st.integers(1, 4),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 1000),
)
def test_what_is_promised_is_planted(kind, n, d, n_clusters, anomalous, planted, seed):
    n_anomalies = round(anomalous * (n // 2))
    n_planted = 1 + round(planted * (d // 2 - 1))
    X, y, mask = make_planted_anomalies(
        n,
        d,
        n_anomalies,
        n_planted,
        kind=kind,
        n_clusters=n_clusters,
        random_state=seed,
    )
    assert X.shape == mask.shape == (n, d)
    assert np.isfinite(X).all()
    assert np.sum(y == -1) == n_anomalies
    assert np.sum(y == 1) == n - n_anomalies
    assert_array_equal(mask.sum(axis=1), np.where(y == -1, n_planted, 0))
    if kind == "extreme":
        assert is_beyond(X, y)[mask].all()
    if kind == "joint":
        assert all(np.isin(X[mask[:, j], j], X[y == 1, j]).all() for j in range(d))


def test_mixed_anomalies_are_of_one_kind_each():
    X, y, mask = make_planted_anomalies(random_state=0)
    n_beyond = (is_beyond(X, y) & mask).sum(axis=1)[y == -1]
    assert set(n_beyond.tolist()) == {0, 2}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_features", [4, 10])
def test_extreme_anomalies_show_in_single_features(seed, n_features):
    X, y, _ = make_planted_anomalies(
        n_features=n_features, kind="extreme", random_state=seed
    )
    middle, scale = np.median(X, axis=0), np.ptp(X[y == 1], axis=0)
    assert roc_auc_score(y, -np.max(np.abs(X - middle) / scale, axis=1)) > 0.99


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_features", [4, 10])
def test_joint_anomalies_show_together_more_than_in_single_features(seed, n_features):
    X, y, _ = make_planted_anomalies(
        n_features=n_features, kind="joint", random_state=seed
    )
    center = np.mean(X[y == 1], axis=0)
    marginal = roc_auc_score(y, -np.max(np.abs(X - center) / X.std(axis=0), axis=1))
    together = LocalOutlierFactor(20, novelty=True).fit(X[y == 1]).score_samples(X)
    assert marginal < 0.85
    assert roc_auc_score(y, together) > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_planted_values_an_anomaly_is_normal(kind):
    X, y, mask = make_planted_anomalies(kind=kind, random_state=0)
    normal = X[y == 1]
    for row, planted in zip(X[y == -1], mask[y == -1], strict=True):
        seen = NearestNeighbors(n_neighbors=5).fit(normal[:, ~planted])
        usual = seen.kneighbors()[0][:, -1]
        assert seen.kneighbors(row[np.newaxis, ~planted])[0][0, -1] < 2 * usual.max()


def test_data_are_determined_by_the_seed():
    first, again, other = (make_planted_anomalies(random_state=s) for s in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        assert_array_equal(a, b)
        assert np.any(a != c)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_samples": 3}, ValueError, "n_samples == 3, must be >= 4"),
        ({"n_features": 1}, ValueError, "n_features == 1, must be >= 2"),
        ({"n_anomalies": 251}, ValueError, "n_anomalies == 251, must be <= 250"),
        ({"n_anomalies": -1}, ValueError, "n_anomalies == -1, must be >= 0"),
        ({"n_anomalies": 0.1}, TypeError, "n_anomalies must be an instance of"),
        (
            {"n_planted_features": 6},
            ValueError,
            "n_planted_features == 6, must be <= 5",
        ),
        (
            {"n_planted_features": 0},
            ValueError,
            "n_planted_features == 0, must be >= 1",
        ),
        ({"n_clusters": 0}, ValueError, "n_clusters == 0, must be >= 1"),
        ({"kind": "odd"}, ValueError, r"kind='odd'; expected one of \('extreme'"),
        ({"random_state": "x"}, ValueError, "cannot be used to seed"),
    ],
)
def test_bad_parameter_raises(params, error, message):
    with pytest.raises(error, match=message):
        make_planted_anomalies(**params)
