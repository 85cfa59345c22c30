"""BaseDeepDetector and DetectorNet by themselves: what every deep detector gets."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn_checks import in_full, missing_checks
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.exceptions import DeviceWarning
from torch import nn

from skad._deep import BaseDeepDetector
from skad._nets._net import DetectorNet
from skad._nets._rows import Batches, Rows

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 4))


class Net(nn.Module):
    """Compresses rows to one number, with dropout and batch statistics."""

    def __init__(self, n_features):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 8),
            nn.BatchNorm1d(8),
            nn.Tanh(),
            nn.Dropout(0.1),
            nn.Linear(8, 1),
            nn.Linear(1, n_features),
        )

    def forward(self, x):
        return self.layers(x)

    def anomaly_score(self, x):
        return (self(x) - x).square().mean(dim=1)

    def parts(self, x):
        return {"error": self(x) - x, "input": x}


class Autoencoder(BaseDeepDetector):
    """The least that a deep detector can be."""

    _criterion = nn.MSELoss

    def __init__(
        self,
        *,
        max_epochs=3,
        batch_size=32,
        lr=0.01,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params
        self.contamination = contamination

    def _prepare(self, X):
        self.scale_ = np.abs(X).mean()

    def _net_input(self, rows):
        return rows / self.scale_

    def _make_module(self, X):
        return Net(X.shape[1])


class Interrupt(Callback):
    """Does as Ctrl-C does, or as another error, at the end of an epoch."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        self.epoch = epoch
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


def weights(detector):
    state = detector.net_.module_.state_dict()
    return {name: value.clone().numpy() for name, value in state.items()}


@parametrize_with_checks([Autoencoder(batch_size=16, max_epochs=2)])
def test_three_lines_pass_every_check_of_sklearn(estimator, check):
    in_full(check, estimator)


def test_no_check_is_missing():
    assert missing_checks(Autoencoder()) == []


def test_training_lowers_the_loss_and_is_recorded():
    detector = Autoencoder(max_epochs=20, random_state=0).fit(X)
    losses = [epoch["train_loss"] for epoch in detector.history_]
    assert losses[-1] < 0.8 * losses[0]
    assert [epoch["epoch"] for epoch in detector.history_] == list(range(1, 21))
    assert detector.n_iter_ == 20
    errors = detector.net_.evaluate(detector._rows(X), "parts")["error"]
    assert_allclose(detector.score_samples(X), -np.mean(errors**2, axis=1), rtol=1e-5)


def test_one_epoch_equals_the_same_steps_by_hand():
    detector = Autoencoder(max_epochs=2, batch_size=50, random_state=0).fit(X)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    data = torch.tensor(X / np.abs(X).mean(), dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net(4)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(2):
            for index in torch.randperm(120).tensor_split(3):
                optimizer.zero_grad()
                nn.functional.mse_loss(net(data[index]), data[index]).backward()
                optimizer.step()
    for name, value in net.state_dict().items():
        assert_array_equal(weights(detector)[name], value.numpy())


@pytest.mark.parametrize("batch_size", [7, 64, 500])
@pytest.mark.parametrize("n_rows", [1, 2, 8, 119])
def test_scores_do_not_depend_on_the_batch(batch_size, n_rows):
    detector = Autoencoder(batch_size=batch_size, random_state=0).fit(X)
    expected = detector.score_samples(X)
    assert expected.dtype == np.float64
    assert_array_equal(detector.score_samples(X[:n_rows]), expected[:n_rows])
    assert_array_equal(detector.score_samples(X[-n_rows:]), expected[-n_rows:])


def test_scores_do_not_depend_on_the_number_of_threads():
    detector = Autoencoder(random_state=0).fit(X)
    expected = detector.score_samples(X)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads + 1)
        assert_array_equal(detector.score_samples(X), expected)
    finally:
        torch.set_num_threads(n_threads)


def test_fewer_rows_than_a_batch_are_trained_on():
    detector = Autoencoder(batch_size=1000, random_state=0).fit(X[:2])
    untrained = Autoencoder(max_epochs=1, lr=1e-12, random_state=0).fit(X[:2])
    assert np.isfinite(detector.score_samples(X)).all()
    name = "layers.0.weight"
    assert np.abs(weights(detector)[name] - weights(untrained)[name]).max() > 0.01


@pytest.mark.parametrize("keep", [True, False])
def test_rows_are_converted_once_or_as_they_are_read(keep):
    read = []

    def convert(block):
        read.append(len(block))
        return 2 * block

    X = np.arange(10.0)[:, np.newaxis]
    rows = Rows(X, convert, keep=keep)
    assert read == ([10] if keep else [])
    for index in (slice(2, 5), torch.tensor([7, 3, 7])):
        assert_array_equal(rows[index].numpy(), 2 * X[np.arange(10)[index]])
    # A row that is wanted twice is read once.
    assert read == ([10] if keep else [3, 2])


def test_batches_are_of_nearly_equal_size_and_hold_every_row_once():
    rows = Rows(np.arange(65.0)[:, None], lambda block: block)
    torch_state = torch.get_rng_state()
    batches = [batch for batch, target in Batches(rows, 64, shuffle=True)]
    torch.set_rng_state(torch_state)
    assert [len(batch) for batch in batches] == [33, 32]
    assert sorted(torch.cat(batches)[:, 0].tolist()) == list(range(65))
    assert torch.cat(batches)[:, 0].tolist() != list(range(65))
    ordered = torch.cat([batch for batch, _ in Batches(rows, 10)])
    assert ordered[:, 0].tolist() == list(range(65))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "uint8"])
def test_a_file_is_read_by_batches_and_gives_the_same(tmp_path, dtype, monkeypatch):
    data = np.abs(20 * X).astype(dtype)
    np.save(tmp_path / "X.npy", data)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    blocks = []
    convert = Autoencoder._net_input

    def noted(self, rows):
        blocks.append(len(rows))
        return convert(self, rows)

    expected = Autoencoder(random_state=0).fit(data)
    monkeypatch.setattr(Autoencoder, "_net_input", noted)
    detector = Autoencoder(random_state=0).fit(mapped)
    scores = detector.score_samples(mapped)
    assert max(blocks) <= detector.batch_size
    assert sum(blocks) == (3 + 1 + 1) * len(X)
    assert_allclose(scores, expected.score_samples(data), rtol=1e-6)
    assert_allclose(detector.offset_, expected.offset_, rtol=1e-6)


def test_memory_does_not_hold_a_file(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((100_000, 40)))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    detector = Autoencoder(max_epochs=1, batch_size=1000, n_iter_no_change=1)
    detector._prepare = lambda X: setattr(detector, "scale_", 1)
    detector.fit(mapped[:100])  # torch loads much at its first step
    tracemalloc.start()
    detector.fit(mapped).predict(mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < mapped.nbytes / 4


def test_warm_start_goes_on():
    whole = Autoencoder(max_epochs=1, warm_start=True, random_state=0).fit(X)
    first = weights(whole)
    net, scale = whole.net_, whole.scale_
    whole.set_params(max_epochs=2, lr=0.001, batch_size=16).fit(X[:60])
    assert whole.net_ is net
    assert whole.n_iter_ == 3
    assert [epoch["epoch"] for epoch in whole.history_] == [1, 2, 3]
    assert whole.scale_ == scale
    assert whole.net_.optimizer_.param_groups[0]["lr"] == 0.001
    assert np.any(weights(whole)["layers.0.weight"] != first["layers.0.weight"])
    with pytest.raises(ValueError, match="3 features"):
        whole.fit(X[:, :3])
    assert whole.set_params(warm_start=False).fit(X[:, :3]).n_iter_ == 2


def test_progress_grows_from_0_to_1_and_stays():
    seen = []

    class Watch(DetectorNet):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            seen.append(self.progress_)
            return super().get_loss(y_pred, y_true, X, training)

    detector = Autoencoder(max_epochs=2, warm_start=True, random_state=0)
    detector._net_cls = Watch
    detector.fit(X)
    assert_allclose(seen, np.arange(8) / 8)
    assert set(detector.fit(X).net_.history[:, "epoch"]) == {1, 2, 3, 4}
    assert_allclose(seen[8:], 1)


def test_early_stopping_restores_the_best_weights():
    best = Autoencoder(max_epochs=60, lr=0.03, n_iter_no_change=3, random_state=0)
    best.set_params(validation_fraction=0.3).fit(X)
    losses = [epoch["valid_loss"] for epoch in best.history_]
    assert 4 < best.n_iter_ < 60
    assert np.argmin(losses) == best.n_iter_ - 4
    again = clone(best).set_params(max_epochs=best.n_iter_ - 3, n_iter_no_change=50)
    again.fit(X)
    for name, value in weights(best).items():
        assert_array_equal(weights(again)[name], value)


def test_held_out_rows_are_not_trained_on():
    far = X.copy()
    held = Autoencoder(n_iter_no_change=9, random_state=3).fit(X).net_
    valid = held.get_split_datasets(Rows(X, lambda rows: rows))[1].indices
    assert len(valid) == 12
    far[valid] *= -1
    changed = Autoencoder(n_iter_no_change=9, max_epochs=1, random_state=3).fit(far)
    same = Autoencoder(n_iter_no_change=9, max_epochs=1, random_state=3).fit(X)
    for name, value in weights(same).items():
        assert_array_equal(weights(changed)[name], value)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("warm_start", [False, True])
def test_an_interrupted_fit_does_not_look_fitted(error, warm_start):
    broken = {"callbacks": [Interrupt(2, error)]}
    detector = Autoencoder(net_params=broken, random_state=0)
    with pytest.raises(error):
        detector.fit(X)
    with pytest.raises(NotFittedError):
        detector.predict(X)
    detector.set_params(net_params=None, warm_start=warm_start).fit(X)
    expected = detector.score_samples(X)
    detector.set_params(net_params=broken, warm_start=False)
    with pytest.raises(error):
        detector.fit(X)
    with pytest.raises(NotFittedError):
        detector.score_samples(X)
    detector.set_params(net_params=None).fit(X)
    assert_array_equal(detector.score_samples(X), expected)


def test_an_interrupted_continuation_starts_anew():
    callbacks = {"callbacks": [Interrupt(5)]}
    detector = Autoencoder(warm_start=True, net_params=callbacks, random_state=0).fit(X)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(X)
    with pytest.raises(NotFittedError):
        detector.predict(X)
    assert detector.fit(X).n_iter_ == 3


def test_a_loss_that_is_not_finite_says_what_to_change():
    detector = Autoencoder(lr=1e30, max_epochs=50, random_state=0)
    with pytest.raises(FloatingPointError, match=r"loss of epoch .* Lower lr .*1e\+30"):
        detector.fit(X)
    with pytest.raises(NotFittedError):
        detector.predict(X)


def test_all_of_skorch_is_at_hand_and_nothing_of_the_callers_changes():
    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5)
    stopping = EarlyStopping("train_loss", patience=1, threshold=0.9)
    params = {
        "callbacks": [("schedule", schedule), stopping],
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.5,
    }
    detector = Autoencoder(net_params=params, max_epochs=9, random_state=0).fit(X)
    assert isinstance(detector.net_.optimizer_, torch.optim.SGD)
    assert detector.net_.optimizer_.param_groups[0]["momentum"] == 0.5
    assert detector.n_iter_ == 2
    assert detector.net_.optimizer_.param_groups[0]["lr"] == 0.01 / 4
    assert params["callbacks"] == [("schedule", schedule), stopping]
    assert stopping.misses_ == 0


def test_mixed_precision_trains_and_scores_in_float32():
    half = Autoencoder(net_params={"autocast": torch.bfloat16}, random_state=0).fit(X)
    full = Autoencoder(random_state=0).fit(X)
    assert half.net_.infer(torch.zeros(3, 4)).dtype == torch.bfloat16
    scores = half.score_samples(X)
    assert_allclose(np.corrcoef(scores, full.score_samples(X))[0, 1], 1, atol=0.05)
    assert np.any(scores != full.score_samples(X))
    assert len(np.unique(scores)) == len(X)


@pytest.mark.parametrize("key", ["module", "lr", "verbose", "hidden", "callback"])
def test_net_params_are_checked(key):
    with pytest.raises(ValueError, match=rf"net_params of Autoencoder .* '{key}'"):
        Autoencoder(net_params={key: 1}).fit(X)


@pytest.mark.parametrize("device", ["gpu", "cuda", "cpu:x", "meta"])
def test_a_device_that_is_not_there_is_named(device):
    if device == "cuda" and torch.cuda.is_available():
        device = "mps"
    with pytest.raises(ValueError, match=f"device is '{device}'; here .*'auto'.*'cpu'"):
        Autoencoder(device=device).fit(X)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_devices_have_names_or_are_torch_s(device):
    detector = Autoencoder(device=device, random_state=0).fit(X)
    assert str(detector.net_.device) == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="The GPU it asks for is there.")
def test_a_detector_fitted_on_a_gpu_loads_without_one():
    detector = Autoencoder(device="cpu", random_state=0).fit(X)
    expected = detector.score_samples(X)
    detector.net_.device = torch.device("cuda")
    with pytest.warns(DeviceWarning, match="(?i)cuda"):
        loaded = pickle.loads(pickle.dumps(detector))
    assert_array_equal(loaded.score_samples(X), expected)


def test_a_pickle_holds_the_net_once():
    detector = Autoencoder(random_state=0).fit(X)
    n_bytes = sum(value.nbytes for value in weights(detector).values())
    wide = Autoencoder(random_state=0)
    wide._make_module = WideNet
    wide.fit(X)
    more = sum(value.nbytes for value in weights(wide).values()) - n_bytes
    del wide._make_module
    grown = len(pickle.dumps(wide)) - len(pickle.dumps(detector))
    # The weights, and Adam's two moments of them for a warm start.
    assert 2.9 * more < grown < 3.2 * more


class WideNet(Net):
    def __init__(self, X):
        super().__init__(X.shape[1])
        self.layers.append(nn.Linear(4, 20_000))
        self.layers.append(nn.Linear(20_000, 4))


def test_a_bar_shows_the_progress(capsys):
    Autoencoder(verbose=1, random_state=0, n_iter_no_change=5).fit(X)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err
    assert "valid_loss=" in err


def test_more_verbosity_prints_a_line_per_epoch(capsys):
    Autoencoder(verbose=2, random_state=0).fit(X)
    assert "train_loss" in capsys.readouterr().out


def test_silence_is_the_default(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Autoencoder(random_state=0, n_iter_no_change=1, max_epochs=30).fit(X)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("fail", [False, True])
def test_the_generator_of_torch_stays(fail):
    before = torch.get_rng_state()
    if fail:
        broken = {"callbacks": [Interrupt(1, OSError)]}
        with pytest.raises(OSError):
            Autoencoder(net_params=broken).fit(X)
    else:
        Autoencoder().fit(X)
    assert torch.equal(torch.get_rng_state(), before)
