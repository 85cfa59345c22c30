"""Images as rows: what every detector of images shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.validation import validate_data

from skad._base import BaseDetector
from skad._image import ImageMixin, foreground, resized, some_rows, to_size

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, size=(12, 6, 8), dtype=np.uint8)
SIDES = st.integers(1, 20)


class AsItIs(BaseDetector):
    """Validates numbers of any type, as the detectors do that train a net."""

    def _validate(self, X, *, reset):
        return validate_data(self, X, reset=reset, dtype="numeric")


class Brightness(ImageMixin, AsItIs):
    """Takes dark images to be anomalous, by their corner."""

    def __init__(self, *, image_shape=None, contamination=0.1):
        self.image_shape = image_shape
        self.contamination = contamination

    def _fit(self, X):
        self.seen_ = X

    def _score_samples(self, X):
        return self._images(X)[:, -1, 0].mean(axis=1)


@pytest.mark.parametrize(
    ("given", "image_shape", "found"),
    [
        (IMAGES, None, (6, 8, 1)),
        (IMAGES[..., np.newaxis], None, (6, 8, 1)),
        (IMAGES.reshape(12, 48), (6, 8), (6, 8, 1)),
        (IMAGES.reshape(12, 48), [6, 8, 1], (6, 8, 1)),
        (IMAGES.tolist(), None, (6, 8, 1)),
        (IMAGES, (6, 8), (6, 8, 1)),
    ],
)
def test_every_shape_of_the_same_images_is_the_same(given, image_shape, found):
    detector = Brightness(image_shape=image_shape).fit(given)
    assert detector.image_shape_ == found
    assert detector.n_features_in_ == 48
    assert_array_equal(detector.score_samples(given), IMAGES[:, -1, 0])
    assert_array_equal(detector.score_samples(IMAGES), IMAGES[:, -1, 0])
    flat = IMAGES.reshape(12, 48)
    assert_array_equal(detector.score_samples(flat), IMAGES[:, -1, 0])


def test_channels_come_last():
    colours = rng.normal(size=(5, 4, 6, 3))
    detector = Brightness().fit(colours)
    assert detector.image_shape_ == (4, 6, 3)
    assert_allclose(detector.score_samples(colours), colours[:, -1, 0].mean(axis=1))


@pytest.mark.parametrize(
    ("n_features", "shape"), [(16, (4, 4, 1)), (12, (1, 12, 1)), (1, (1, 1, 1))]
)
def test_rows_of_unknown_shape_are_squares_or_strips(n_features, shape):
    rows = rng.normal(size=(5, n_features))
    assert Brightness().fit(rows).image_shape_ == shape


@pytest.mark.parametrize(
    ("X", "image_shape", "message"),
    [
        (IMAGES, (8, 6), r"image_shape is \(8, 6\), but X holds images of shape"),
        (IMAGES.reshape(12, 48), (6, 9), r"\(6, 9\), of 54 values; X has rows of 48"),
        (IMAGES, (6,), "expected 2 or 3 positive integers"),
        (IMAGES, (6, 8.0), "expected 2 or 3 positive integers"),
        (IMAGES, (-6, -8), "expected 2 or 3 positive integers"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(X, image_shape, message):
    with pytest.raises(ValueError, match=message):
        Brightness(image_shape=image_shape).fit(X)


def test_images_of_another_shape_are_refused():
    detector = Brightness().fit(IMAGES)
    with pytest.raises(ValueError, match=r"X holds images of shape \(8, 6\)"):
        detector.score_samples(IMAGES.transpose(0, 2, 1))
    with pytest.raises(ValueError, match="42 features"):
        detector.score_samples(IMAGES[:, :, :7])
    with pytest.raises(ValueError, match="0 sample"):
        detector.score_samples(IMAGES[:0])
    with pytest.raises(ValueError, match="Found array with dim|5"):
        detector.score_samples(np.zeros((2, 6, 8, 1, 1)))


def test_a_file_of_images_is_not_read_whole(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, IMAGES)
    detector = Brightness().fit(np.load(path, mmap_mode="r"))
    assert detector.seen_.dtype == np.uint8
    assert isinstance(detector.seen_.base, np.memmap) or isinstance(
        detector.seen_, np.memmap
    )


@given(SIDES, SIDES, SIDES, SIDES, st.integers(1, 3), st.floats(-1e3, 1e3))
def test_resizing_keeps_what_is_constant(h, w, new_h, new_w, n_channels, grey):
    images = np.full((2, h, w, n_channels), grey)
    small = resized(images, (new_h, new_w))
    assert small.shape == (2, n_channels, new_h, new_w)
    assert_allclose(small, grey, atol=1e-9)
    assert_allclose(to_size(small[:, 0], (h, w)), images[..., 0], atol=1e-9)


@given(SIDES, SIDES, st.integers(0, 100))
def test_resizing_stays_in_range_and_is_linear(h, w, seed):
    a, b = np.random.default_rng(seed).normal(size=(2, 1, 7, 9, 1))
    small_a, small_b = resized(a, (h, w)), resized(b, (h, w))
    assert a.min() - 1e-12 <= small_a.min() and small_a.max() <= a.max() + 1e-12
    assert_allclose(resized(a + 2 * b, (h, w)), small_a + 2 * small_b, atol=1e-12)


@given(SIDES, SIDES, st.integers(0, 100))
def test_resizing_commutes_with_the_mirror(h, w, seed):
    images = np.random.default_rng(seed).normal(size=(2, 7, 9, 1))
    mirrored = resized(images[:, :, ::-1], (h, w))
    assert_allclose(mirrored, resized(images, (h, w))[..., ::-1], atol=1e-12)


def test_the_same_size_is_left_alone():
    assert_array_equal(resized(IMAGES[..., np.newaxis], (6, 8))[:, 0], IMAGES)


def test_every_pixel_counts_when_images_shrink():
    # Skipping pixels would miss a stripe between them.
    images = np.zeros((1, 64, 64, 1))
    images[0, 3::8] = 1
    assert_allclose(resized(images, (8, 8))[:, :, 1:-1].mean(), 1 / 8, rtol=0.05)


def test_maps_are_enlarged_in_blocks_of_any_number():
    maps = rng.normal(size=(150, 2, 4, 4))
    large = to_size(maps, (9, 5))
    assert large.shape == (150, 2, 9, 5)
    assert_array_equal(large[70:80], to_size(maps[70:80], (9, 5)))


def test_the_foreground_is_the_largest_part_and_its_holes():
    image = np.zeros((9, 12, 1))
    image[1:8, 1:8] = 5
    image[3:5, 3:5] = 0
    image[2, 10] = 9
    expected = np.zeros((9, 12), dtype=bool)
    expected[1:8, 1:8] = True
    dark = np.zeros_like(image)
    masks = foreground(np.stack([image, dark]), 1)
    assert_array_equal(masks, [expected, np.zeros_like(expected)])


@pytest.mark.parametrize("n_rows", [1, 7, 2048])
def test_all_rows_are_kept_if_they_are_few(n_rows):
    assert_array_equal(some_rows(np.arange(n_rows)), np.arange(n_rows))


@given(st.integers(2049, 20_000))
def test_of_many_rows_those_at_equal_distances_are_kept(n_rows):
    kept = some_rows(np.arange(n_rows))
    assert len(kept) == 2048
    assert (kept[0], kept[-1]) == (0, n_rows - 1)
    assert np.ptp(np.diff(kept)) <= 1
