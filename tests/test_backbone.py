"""Estimators with a backbone: clones, pickles and copies."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

import skad._backbone
from skad._backbone import BackboneMixin
from skad._nets._backbones import Teacher, load_backbone
from skad._nets._resnet import ResNet, Sizes

# Large enough, of 70,000 numbers, to be seen in a pickle.
SIZES = Sizes("basic", (1, 1, 1), stem=16)
SMALL = 5_000


class Pooled(BackboneMixin, TransformerMixin, BaseEstimator):
    """Mean values of a pyramid's maps."""

    _parameter_constraints: dict = {
        **BackboneMixin._parameter_constraints,
        "weights": ["array-like", None],
    }

    def __init__(self, backbone=None, *, weights=None):
        self.backbone = backbone
        self.weights = weights

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        if self.backbone is None:
            self._set_teacher(Teacher(net(seed=7)))
        else:
            self._set_teacher()
        self.fitted_ = self._pooled(X)
        return self

    def transform(self, X):
        return self._pooled(X)

    def _pooled(self, X):
        images = torch.tensor(X, dtype=torch.float32).reshape(-1, 1, 16, 16)
        maps = self._get_teacher()(images)
        return np.concatenate([level.mean((2, 3)) for level in maps], axis=1)

    def score(self, X, y=None):
        return self.transform(X).mean()

    def get_feature_names_out(self, input_features=None):
        return [f"f{i}" for i in range(self.fitted_.shape[1])]


class Net(nn.Module):
    """A module at module level, as pickles need it, larger than a pickle may be."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.convolution = nn.Conv2d(3, 64, 16, 4, 6)

    def forward(self, images):
        return self.convolution(images)


def net(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet(SIZES)


X = np.random.default_rng(0).random((6, 256))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.pth"
    torch.save(net().state_dict(), path)
    return path


def fitted(backbone):
    return Pooled(backbone).fit(X)


def test_a_teacher_that_was_learned_is_part_of_the_pickle():
    estimator = fitted(None)
    found = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(found.transform(X), estimator.fitted_)
    assert len(pickle.dumps(estimator)) > 200_000


@pytest.mark.parametrize("kind", [str, None], ids=["str", "path"])
def test_a_pickle_holds_no_weights_that_are_in_a_file(path, kind):
    estimator = fitted(kind(path) if kind else path)
    pickled = pickle.dumps(estimator)
    assert len(pickled) < SMALL
    found = pickle.loads(pickled)
    np.testing.assert_array_equal(found.transform(X), estimator.fitted_)


def test_a_pickle_holds_no_weights_that_a_function_makes():
    estimator = fitted(Net)
    pickled = pickle.dumps(estimator)
    assert len(pickled) < SMALL
    found = pickle.loads(pickled)
    np.testing.assert_array_equal(found.transform(X), estimator.fitted_)


def test_a_pickle_holds_a_given_module_once():
    module = Net()
    alone, pickled = pickle.dumps(module), pickle.dumps(fitted(module))
    assert len(pickled) < len(alone) + SMALL
    found = pickle.loads(pickled)
    np.testing.assert_array_equal(found.transform(X), fitted(module).fitted_)
    assert found._get_teacher().pyramid is found.backbone


def test_pickling_takes_nothing_from_the_estimator(path):
    estimator = fitted(path)
    before = estimator._get_teacher()
    pickle.dumps(estimator)
    path.unlink()
    assert estimator._get_teacher() is before


def test_a_changed_file_is_noticed(path):
    pickled = pickle.dumps(fitted(path))
    torch.save(net(seed=1).state_dict(), path)
    found = pickle.loads(pickled)
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"weights of backbone=.*net\.pth.* Pooled"
        ):
            found.transform(X)
    found.fit(X)
    np.testing.assert_array_equal(found.transform(X), fitted(path).fitted_)


def test_a_module_that_was_trained_after_the_fit_is_noticed():
    module = Net()
    estimator = fitted(module)
    nn.init.zeros_(module.convolution.bias)
    found = pickle.loads(pickle.dumps(estimator))
    with pytest.raises(ValueError, match="weights of backbone=Net are not those"):
        found.transform(X)


def test_a_file_may_move(path, tmp_path):
    estimator = fitted(path)
    found = pickle.loads(pickle.dumps(estimator))
    moved = path.rename(tmp_path / "moved.pth")
    with pytest.raises(ValueError, match=r"^backbone is '.*net\.pth', but there is no"):
        found.transform(X)
    found.set_params(backbone=moved)
    np.testing.assert_array_equal(found.transform(X), estimator.fitted_)


def test_a_parameter_set_after_the_fit_counts_from_the_next_fit_on(path):
    estimator = fitted(path).set_params(backbone=Net)
    np.testing.assert_array_equal(estimator.transform(X), estimator.fitted_)
    np.testing.assert_array_equal(estimator.fit(X).fitted_, fitted(Net).fitted_)


@pytest.mark.parametrize("backbone", [None, Net, Net()], ids=["none", "class", "net"])
def test_a_deep_copy_is_as_good_as_the_original(backbone):
    estimator = fitted(backbone)
    copied = copy.deepcopy(estimator)
    np.testing.assert_array_equal(copied.transform(X), estimator.fitted_)
    assert copied._get_teacher() is not estimator._get_teacher()


@pytest.mark.parametrize("backbone", [Net(), Net, lambda: Net()])
def test_a_clone_shares_the_backbone_and_copies_the_rest(backbone):
    estimator = Pooled(backbone, weights=[1, 2]).fit(X)
    cloned = clone(estimator)
    assert cloned.backbone is backbone
    assert cloned.weights == [1, 2]
    assert cloned.weights is not estimator.weights
    assert not hasattr(cloned, "fitted_")
    assert "_teacher" not in vars(cloned)
    assert estimator.backbone is backbone


def test_clones_within_others_share_it():
    module = Net()
    pipeline = make_pipeline(Pooled(module))
    assert clone(pipeline)[0].backbone is module
    search = GridSearchCV(pipeline, {"pooled__weights": [[1], [2]]}, cv=2).fit(X)
    assert search.best_estimator_[0].backbone is module


def test_a_clone_keeps_what_was_requested_and_how_output_is_made():
    pytest.importorskip("pandas")
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = Pooled(Net).set_fit_request(sample_weight=True)
        estimator.set_output(transform="pandas")
        cloned = clone(estimator)
        assert cloned.get_metadata_routing().fit.requests == {"sample_weight": True}
    assert cloned.fit(X).transform(X).columns[0] == "f0"


def test_threads_that_use_an_unpickled_one_first_load_it_once(path, monkeypatch):
    n_threads, n_loads = 4, []
    start = threading.Barrier(n_threads)

    def load(backbone):
        n_loads.append(1)
        return load_backbone(backbone)

    def use(_):
        start.wait(10)
        return found._get_teacher()

    found = pickle.loads(pickle.dumps(fitted(path)))
    monkeypatch.setattr(skad._backbone, "load_backbone", load)
    with ThreadPoolExecutor(n_threads) as pool:
        teachers = set(pool.map(use, range(n_threads)))
    assert len(teachers) == len(n_loads) == 1


def test_another_kind_of_net_may_be_loaded():
    class Tower(nn.Linear):
        pass

    class Other(BackboneMixin, BaseEstimator):
        def __init__(self, backbone=None):
            self.backbone = backbone

        def _load_backbone(self):
            return Tower(2, 2)

    assert isinstance(Other("any")._set_teacher(), Tower)


@pytest.mark.parametrize("backbone", [3, ["a.pth"], True])
def test_a_parameter_of_another_type_is_refused(backbone):
    with pytest.raises(ValueError, match="The 'backbone' parameter of Pooled must be"):
        fitted(backbone)
