"""LSTMRegressor: what it remembers, of which rows, and what is left of its training."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from inspect import signature

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn_checks import MORE_CHECKS, in_full
from skorch.callbacks import Callback
from torch import nn

from skad._kernels._lstm import lstm_layer, project
from skad._nets._lstm import StretchNet
from skad.forecasting import LSTMRegressor, _linear, _lstm_regressor
from skad.forecasting._linear import LinearPart

MEMORY = "The prediction of a row depends on the rows before it."
NEEDS_NO_MEMORY = [
    "check_methods_subset_invariance",
    "check_methods_sample_order_invariance",
]

rng = np.random.default_rng(0)
WAVES = np.sin(np.arange(501) / np.array([[3], [7]])).T + 0.01 * rng.normal(
    size=(501, 2)
)
X, Y = WAVES[:-1], WAVES[1:]
STANDARDISED = [(x - x.mean(axis=0)) / x.std(axis=0) for x in (X, Y)]


def regressor(**params):
    defaults = {
        "hidden_size": 8,
        "n_layers": 2,
        "window_size": 25,
        "max_epochs": 3,
        "lr": 0.01,
        "random_state": 0,
    }
    return LSTMRegressor(**(defaults | params))


FITTED = regressor().fit(X, Y)


@parametrize_with_checks(
    [
        LSTMRegressor(
            hidden_size=32, n_layers=1, window_size=10, lr=0.01, random_state=0
        )
    ],
    expected_failed_checks=lambda _: dict.fromkeys(NEEDS_NO_MEMORY, MEMORY),
    xfail_strict=True,
)
def test_sklearn(estimator, check):
    in_full(check, estimator)


@pytest.mark.parametrize("name", MORE_CHECKS)
def test_more_of_sklearn(name):
    in_full(getattr(estimator_checks, name), "LSTMRegressor", regressor())


@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("width", [1, 7, 16])
@pytest.mark.parametrize("n_rows", [1, 8, 27])
def test_the_kernels_are_torch_s_layers(n_layers, width, n_rows):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = StretchNet(5, 3, width, n_layers, 0.5).eval()
        rows = 3 * torch.randn(1, n_rows, 8)
        begin = torch.randn(2, n_layers, width)
    layers, output = net.weights()
    hidden, cell = begin.numpy().copy()
    found = rows[0, :, :5].numpy()
    for k in range(n_layers):
        found = lstm_layer(found, *layers[k], hidden[k], cell[k])
    with torch.inference_mode():
        states, end = net.lstm(rows[..., :5], tuple(begin[:, :, None]))
        outputs = net.output(states)[0]
    assert_allclose(project(found, *output), outputs, atol=2e-6)
    assert_allclose(hidden, end[0][:, 0], atol=2e-6)
    assert_allclose(cell, end[1][:, 0], atol=5e-6)


def test_the_kernel_s_gates_saturate():
    weights = np.zeros((1, 4), np.float32)
    for bias in (1e2, 1e30, np.finfo(np.float32).max):
        state = np.zeros((2, 1), np.float32)
        gates = np.array([bias, -bias, bias, bias], np.float32)
        lstm_layer(np.zeros((1, 1), np.float32), weights, weights, gates, *state)
        assert_allclose(state, [[np.tanh(1)], [1]], rtol=1e-6)


def lagged(rows, n_lags):
    """Put each row beside those before it; the first one was there for ever."""
    places = np.arange(len(rows))[:, np.newaxis] - np.arange(n_lags)[::-1]
    return rows[np.maximum(places, 0)].reshape(len(rows), -1)


@pytest.mark.parametrize("n_lags", [1, 3, 40])
def test_the_linear_part_is_ridge_regression_inside_each_series(n_lags, monkeypatch):
    monkeypatch.setattr(_linear, "_BLOCK_VALUES", 500)
    parts = [slice(0, 300), slice(300, 301), slice(301, 500)]
    linear = LinearPart([(X[rows], Y[rows]) for rows in parts], n_lags, 2.0)
    inputs = np.vstack([lagged(X[rows], n_lags) for rows in parts])
    ridge = Ridge(2.0).fit(inputs, Y)
    rows = X.astype(np.float32)
    found, _ = linear(rows, linear.before(rows[0]))
    assert_allclose(found, ridge.predict(lagged(X, n_lags)), atol=1e-5)


@pytest.mark.parametrize("n_lags", [0, 3])
def test_predictions_are_the_linear_part_and_what_the_net_adds(n_lags):
    nets = []

    class Keep(Callback):
        def on_train_end(self, net, **kwargs):
            nets.append(net.module_)

    params = {"n_lags": n_lags, "alpha": 2.0, "net_params": {"callbacks": [Keep]}}
    fitted = regressor(**params).fit(X, Y)
    inputs, targets = STANDARDISED
    linear = np.zeros(Y.shape)
    if n_lags:
        rows = lagged(inputs, n_lags)
        linear = Ridge(2.0).fit(rows, targets).predict(rows)
    usual = np.sqrt(np.mean((targets - linear) ** 2, axis=0)) + 0.1
    long = np.pad(inputs, ((25, 0), (0, 0)), mode="edge")[np.newaxis]
    with torch.inference_mode():
        added = nets[0].eval()(torch.tensor(long, dtype=torch.float32))[0, 25:]
    expected = linear + usual * added.numpy()
    expected = Y.mean(axis=0) + Y.std(axis=0) * expected
    assert_allclose(fitted.predict(X), expected, atol=1e-5)


def test_the_net_is_trained_on_what_the_linear_part_leaves():
    errors = []

    class Note(Callback):
        def on_batch_begin(self, net, batch, **kwargs):
            errors.append(batch[0][..., 2:].reshape(-1, 2).numpy())

    regressor(n_lags=4, net_params={"callbacks": [Note]}).fit(X, Y)
    rows = lagged(STANDARDISED[0], 4)
    left = STANDARDISED[1] - Ridge(100).fit(rows, STANDARDISED[1]).predict(rows)
    left = np.abs(left) / (np.sqrt(np.mean(left**2, axis=0)) + 0.1)
    found = np.abs(np.vstack(errors))
    assert_allclose(found.max(axis=0), left.max(axis=0), rtol=1e-4)


def test_it_learns_what_needs_memory():
    y = np.roll(X[:, 0] * X[:, 1], 4)
    fitted = regressor(max_epochs=150, hidden_size=16, n_lags=0).fit(X[:400], y[:400])
    assert fitted.score(X[400:], y[400:]) > 0.9
    shuffled = rng.permutation(100)
    assert fitted.score(X[400:][shuffled], y[400:][shuffled]) < 0.5


@given(cuts=st.sets(st.integers(1, 499), max_size=30))
def test_any_pieces_give_what_the_whole_gives(cuts):
    state, found = None, []
    bounds = [0, *sorted(cuts), 500]
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        part, state = FITTED.predict_next(X[start:stop], state)
        found.append(part)
    assert_array_equal(np.concatenate(found), FITTED.predict(X))


def test_blocks_change_nothing(monkeypatch):
    expected = FITTED.predict(X)
    monkeypatch.setattr(_lstm_regressor, "_BLOCK", 7)
    assert_array_equal(FITTED.predict(X), expected)


def test_a_state_may_be_used_twice():
    _, state = FITTED.predict_next(X[:50])
    once, twice = (FITTED.predict_next(X[50:], state) for _ in range(2))
    assert_array_equal(once[0], twice[0])
    assert_array_equal(once[1].memory, twice[1].memory)


@pytest.mark.parametrize("row", [0, 100, 499])
def test_a_row_changes_no_prediction_before_it(row):
    changed = X.copy()
    changed[row] += 1
    predictions, expected = FITTED.predict(changed), FITTED.predict(X)
    assert_array_equal(predictions[:row], expected[:row])
    assert np.all(predictions[row:][:10] != expected[row:][:10])


@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=40))
def test_series_do_not_see_each_other(labels):
    labels, rows = np.array(labels), X[: len(labels)]
    predictions = FITTED.predict(rows, groups=labels)
    for label in np.unique(labels):
        here = labels == label
        assert_array_equal(predictions[here], FITTED.predict(rows[here]))


def test_series_are_separate_in_training():
    order = np.argsort(np.arange(500) % 2, kind="stable")
    groups = np.arange(500) % 2
    mixed = regressor().fit(X, Y, groups=groups)
    apart = regressor().fit(X[order], Y[order], groups=groups[order])
    assert_array_equal(mixed.predict(X), apart.predict(X))
    assert np.any(mixed.predict(X) != FITTED.predict(X))


def test_a_start_is_as_if_its_row_had_been_there_before():
    long = np.vstack([np.repeat(X[:1], 25, axis=0), X])
    _, state = FITTED.predict_next(X[:1])
    before = np.repeat(state.before[-1:], len(state.before), axis=0)
    blank = state._replace(before=before, memory=np.zeros_like(state.memory))
    expected = FITTED.predict_next(long, blank)[0][25:]
    assert_array_equal(FITTED.predict(X), expected)


def test_short_series_are_trained_on():
    groups = np.repeat([0, 1], [490, 10])
    far = Y.copy()
    far[490:] *= -1
    one = regressor().fit(X, Y, groups=groups)
    other = regressor().fit(X, far, groups=groups)
    assert one.window_size_ == 25
    assert np.any(one.predict(X) != other.predict(X))
    assert regressor(window_size=999).fit(X, Y, groups=groups).window_size_ == 490


@pytest.mark.parametrize("shape", [(500,), (500, 1), (500, 2)])
def test_predictions_are_shaped_as_targets(shape):
    y = Y if shape[1:] == (2,) else Y[:, 0].reshape(shape)
    fitted = regressor().fit(X, y)
    predictions, _ = fitted.predict_next(X)
    assert fitted.predict(X).shape == predictions.shape == shape
    assert predictions.dtype == np.float64


def test_units_do_not_matter():
    scaled = regressor().fit(1e3 * X + 5, 1e-3 * Y - 7)
    predictions = 1e3 * (scaled.predict(1e3 * X + 5) + 7)
    assert_allclose(predictions, FITTED.predict(X), rtol=1e-3, atol=1e-4)


def test_a_column_that_never_moves_is_predicted():
    y = np.column_stack([Y[:, 0], np.full(500, 3.0)])
    fitted = regressor(max_epochs=60).fit(np.column_stack([X, np.ones(500)]), y)
    assert_allclose(
        fitted.predict(np.column_stack([X, np.ones(500)]))[:, 1], 3, atol=0.1
    )


def test_far_values_do_not_reach_beyond_ten_deviations():
    far, farther = X.copy(), X.copy()
    far[7], farther[7] = 1e3, 1e9
    assert_array_equal(FITTED.predict(far), FITTED.predict(farther))


def test_early_stopping_holds_out_the_end():
    fitted = regressor(n_iter_no_change=2, max_epochs=100).fit(X, Y)
    assert 2 < fitted.n_iter_ < 100
    params = {"n_iter_no_change": 30, "max_epochs": 30, "n_lags": 0}
    params["validation_fraction"] = 0.2
    turned = np.vstack([Y[:400], Y[:399:-1]])  # which leaves mean and spread alone
    same, other = (regressor(**params).fit(X, y).history_ for y in (Y, turned))
    assert_allclose(other[-1]["train_loss"], same[-1]["train_loss"], rtol=1e-3)
    assert other[-1]["valid_loss"] > 2 * same[-1]["valid_loss"]


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_size": 9},
        {"n_layers": 1},
        {"dropout": 0.7},
        {"window_size": 30},
        {"n_lags": 3},
        {"alpha": 1.0},
    ],
    ids=str,
)
def test_each_parameter_changes_something(params):
    assert np.any(regressor(**params).fit(X, Y).predict(X) != FITTED.predict(X))


def test_training_lowers_the_loss_and_is_recorded():
    fitted = regressor(max_epochs=40, n_lags=0).fit(X, Y)
    losses = [epoch["train_loss"] for epoch in fitted.history_]
    assert len(losses) == fitted.n_iter_ == 40
    assert losses[-1] < 0.5 * losses[0]


def test_the_pickle_holds_the_weights_and_little_else():
    fitted = regressor(hidden_size=64, max_epochs=1).fit(X, Y)
    n_weights = sum(p.numel() for p in StretchNet(2, 2, 64, 2, 0).parameters())
    n_weights += 2 * 2 * fitted.n_lags_
    assert len(pickle.dumps(fitted)) < 4 * n_weights + 5_000
    for made in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert_array_equal(made.predict(X), fitted.predict(X))


def test_the_same_seed_gives_the_same_in_threads_and_leaves_states():
    def fit(_):
        return regressor().fit(X, Y).predict(X)

    before = torch.get_rng_state()
    alike = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ThreadPoolExecutor(4, **alike) as pool:
        for predictions in pool.map(fit, range(4)):
            assert_array_equal(predictions, FITTED.predict(X))
    assert torch.equal(torch.get_rng_state(), before)
    other = regressor(random_state=1).fit(X, Y)
    assert np.any(other.predict(X) != FITTED.predict(X))


def test_an_interrupted_fit_does_not_look_fitted():
    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    broken = regressor().fit(X, Y).set_params(net_params={"callbacks": [Interrupt()]})
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y)
    with pytest.raises(NotFittedError):
        broken.predict(X)
    with pytest.raises(NotFittedError):
        regressor().predict_next(X)


def test_names_of_columns_are_kept():
    table = pd.DataFrame(X, columns=["a", "b"])
    fitted = regressor().fit(table, Y)
    assert_array_equal(fitted.predict_next(table)[0], FITTED.predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict_next(table[["b", "a"]])


def test_wrong_parameters_are_named():
    for name in signature(LSTMRegressor).parameters:
        wrong = regressor(**{name: nn.Identity})
        with pytest.raises(ValueError, match=f"'{name}' parameter of LSTMRegressor"):
            wrong.fit(X, Y)


@pytest.mark.parametrize("state", [np.zeros((2, 2, 8)), 3])
def test_a_wrong_state_is_named(state):
    with pytest.raises(TypeError, match=f"state is of type {type(state).__name__};"):
        FITTED.predict_next(X, state)


def test_groups_need_a_label_for_each_row():
    with pytest.raises(ValueError, match=r"groups has shape \(3,\); expected \(500,\)"):
        FITTED.predict(X, groups=[0, 1, 2])
