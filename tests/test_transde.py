"""TransDe: two views of windows by their patches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skad import TransDe
from skad._nets._transde import ComparedViews, PatchViews, _from_others


def waves(n_rows, n_channels=4, seed=0):
    """Return channels of which each is a mixture of two waves, with some noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_rows)
    sources = np.stack([np.sin(time / 5), np.cos(time / 8)])
    mixing = np.random.default_rng(5).normal(size=(2, n_channels))
    return sources.T @ mixing + 0.1 * rng.normal(size=(n_rows, n_channels))


def small(**parameters):
    defaults = {"window_size": 20, "d_model": 8, "max_epochs": 2, "random_state": 0}
    return TransDe(**{**defaults, **parameters})


@pytest.fixture(scope="module")
def detector():
    return small().fit(waves(600))


def spike(X):
    X[100:102, 1] += 4 * X[:, 1].std()


def level_shift(X):
    X[100:130, 1] += 3 * X[:, 1].std()


def stuck_sensor(X):
    X[100:130, 1] = X[100, 1]


def broken_correlation(X):
    X[100:130, 1] = X[100:130, 1][::-1]


def noise(X):
    X[100:130, 1] += 0.7 * np.random.default_rng(1).normal(size=30)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "anomaly", [spike, level_shift, stuck_sensor, broken_correlation, noise]
)
def test_planted_anomalies_rank_first(anomaly, causal):
    detector = small(causal=causal, smoothing=5).fit(waves(600))
    X = waves(300, seed=3)
    anomaly(X)
    scores = detector.score_samples(X)
    assert 95 <= scores.argmin() < 140
    assert detector.explain(X)[scores.argmin()].argmax() == 1


def test_contributions_add_up_to_the_score(detector):
    X = waves(100, seed=2)
    X[40:50, 2] += 1
    contributions = detector.explain(X)
    assert contributions.shape == X.shape
    assert contributions.min() >= 0
    assert_allclose(-contributions.sum(axis=1), detector.score_samples(X))


def test_trend_and_residual_add_up_to_the_data():
    X = waves(100)
    for causal in (False, True):
        detector = small(causal=causal).fit(X)
        trend, residual = detector.decompose(X)
        assert_allclose(trend + residual, X)
        assert residual.std() < trend.std()


def test_a_scale_and_a_shift_of_channels_do_not_matter(detector):
    X, Z = waves(600), waves(100, seed=2)
    scale, shift = np.array([1e-3, 1, 10, 1e5]), np.array([0, 100, -5, 1e6])
    other = small().fit(X * scale + shift).score_samples(Z * scale + shift)
    assert_allclose(other, detector.score_samples(Z), rtol=0.02, atol=1e-3)


def test_constant_channels_only_thin_out_the_mean(detector):
    Z = waves(100, seed=2)
    Z[40:50, 2] += 1
    padded = [np.c_[x, np.full(len(x), 7.0)] for x in (waves(600), Z)]
    scores = small().fit(padded[0]).score_samples(padded[1])
    assert_allclose(scores, detector.score_samples(Z) * 4 / 5, rtol=0.05, atol=1e-2)


def test_a_constant_channel_that_moves_is_found(detector):
    X = np.c_[waves(600), np.zeros(600)]
    Z = np.c_[waves(200, seed=2), np.zeros(200)]
    Z[100:110, 4] = 1
    detector = small(smoothing=5).fit(X)
    assert 95 <= detector.score_samples(Z).argmin() < 115


@settings(max_examples=10)
@given(st.permutations([0, 1, 2]), st.integers(0, 99))
def test_series_do_not_know_of_each_other(detector, order, seed):
    lengths = np.array([30, 45, 20])
    parts = [waves(n, seed=seed + i) for i, n in enumerate(lengths)]
    X = np.concatenate([parts[i] for i in order])
    groups = np.repeat(order, lengths[order])
    together = detector.score_samples(X, groups=groups)
    for i, part in enumerate(parts):
        alone = detector.score_samples(part)
        assert_allclose(together[groups == i], alone, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 79))
@settings(max_examples=10)
def test_a_causal_score_does_not_know_what_comes(row):
    detector = small(causal=True).fit(waves(300))
    X = waves(80, seed=1)
    before = detector.score_samples(X)[:row]
    X[row:] += 5
    assert_allclose(detector.score_samples(X)[:row], before, rtol=1e-5, atol=1e-6)


def test_a_score_that_is_not_causal_does():
    detector = small().fit(waves(300))
    X = waves(80, seed=1)
    before = detector.score_samples(X)[:40]
    X[40:] += 5
    assert np.abs(detector.score_samples(X)[:40] - before).max() > 0.1


def test_what_is_missing_adds_nothing():
    X, Z = waves(600), waves(100, seed=2)
    detector = small(missing="mask").fit(X)
    Z[50:60, 1] = np.nan
    contributions = detector.explain(Z)
    assert np.isfinite(contributions).all()
    raw = small(missing="mask", smoothing=1).fit(X).explain(Z)
    assert (raw[50:60, 1] == 0).all()


@pytest.mark.parametrize("n_rows", [2, 3, 10, 13])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_few_rows_and_few_channels_are_enough(n_rows, n_channels):
    X = waves(n_rows, n_channels)
    with pytest.warns(UserWarning, match="window_size"):
        detector = TransDe(random_state=0).fit(X)
    assert detector.window_size_ == n_rows
    assert np.isfinite(detector.score_samples(X)).all()


@pytest.mark.parametrize(
    ("sizes", "length", "fitting"),
    [
        ((5,), 20, [5]),
        ((7, 5), 20, [5]),
        ((3, 5, 7), 105, [3, 5, 7]),
        ((5,), 13, [1]),
        ((50,), 20, [10]),
        ((4, 2), 1, [1]),
    ],
)
def test_patches_divide_windows_that_hold_two_or_more(sizes, length, fitting):
    detector = small(window_size=length, patch_sizes=sizes, max_epochs=1)
    assert detector.fit(waves(max(30, 2 * length))).patch_sizes_ == fitting


@pytest.mark.parametrize("sizes", [(), (0,), (2.5,), [[1, 2]]])
def test_wrong_sizes_of_patches_are_named(sizes):
    with pytest.raises(ValueError, match="patch_sizes is"):
        small(patch_sizes=sizes).fit(waves(50))


def test_several_sizes_of_patches_are_averaged():
    windows = torch.tensor(waves(80).reshape(4, 20, 4), dtype=torch.float32)
    net = ComparedViews(windows, [2, 5], 8, 1)
    parts = [
        ((x - inside) ** 2, (inside - outside) ** 2)
        for x, inside, outside in (views(windows) for views in net.sizes)
    ]
    errors = net.squared_errors(windows)
    for k, name in enumerate(["inside", "difference"]):
        mean = (parts[0][k] + parts[1][k]) / 2
        torch.testing.assert_close(errors[name], mean)
    torch.testing.assert_close(net(windows), errors["difference"].mean(dim=(1, 2)))


@given(st.integers(0, 3))
def test_the_view_from_outside_does_not_see_the_patch(patch):
    windows = torch.tensor(waves(160).reshape(8, 20, 4), dtype=torch.float32)
    torch.manual_seed(0)
    views = PatchViews(windows, 5, 6, 2)
    torch.nn.init.normal_(views.output.weight)
    rows = slice(5 * patch, 5 * patch + 5)
    before = views(windows)[2]
    windows[:, rows] += 1
    after = views(windows)[2]
    torch.testing.assert_close(after[:, rows], before[:, rows])
    assert (after - before).abs().max() > 0.1


def test_training_moves_the_view_from_outside_only():
    windows = torch.tensor(waves(160).reshape(8, 20, 4), dtype=torch.float32)
    net = ComparedViews(windows, [5], 3, 1)
    _, inside, outside = net.sizes[0](windows)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    net(windows).mean().backward()
    optimizer.step()
    _, fixed, moved = net.sizes[0](windows)
    torch.testing.assert_close(fixed, inside)
    assert ((moved - fixed) ** 2).mean() < ((outside - inside) ** 2).mean()


def test_the_start_is_the_best_linear_prediction_from_the_other_patches():
    rng = np.random.default_rng(0)
    embedded = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    weights = _from_others(torch.tensor(embedded).reshape(50, 3, 2)).double()
    moments = embedded.T @ embedded / 50 + 0.1 * np.eye(6)
    for patch in range(3):
        own = np.arange(2 * patch, 2 * patch + 2)
        others = np.setdiff1d(np.arange(6), own)
        best = np.linalg.solve(
            moments[np.ix_(others, others)], moments[np.ix_(others, own)]
        ).T
        flat = weights[patch].flatten(1).numpy()
        assert_allclose(flat[:, others], best, rtol=1e-4, atol=1e-6)
        assert (flat[:, own] == 0).all()


def test_training_lowers_the_loss_which_is_in_variances_of_channels():
    X = waves(600)
    losses = [e["train_loss"] for e in small(max_epochs=20).fit(X).history_]
    assert 0 < losses[-1] < losses[0] < 3


def test_training_stops_early_and_goes_on():
    X = waves(400)
    detector = small(n_iter_no_change=1, max_epochs=500, lr=0.05).fit(X)
    assert detector.n_iter_ < 500
    detector = small(warm_start=True).fit(X).fit(X)
    assert detector.n_iter_ == 4


def test_no_more_windows_are_trained_on_than_needed():
    X = waves(600)
    detector = small(max_windows=100).fit(X)
    assert 97 <= len(detector._rows(detector._validate(X, reset=False))) <= 100
    assert detector.set_params(max_windows=1).fit(X).n_iter_ == 2
