"""DConAD: what it finds, what a score depends on, and the released form."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from torch import nn
from torch.nn.functional import gelu, leaky_relu

from skad import DConAD
from skad._nets._dconad import Forecasts, ReleasedNet, TwoViews, Views, bilinear
from skad.datasets import make_sensor_series
from skad.metrics import roc_auc_score

FEW = settings(max_examples=10)
TRAIN, TEST, LABELS, EVENTS = make_sensor_series(
    1200, 1200, n_channels=8, n_events=4, random_state=0
)


def small(**params):
    given = {"window_size": 40, "d_model": 16, "max_epochs": 2, "random_state": 0}
    return DConAD(**(given | params))


def linear(**params):
    """The detector without what its net learns."""
    return small(max_epochs=1, lr=1e-12, **params)


def released(**params):
    given = {"variant": "released", "window_size": 12, "n_heads": 2, "max_epochs": 1}
    return small(**(given | params))


@pytest.fixture(scope="module")
def detector():
    return small().fit(TRAIN)


# What it finds


@pytest.mark.parametrize(
    "event", list(EVENTS.itertuples()), ids=lambda event: event.kind
)
def test_planted_anomalies_come_first(detector, event):
    usual = LABELS == 1
    # Rows so near an event that smoothing gives them a part of it.
    near = np.convolve(LABELS == -1, np.ones(81), mode="same") > 0
    scores = detector.score_samples(TEST)
    found = scores[event.start : event.stop]
    assert found.min() < scores[usual & ~near].min()
    contributions = detector.explain(TEST)[event.start : event.stop].sum(axis=0)
    assert contributions.argmax() == event.channel


def test_events_are_told_from_the_rest(detector):
    assert roc_auc_score(LABELS, detector.decision_function(TEST)) > 0.95


def test_a_broken_correlation_is_seen_by_the_view_of_values():
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(size=3000)) / 30
    X = np.c_[x, x] + 0.05 * rng.normal(size=(3000, 2))
    test = X[2000:].copy()
    test[500:540, 1] += 0.4  # only where channels stand to each other
    scores = linear(level_weight=0, contrast_weight=1).fit(X[:2000]).score_samples(test)
    assert 500 <= scores.argmin() < 550


def test_each_part_of_the_score_counts(detector):
    expected = detector.score_samples(TEST)
    for name in ("contrast_weight", "level_weight"):
        without = clone(detector).set_params(**{name: 0}).fit(TRAIN)
        assert np.all(without.score_samples(TEST) >= expected - 1e-12)
        assert np.any(without.score_samples(TEST) > expected + 0.01)


# What a score is


def test_contributions_sum_to_the_score(detector):
    contributions = detector.explain(TEST)
    assert contributions.shape == TEST.shape
    assert contributions.min() >= 0
    assert_allclose(-contributions.sum(axis=1), detector.score_samples(TEST))


def test_the_linear_forecast_is_ridge_regression():
    detector = linear(n_lags=3, level_weight=0, smoothing=1, contrast_weight=0)
    detector.fit(TRAIN)
    scaled = (TRAIN - TRAIN.mean(axis=0)) / TRAIN.std(axis=0)
    moves = np.diff(scaled, axis=0)
    inputs = np.hstack([moves[:-3], moves[1:-2], moves[2:-1], scaled[3:-1]])
    found = Ridge(alpha=10).fit(inputs, moves[3:]).predict(inputs)
    errors = detector._errors(detector._validate(TRAIN, reset=False))["error"]
    # Rows without enough rows before them train as well, hence not to the last bit.
    assert_allclose(errors[4:], np.abs(moves[3:] - found), atol=0.01)


@FEW
@given(
    st.lists(st.floats(1e-3, 1e3), min_size=8, max_size=8),
    st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=8),
)
def test_scale_and_origin_of_channels_do_not_matter(scale, origin):
    detector = small(max_epochs=1)
    expected = detector.fit(TRAIN[:300]).score_samples(TEST[:200])
    scale, origin = np.array(scale), np.array(origin)
    detector.fit(TRAIN[:300] * scale + origin)
    found = detector.score_samples(TEST[:200] * scale + origin)
    assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@FEW
@given(st.floats(-1e6, 1e6), st.integers(1, 4))
def test_constant_channels_do_no_harm(constant, n_more):
    more = np.full((300, n_more), constant)
    expected = linear(n_lags=5).fit(TRAIN[:300]).score_samples(TEST[:300])
    detector = linear(n_lags=5).fit(np.hstack([TRAIN[:300], more]))
    found = detector.score_samples(np.hstack([TEST[:300], more]))
    # The mean is over more channels, of which these add nothing.
    assert_allclose(found * (8 + n_more) / 8, expected, rtol=1e-3, atol=1e-3)


def test_a_constant_channel_that_moves_is_an_anomaly():
    train, test = (np.c_[part, np.full(len(part), 3.0)] for part in (TRAIN, TEST))
    test[600, -1] = 4.0
    detector = small().fit(train)
    assert detector.explain(test)[600].argmax() == 8


@FEW
@given(st.permutations(["a", "b", "c"]))
def test_groups_do_not_depend_on_each_other(order):
    detector = small().fit(TRAIN)
    parts = {"a": TEST[:50], "b": TEST[100:180], "c": TEST[300:341]}
    X = np.concatenate([parts[name] for name in order])
    groups = np.repeat(order, [len(parts[name]) for name in order])
    scores = detector.score_samples(X, groups=groups)
    contributions = detector.explain(X, groups=groups)
    for name, part in parts.items():
        assert_array_equal(contributions[groups == name], detector.explain(part))
        assert_array_equal(scores[groups == name], detector.score_samples(part))


def test_rows_of_groups_may_alternate():
    groups = np.tile([1, 0], 300)
    X = np.empty_like(TRAIN[:600])
    X[groups == 1], X[groups == 0] = TRAIN[:300], TRAIN[300:600]
    expected = small().fit(TRAIN[:600], groups=np.repeat([1, 0], 300))
    found = small().fit(X, groups=groups)
    assert_array_equal(
        found.score_samples(X, groups=groups)[groups == 0],
        expected.score_samples(TRAIN[300:600]),
    )


# What a score depends on


@FEW
@given(st.integers(1, 199))
def test_a_causal_score_knows_no_later_row(now):
    detector = small(causal=True).fit(TRAIN[:400])
    changed = TEST[:200].copy()
    changed[now:] = 7.0
    before = detector.score_samples(TEST[:200])[:now]
    assert_allclose(detector.score_samples(changed)[:now], before, atol=1e-12)


def test_otherwise_a_score_knows_later_rows(detector):
    changed = TEST.copy()
    changed[100:] = 7.0
    before = detector.score_samples(TEST)[:100]
    different = np.flatnonzero(detector.score_samples(changed)[:100] != before)
    assert 100 - detector.window_size_ < different.min() < 99


def test_what_is_masked_adds_nothing():
    detector = small(missing="mask", smoothing=1).fit(TRAIN)
    gaps = TEST.copy()
    gaps[50:60, 2] = np.nan
    contributions = detector.explain(gaps)
    assert np.all(contributions[50:60, 2] == 0)
    assert_allclose(-contributions.sum(axis=1), detector.score_samples(gaps))


@pytest.mark.parametrize("window_size", [1, 2, 3])
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("variant", ["corrected", "released"])
def test_short_windows_and_few_rows(window_size, n_channels, variant):
    X = np.random.default_rng(0).normal(size=(10, n_channels))
    detector = small(window_size=window_size, variant=variant).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()


def test_rows_alone_are_far_from_the_mean_or_near():
    detector = small(window_size=1).fit(TRAIN)
    far = np.array([[0.0], [2.0], [4.0], [8.0]]) * TRAIN.std(axis=0)
    scores = detector.score_samples(TRAIN.mean(axis=0) + far)
    assert np.all(np.diff(scores) < 0)
    assert scores[0] > detector.offset_


# Parameters and training


@pytest.mark.parametrize(
    ("n_rows", "n_channels", "n_lags"),
    [(400, 1, 98), (1200, 1, 98), (400, 5, 20), (80, 5, 4), (60, 5, 3), (2000, 5, 80)],
)
def test_lags_are_as_many_as_the_data_bear(n_rows, n_channels, n_lags):
    X = np.random.default_rng(0).normal(size=(n_rows, n_channels))
    detector = small(window_size=min(100, n_rows), max_epochs=1).fit(X)
    assert detector.n_lags_ == n_lags


def test_the_smallest_penalty_is_borne_by_channels_that_copy_each_other():
    detector = small(alpha=1e-300).fit(np.tile(TRAIN[:300], 2))
    assert np.isfinite(detector.score_samples(np.tile(TEST, 2))).all()


def test_lags_fit_into_a_window():
    assert small(n_lags=50).fit(TRAIN).n_lags_ == 38
    assert small(n_lags=7).fit(TRAIN).n_lags_ == 7


def test_training_lowers_the_loss_below_that_of_the_linear_forecast():
    rng = np.random.default_rng(0)
    X = np.zeros((2000, 1))
    for t in range(1, 2000):  # no line forecasts it
        X[t] = 1.8 * np.abs(X[t - 1]) - 0.9 + 0.01 * rng.normal()
    losses = [epoch["train_loss"] for epoch in small(max_epochs=20).fit(X).history_]
    assert 0 < losses[-1] < 0.5 * losses[0] < 1


def test_the_contrast_takes_the_other_view_as_given():
    change, a, b = torch.tensor([[[1.0]], [[3.0]], [[2.0]]])
    a.requires_grad_()
    loss = Forecasts(change, a, b).loss()
    loss.backward()
    # ((3 - 1)^2 + (2 - 1)^2 + (1/4) * 2 * (3 - 2)^2) / 2, and its derivative by a
    # where b is given in one term and the other is given a.
    assert loss.item() == pytest.approx(2.75)
    assert a.grad.item() == pytest.approx((2 * 2 + 0.25 * 2 * 1) / 2)


def test_the_linear_forecast_is_not_trained():
    torch.manual_seed(0)
    net = TwoViews(3, 2, 8, 0.0)
    names = {name for name, _ in net.named_parameters()}
    assert not any("rule" in name or "scale" in name for name in names)


def test_windows_to_train_on_are_bounded():
    detector = small(max_windows=100).fit(TRAIN)
    series = detector._validate(TRAIN, reset=False)
    assert 90 <= len(detector._rows(series)) <= 101
    assert np.diff(detector._rows(series).starts)[:-1].min() == 12


def test_early_stopping_holds_out_the_end():
    detector = small(max_epochs=30, lr=0.05, n_iter_no_change=1).fit(TRAIN)
    assert "valid_loss" in detector.history_[0]
    assert detector.n_iter_ < 30


def test_warm_start_goes_on():
    detector = small(warm_start=True).fit(TRAIN)
    detector.fit(TRAIN[:600])
    assert detector.n_iter_ == 4


# The released form


def reference_views(net, x):
    """The views by torch's own layers, with the weights of our net."""

    def attended(x, ours):
        width = ours.output.in_features
        theirs = nn.MultiheadAttention(width, ours.n_heads, batch_first=True)
        theirs.in_proj_weight.data = torch.eye(width).repeat(3, 1)
        theirs.in_proj_bias.data.zero_()
        theirs.out_proj.weight.data = torch.eye(width)
        theirs.out_proj.bias.data.zero_()
        queries, keys, values = ours.projections(x).chunk(3, dim=-1)
        mixed = ours.output(theirs(queries, keys, values)[0])
        return ours.norm(x + mixed)

    def fed(x, ours):
        first, second = ours.layers[0], ours.layers[3]
        return ours.norm(x + second(gelu(first(x))))

    def encoded(x, block):
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        x = net.embed((x - mean) / torch.sqrt(variance + 1e-5))
        first = attended(x.transpose(1, 2), block.among_values).transpose(1, 2)
        first = fed(first, block.after_values)
        second = fed(attended(x, block.among_tokens), block.after_tokens)
        both = torch.cat([first, second], dim=-1)
        norm, wide, _, narrow, _, last = block.fuse
        return last(narrow(gelu(wide(norm(both))))).transpose(1, 2)

    values = encoded(x, net.encode_values)
    moves = encoded(x[:, 1:] - x[:, :-1], net.encode_differences)
    first = leaky_relu(net.bilinear(moves.contiguous(), values.contiguous()))
    second = leaky_relu(net.linear(torch.cat([moves, values], dim=-1)))
    return (
        torch.sigmoid(net.after_bilinear(first)).transpose(1, 2),
        torch.sigmoid(net.after_linear(second)).transpose(1, 2),
    )


def reference_divergences(series, prior):
    """Sum over values, for each window and row, by loops."""

    def kl(p, q):
        return sum(a * (np.log(a + 1e-4) - np.log(b + 1e-4)) for a, b in zip(p, q))  # noqa: B905

    prior = prior / prior.sum(axis=-1, keepdims=True)
    shape = series.shape[:2]
    pairs = zip(series.reshape(-1, series.shape[2]), prior.reshape(-1, prior.shape[2]))  # noqa: B905
    return np.reshape([kl(p, q) + kl(q, p) for p, q in pairs], shape)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return ReleasedNet(3, window_size=9, width=8, n_heads=2, dropout=0.2).eval()


def test_released_views_equal_those_of_torchs_own_layers(net):
    x = torch.randn(4, 9, 3)
    for ours, theirs in zip(net(x), reference_views(net, x), strict=True):
        assert ours.shape == (4, 9, 8)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_released_scores_equal_a_direct_computation(net):
    x = torch.randn(4, 9, 3)
    series, prior = (view.detach().double().numpy() for view in reference_views(net, x))
    exponent = -50 * reference_divergences(series, prior)
    expected = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(net.anomaly_score(x).detach(), expected, rtol=0.01, atol=1e-5)


def test_the_released_loss_is_zero_and_its_gradient_is_not(net):
    loss = net(torch.randn(4, 9, 3)).loss()
    loss.backward()
    assert loss.item() == 0
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().max() > 0 or "projections.bias" in name


def test_the_released_loss_drives_the_bilinear_view_away():
    torch.manual_seed(0)
    series, prior = (torch.rand(1, 1, 6).requires_grad_() for _ in range(2))
    Views(series, prior).loss().backward()

    def divergence(series, prior):
        prior = prior / prior.sum()
        difference = torch.log(series + 1e-4) - torch.log(prior + 1e-4)
        return ((series - prior) * difference).sum()

    expected = torch.autograd.grad(divergence(series, prior), [series, prior])
    torch.testing.assert_close(series.grad, -expected[0])
    torch.testing.assert_close(prior.grad, expected[1])


def test_a_released_score_is_a_share_of_its_window():
    detector = released().fit(TRAIN[:100])
    scores = detector.score_samples(TEST[:60])
    assert_allclose(scores.reshape(5, 12).sum(axis=1), -1, rtol=1e-5)


def test_released_scores_reach_the_end():
    detector = released().fit(TRAIN[:100])
    whole, cut = detector.score_samples(TEST[:29]), detector.score_samples(TEST[17:29])
    assert_array_equal(whole[24:], cut[7:])
    middle = (cut[:7] + detector.score_samples(TEST[12:24])[5:]) / 2
    assert_allclose(whole[17:24], middle, rtol=1e-5, atol=1e-12)


def test_only_the_corrected_form_explains():
    assert not hasattr(released().fit(TRAIN[:50]), "explain")


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=16"):
        released(n_heads=3).fit(TRAIN[:50])


@settings(max_examples=20)
@given(st.integers(0, 600), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))
def test_bilinear_equals_torchs_own(n_rows, n_first, n_second, n_out):
    torch.manual_seed(0)
    theirs = nn.Bilinear(n_first, n_second, n_out, bias=False, dtype=torch.float64)
    first = torch.randn(n_rows, n_first, dtype=torch.float64, requires_grad=True)
    second = torch.randn(n_rows, n_second, dtype=torch.float64, requires_grad=True)
    arguments = first, second, theirs.weight
    found, expected = bilinear(*arguments), theirs(first, second)
    torch.testing.assert_close(found, expected)
    outer = torch.randn_like(expected)
    ours = torch.autograd.grad(found, arguments, outer)
    torch.testing.assert_close(ours, torch.autograd.grad(expected, arguments, outer))
