import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from torch import nn

from skad import MDDNet
from skad._nets._resnet import resnet
from skad.datasets import make_surfaces
from skad.inspection import AnomalyMapDisplay, explain
from skad.metrics import get_scorer, pixel_roc_auc_score, roc_auc_score

IMAGES, Y, MASKS, KINDS = make_surfaces(90, 30, size=32, random_state=0)
TRAIN, TRAIN_KINDS = IMAGES[Y == 1][:60], KINDS[Y == 1][:60]
SMALL = {"channels": (4, 8), "backbone_epochs": 1, "max_epochs": 2, "memory_size": 4}


def small(X=TRAIN, y=TRAIN_KINDS, **params):
    return MDDNet(random_state=0, **{**SMALL, **params}).fit(X, y)


def waves(n_normal, n_anomalous, seed):
    """Return gratings of two directions, the last ones with a flat place."""
    rng = np.random.default_rng(seed)
    n_images = n_normal + n_anomalous
    kinds = np.arange(n_images) % 2
    phase = 2 * np.pi * rng.random((n_images, 1, 1))
    images = np.sin(np.arange(24) * 0.8 + phase) * np.ones((24, 1))
    images[kinds == 1] = images[kinds == 1].swapaxes(1, 2)
    images += 0.1 * rng.normal(size=images.shape)
    masks = np.zeros(images.shape, dtype=bool)
    for mask, (row, column) in zip(
        masks[n_normal:], rng.integers(2, 16, size=(n_anomalous, 2)), strict=True
    ):
        mask[row : row + 6, column : column + 6] = True
    return np.where(masks, 0.1 * rng.normal(size=images.shape), images), masks, kinds


class Edges(nn.Module):
    """A teacher that takes differences at two sizes, and has a layer with a state."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images):
        images = self.norm(images)
        fine = images[:, :, ::2, ::2] - images[:, :, 1::2, ::2]
        return [fine, fine[:, :, ::2, ::2] + fine[:, :, 1::2, 1::2]]


@pytest.fixture(scope="module")
def quick():
    return small()


@pytest.fixture(scope="module")
def trained():
    images, _, kinds = waves(60, 0, seed=0)
    detector = MDDNet(
        channels=(8, 16),
        backbone_epochs=40,
        max_epochs=40,
        batch_size=4,
        memory_size=8,
        random_state=0,
    )
    return detector.fit(images, kinds)


def test_defects_are_found_and_located(trained):
    images, masks, _ = waves(40, 40, seed=1)
    scores = trained.score_samples(images)
    assert roc_auc_score(np.repeat([1, -1], 40), scores) > 0.95
    assert pixel_roc_auc_score(masks, trained.anomaly_map(images)) > 0.9


def test_the_memory_tells_categories(trained):
    images, _, kinds = waves(40, 0, seed=1)
    posterior = trained.transform(images)
    assert np.mean(trained.classes_[posterior.argmax(axis=1)] == kinds) > 0.95
    assert_allclose(posterior.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("signal", [0, 1])
def test_both_discrepancies_locate_defects(trained, signal):
    """The identity decoder keeps anomalies, so that it differs from the other."""
    images, masks, _ = waves(0, 40, seed=1)
    rows = trained._rows(images.reshape(40, -1))
    fine = trained.net_.evaluate(rows, "signals")[f"{signal}_0"]
    assert pixel_roc_auc_score(masks, np.kron(fine, np.ones((1, 2, 2)))) > 0.8


def test_maps_have_the_size_of_images(quick):
    assert quick.anomaly_map(IMAGES[:5]).shape == (5, 32, 32)
    assert quick.explain(IMAGES[:5]).shape == (5, 32, 32)
    assert quick.image_shape_ == (32, 32, 1)
    reduced = small(image_size=16)
    assert reduced.image_size_ == (16, 16)
    assert reduced.anomaly_map(IMAGES[:5]).shape == (5, 32, 32)


def test_scores_are_means_of_the_worst_places(quick):
    maps = quick.anomaly_map(IMAGES[:7])
    worst = -maps.reshape(7, -1).max(axis=1)  # one pixel is a thousandth of the image
    assert_allclose(quick.score_samples(IMAGES[:7]), worst, rtol=1e-6)
    some = clone(quick).set_params(top_fraction=0.1).fit(TRAIN, TRAIN_KINDS)
    highest = np.sort(some.anomaly_map(IMAGES[:7]).reshape(7, -1))[:, -102:]
    assert_allclose(some.score_samples(IMAGES[:7]), -highest.mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("shape", [(24, 24, 3), (20, 31), (9, 9), (40, 16, 3)])
def test_colour_grey_and_any_size(shape):
    images = np.random.default_rng(0).random((12, *shape))
    detector = small(images, None)
    assert detector.anomaly_map(images).shape == (12, *shape[:2])
    explained = detector.explain(images)
    assert explained.shape == images.shape
    channels = explained.reshape(12, *shape[:2], -1)
    assert_allclose(channels.sum(axis=3), detector.anomaly_map(images), rtol=1e-12)
    flat = small(images.reshape(12, -1), None, image_shape=shape)
    assert_array_equal(
        flat.score_samples(images.reshape(12, -1)), detector.score_samples(images)
    )


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(12)), st.integers(1, 12))
def test_scores_belong_to_images(quick, order, n_kept):
    chosen = list(order)[:n_kept]
    assert_array_equal(
        quick.score_samples(IMAGES[:12][chosen]),
        quick.score_samples(IMAGES[:12])[chosen],
    )
    assert_array_equal(
        quick.anomaly_map(IMAGES[:12][chosen]), quick.anomaly_map(IMAGES[:12])[chosen]
    )


@settings(max_examples=5, deadline=None)
@given(st.integers(-3, 5), st.integers(-4, 4))
def test_the_unit_of_pixels_does_not_matter(quick, exponent, shift):
    # Powers of two and whole numbers of them, so that nothing is rounded.
    scale = 2.0**exponent
    other = small(TRAIN * scale + scale * shift)
    assert_array_equal(
        other.score_samples(IMAGES[:6] * scale + scale * shift),
        quick.score_samples(IMAGES[:6]),
    )


def test_a_pixel_range_is_kept():
    wide = small(pixel_range=(0, 255))
    learned = small((TRAIN.astype(float) / 255), pixel_range=(0, 1))
    assert_allclose(
        wide.score_samples(IMAGES[:9]),
        learned.score_samples(IMAGES[:9] / 255),
        rtol=1e-3,
    )


def test_the_order_and_the_names_of_categories_do_not_matter():
    names = np.array(["cloth", "metal", "tile"])[TRAIN_KINDS]
    one, other = small(), small(y=names)
    assert_array_equal(one.score_samples(IMAGES[:9]), other.score_samples(IMAGES[:9]))
    assert list(other.classes_) == ["cloth", "metal", "tile"]


def test_flags_of_anomalies_are_no_categories():
    flags = np.where(np.arange(60) % 7, 1, -1)
    expected = small(y=None).score_samples(IMAGES[:9])
    assert_array_equal(small(y=flags).score_samples(IMAGES[:9]), expected)


def test_categories_are_found_without_labels():
    X, _, _, kinds = make_surfaces(80, 0, n_classes=2, size=32, random_state=1)
    detector = MDDNet(**{**SMALL, "backbone_epochs": 10}, random_state=0).fit(X)
    codes = detector._clusters.predict(detector._pooled(X.reshape(80, -1)))
    for label in detector.classes_:
        shares = np.bincount(kinds[codes == label], minlength=2)
        assert shares.max() / shares.sum() > 0.9
    assert small(y=None, n_clusters=5).transform(IMAGES[:3]).shape == (3, 5)


def test_no_prototype_is_dead(trained):
    images, _, kinds = waves(60, 0, seed=0)  # what it was trained on
    codes = trained.net_.evaluate(trained._rows(images.reshape(60, -1)), "codes")
    for label, prototypes in enumerate(trained.memory_):
        own = codes[kinds == label].reshape(-1, codes.shape[2])
        cosines = own / np.linalg.norm(own, axis=1, keepdims=True)
        cosines = cosines @ (prototypes.T / np.linalg.norm(prototypes, axis=1))
        assert set(cosines.argmax(axis=1)) == set(range(len(prototypes)))


def test_without_memory_there_is_no_posterior():
    detector = small(memory_size=0)
    with pytest.raises(ValueError, match="memory_size is 0"):
        detector.transform(IMAGES[:3])
    assert not hasattr(detector, "memory_")
    assert np.isfinite(detector.score_samples(IMAGES[:3])).all()


@pytest.mark.parametrize("path", [None, "bottleneck", "multiscale"])
@pytest.mark.parametrize("fusion", ["sum", "product"])
@pytest.mark.parametrize("restoration_path", ["bottleneck", "multiscale"])
def test_every_variant_scores(path, fusion, restoration_path):
    detector = small(
        restoration_path=restoration_path, identity_path=path, fusion=fusion
    )
    assert np.isfinite(detector.anomaly_map(IMAGES[:3])).all()
    assert len(detector.net_.module_.discrepancies) == (1 if path is None else 2)


def test_products_are_of_positive_discrepancies():
    assert small(fusion="product").anomaly_map(IMAGES[:3]).min() > 0


def test_training_goes_on():
    detector = small(warm_start=True)
    before = detector.score_samples(IMAGES[:9])
    teacher = detector._get_teacher()
    detector.fit(TRAIN, TRAIN_KINDS)
    assert detector.n_iter_ == 4
    assert detector._get_teacher() is teacher
    assert not np.array_equal(detector.score_samples(IMAGES[:9]), before)
    with pytest.raises(ValueError, match=r"y .*'new'.*first fit: 0, 1, 2"):
        detector.fit(TRAIN, ["new"] * 60)
    with pytest.raises(ValueError, match="y .*None.*first fit: 0, 1, 2"):
        detector.fit(TRAIN)


def test_early_stopping_keeps_the_memory():
    detector = small(y=None, lr=0.5, max_epochs=20, n_iter_no_change=2)
    assert detector.n_iter_ <= 20
    assert all(len(prototypes) for prototypes in detector.memory_)


def test_a_given_teacher_is_not_changed():
    teacher = Edges()
    teacher.norm.running_mean.fill_(0.5)
    state = {name: value.clone() for name, value in teacher.state_dict().items()}
    detector = small(backbone=teacher)
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, state[name])
    assert teacher.training
    assert all(parameter.requires_grad for parameter in teacher.parameters())
    assert clone(detector).backbone is teacher
    copied = pickle.loads(pickle.dumps(detector))
    assert_array_equal(
        copied.score_samples(IMAGES[:9]), detector.score_samples(IMAGES[:9])
    )


def test_pickles_hold_no_weights_that_can_be_loaded(tmp_path):
    torch.manual_seed(0)
    weights = dict(resnet("resnet18").state_dict())
    path = tmp_path / "resnet18.pth"
    torch.save(weights, path)
    X = np.random.default_rng(0).random((6, 64, 64))
    params = {"max_epochs": 1, "memory_size": 0, "identity_path": None}
    detector = MDDNet(path, random_state=0, batch_size=6, **params).fit(X)
    trimmed = pickle.loads(pickle.dumps(detector))
    assert not hasattr(trimmed, "_teacher")
    assert_array_equal(trimmed.score_samples(X), detector.score_samples(X))
    torch.save({name: value + 1 for name, value in weights.items()}, path)
    with pytest.raises(ValueError, match="weights of backbone"):
        pickle.loads(pickle.dumps(detector)).score_samples(X)


def test_an_own_teacher_is_in_the_pickle(quick):
    copied = pickle.loads(pickle.dumps(quick))
    assert_array_equal(
        copied.score_samples(IMAGES[:9]), quick.score_samples(IMAGES[:9])
    )


def test_in_a_search_and_a_pipeline():
    X, flags = IMAGES[:60], np.repeat([1, -1], 30)
    search = GridSearchCV(
        MDDNet(random_state=0, **SMALL),
        {"fusion": ["sum", "product"]},
        scoring=get_scorer("roc_auc"),
        cv=StratifiedKFold(2),
    )
    search.fit(X.reshape(60, -1), flags)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(PCA(16, random_state=0), MDDNet(random_state=0, **SMALL))
    pipeline.fit(X.reshape(60, -1))
    assert pipeline.predict(X.reshape(60, -1)).shape == (60,)
    assert explain(pipeline, X.reshape(60, -1)).shape == (60, 16)


def test_images_of_another_kind_score_low(trained):
    images, _, _ = waves(40, 0, seed=1)
    scores = trained.score_samples(images)
    noise = np.random.default_rng(0).normal(size=images.shape)
    coarse = images[:, :12, :12].repeat(2, axis=1).repeat(2, axis=2)
    for others in (noise, 3 * images, coarse, np.zeros_like(images)):
        found = np.r_[scores, trained.score_samples(others)]
        assert roc_auc_score(np.repeat([1, -1], 40), found) > 0.95


def test_maps_are_drawn(quick):
    display = AnomalyMapDisplay.from_estimator(quick, IMAGES[-3:], masks=MASKS[-3:])
    assert len(display.images_) == 3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pixel_range": (1, 1)}, r"pixel_range is \(1, 1\).*two numbers"),
        ({"pixel_range": (1, 2, 3)}, r"pixel_range is \(1, 2, 3\).*two numbers"),
        ({"loss_weights": (1, 1, 1)}, r"loss_weights is \(1, 1, 1\).*four numbers"),
        ({"loss_weights": (1, 1, 1, -1)}, "loss_weights.*none below 0"),
        ({"channels": (4, 0)}, r"channels is \(4, 0\).*positive"),
        ({"fusion": "mean"}, "'fusion' parameter"),
        ({"backbone": "no/such/file.pth"}, "backbone"),
        ({"image_size": 0}, "'image_size' parameter"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        small(**params)


def test_wrong_data_are_named(quick):
    with pytest.raises(ValueError, match="X holds images of shape"):
        quick.score_samples(np.zeros((2, 16, 64)))
    with pytest.raises(ValueError, match="X holds images of 2 channels"):
        small(np.random.default_rng(0).random((9, 8, 8, 2)), None)
    with pytest.raises(ValueError, match="y has missing labels"):
        small(y=[None, *TRAIN_KINDS[1:]])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small(y=TRAIN_KINDS[:-1])
    with pytest.raises(ValueError, match="y mixes labels"):
        small(y=np.array(["a", *TRAIN_KINDS[1:]], dtype=object))
    with pytest.raises(ValueError, match="y has labels that are True or False"):
        small(y=TRAIN_KINDS > 0)


@pytest.mark.slow
def test_a_wide_resnet_at_full_width():
    """One step of training with the nets of the paper's relatives; they take 256."""

    def backbone():
        torch.manual_seed(0)
        return resnet("wide_resnet50_2")

    images = np.random.default_rng(0).integers(256, size=(2, 128, 128, 3))
    detector = MDDNet(
        backbone,
        image_size=128,
        pixel_range=(0, 255),
        n_clusters=1,
        memory_size=50,
        augment=False,
        max_epochs=1,
        batch_size=2,
        net_params={"autocast": torch.bfloat16},
        random_state=0,
    )
    with torch.random.fork_rng():
        detector.fit(images.astype(np.uint8))
    assert detector.anomaly_map(images[:1].astype(np.uint8)).shape == (1, 128, 128)
    assert 0 < len(detector.memory_[0]) <= 50  # those that are nearest to no code go


def test_nothing_is_explained_before_the_fit():
    with pytest.raises(NotFittedError):
        MDDNet().explain(IMAGES[:3])
