"""Phantoms with lesions of which it is known where they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skad.datasets import make_brain_phantom


@given(
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(16, 50),
    st.floats(0.01, 0.2),
    st.integers(0, 1000),
)
@settings(max_examples=40)
def test_what_is_promised_is_drawn(n_normal, n_anomalous, size, radius, seed):
    X, y, masks = make_brain_phantom(
        n_normal,
        n_anomalous,
        size=size,
        lesion_radius=(radius, radius),
        random_state=seed,
    )
    n_images = n_normal + n_anomalous
    assert X.shape == masks.shape == (n_images, size, size)
    assert X.dtype == np.uint8 and masks.dtype == bool
    assert_array_equal(y, [1] * n_normal + [-1] * n_anomalous)
    assert_array_equal(masks.any(axis=(1, 2)), y == -1)


def test_a_lesion_changes_the_image_where_the_mask_is():
    with_lesion, _, masks = make_brain_phantom(
        0, 1, lesion_contrast=(0.4, 0.4), noise=0, random_state=3
    )
    without, _, _ = make_brain_phantom(1, 0, noise=0, random_state=3)
    changed = np.abs(with_lesion.astype(float) - without)[0]
    assert changed[masks[0]].min() > 0.3 * 255 / 2
    assert changed[~masks[0]].max() <= 0.25 * 255
    assert np.median(changed[~masks[0]]) == 0


def test_heads_are_symmetric_and_lesions_are_not():
    X, y, _ = make_brain_phantom(30, 30, random_state=0)
    difference = np.abs(X.astype(float) - X[:, :, ::-1])
    worst = np.sort(difference.reshape(60, -1), axis=1)[:, -200:].mean(axis=1)
    assert np.median(worst[y == -1]) > np.median(worst[y == 1])
    flat = X[y == 1].astype(float)
    assert np.corrcoef(flat.ravel(), flat[:, :, ::-1].ravel())[0, 1] > 0.7


def test_the_same_seed_draws_the_same_images():
    for one, other in zip(
        make_brain_phantom(3, 3, random_state=0),
        make_brain_phantom(3, 3, random_state=0),
        strict=True,
    ):
        assert_array_equal(one, other)
    assert (make_brain_phantom(3, random_state=1)[0][:3] != one[:3]).any()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"size": 8}, "size == 8, must be >= 16"),
        ({"n_normal": -1}, "n_normal == -1"),
        ({"noise": -0.1}, "noise == -0.1"),
        ({"lesion_radius": (0.2, 0.1)}, r"lesion_radius is \(0.2, 0.1\)"),
        ({"lesion_radius": 0.1}, "lesion_radius is 0.1; expected two numbers"),
        ({"lesion_contrast": (0.1, 2)}, "at most 1"),
    ],
)
def test_what_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        make_brain_phantom(**params)
