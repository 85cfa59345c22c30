"""Surfaces with defects of which it is known where they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from skad.datasets import make_surfaces

sizes = st.integers(16, 40)
seeds = st.integers(0, 1000)


@given(
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(1, 5),
    sizes,
    st.booleans(),
    st.floats(0.01, 0.5),
    seeds,
)
@settings(max_examples=40)
def test_what_is_promised_is_drawn(
    n_normal, n_anomalous, n_classes, size, color, defect_size, seed
):
    X, y, masks, categories = make_surfaces(
        n_normal,
        n_anomalous,
        n_classes=n_classes,
        size=size,
        color=color,
        defect_size=(defect_size, defect_size),
        random_state=seed,
    )
    n_images = n_normal + n_anomalous
    assert X.shape == (n_images, size, size, 3)[: 3 + color]
    assert X.dtype == np.uint8
    assert masks.shape == (n_images, size, size)
    assert masks.dtype == bool
    assert_array_equal(y, [1] * n_normal + [-1] * n_anomalous)
    assert_array_equal(masks.any(axis=(1, 2)), y == -1)
    assert categories.dtype.kind == "i"
    for part in (categories[:n_normal], categories[n_normal:]):
        assert_array_equal(part, np.arange(len(part)) % n_classes)


@given(sizes, st.booleans(), seeds)
@settings(max_examples=25)
def test_a_defect_changes_the_image_where_the_mask_is_only(size, color, seed):
    options = {"n_classes": 5, "size": size, "color": color, "random_state": seed}
    normal = make_surfaces(10, 0, **options)[0].astype(int)
    anomalous, _, masks, _ = make_surfaces(0, 10, **options)
    changed = np.abs(anomalous - normal).reshape(10, size, size, -1).max(axis=-1)
    assert not changed[~masks].any()
    for change, mask in zip(changed, masks, strict=True):
        assert change[mask].max() > 10


@given(seeds)
@settings(max_examples=5)
def test_the_same_seed_draws_the_same_images(seed):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one = make_surfaces(3, 3, size=16, random_state=seed)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    other = make_surfaces(3, 3, size=16, random_state=np.random.RandomState(seed))
    for first, second in zip(one, other, strict=True):
        assert_array_equal(first, second)
    assert (make_surfaces(3, 3, size=16, random_state=seed + 1)[0] != one[0]).any()


def test_defects_are_as_long_and_as_strong_as_asked_for():
    def measure(**options):
        normal = make_surfaces(60, 0, size=48, random_state=1)[0].astype(int)
        X, _, masks, _ = make_surfaces(0, 60, size=48, random_state=1, **options)
        sides = [max(np.ptp(axis) + 1 for axis in np.nonzero(mask)) for mask in masks]
        return np.array(sides), np.abs(X - normal)[masks].mean()

    small, weak = measure(defect_size=(0.1, 0.1), defect_contrast=(0.1, 0.1))
    large, strong = measure(defect_size=(0.5, 0.5), defect_contrast=(0.6, 0.6))
    assert small.max() <= 0.1 * 48 + 3 < 0.3 * 48 < np.median(large)
    assert large.max() <= 0.5 * 48 + 3
    assert strong > 2 * weak


def test_a_defect_is_as_large_a_part_of_the_image_in_any_resolution():
    shares = [
        make_surfaces(0, 60, size=size, random_state=0)[2].mean() for size in (32, 96)
    ]
    assert shares[0] == pytest.approx(shares[1], rel=0.5)
    assert 0.01 < shares[1] < 0.06


def test_kinds_of_surfaces_are_told_apart_by_their_structure_not_their_pixels():
    X, _, _, categories = make_surfaces(150, 0, n_classes=5, random_state=0)
    X = X - X.mean(axis=(1, 2), keepdims=True)
    spectra = np.log(np.abs(np.fft.rfft2(X)) + 1)[:, :16, :16].reshape(150, -1)
    nearest = KNeighborsClassifier(3)
    assert cross_val_score(nearest, spectra, categories).mean() > 0.95
    # No two images show the same part of a surface.
    flat = X.reshape(150, -1) / np.linalg.norm(X, axis=(1, 2))[:, np.newaxis]
    assert np.sort(flat @ flat.T, axis=1)[:, -2].max() < 0.9


@pytest.mark.parametrize("color", [False, True])
def test_neither_brightness_nor_nearest_pixels_find_defects(color):
    X, y, _, _ = make_surfaces(300, 100, n_classes=5, color=color, random_state=0)
    X = X.reshape(len(X), -1) / 255
    aucs = [roc_auc_score(y, X.mean(axis=1))]
    reference = NearestNeighbors(n_neighbors=5).fit(X[:200])
    aucs.append(roc_auc_score(-y[200:], reference.kneighbors(X[200:])[0].mean(axis=1)))
    assert 0.4 < aucs[0] < 0.6
    assert aucs[1] < 0.75


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"size": 8}, "size == 8, must be >= 16"),
        ({"n_normal": -1}, "n_normal == -1"),
        ({"n_anomalous": -1}, "n_anomalous == -1"),
        ({"n_classes": 6}, "n_classes == 6, must be <= 5"),
        ({"n_classes": 0}, "n_classes == 0, must be >= 1"),
        ({"defect_size": (0.2, 0.1)}, r"defect_size is \(0.2, 0.1\)"),
        ({"defect_size": (0.2, 0.6)}, "at most 0.5"),
        ({"defect_contrast": 0.1}, "defect_contrast is 0.1; expected two numbers"),
    ],
)
def test_what_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        make_surfaces(**params)
