"""Videos of digits of which it is known when and where something is wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skad.datasets import make_moving_digits

sizes = st.integers(16, 40)
lengths = st.integers(8, 40)
seeds = st.integers(0, 1000)


def videos_of(n_videos, n_frames, **options):
    """Return frames, labels and masks by video, then by frame."""
    X, y, _, masks = make_moving_digits(n_videos, n_frames, **options)
    shape = (n_videos, n_frames, *X.shape[1:])
    return X.reshape(shape), y.reshape(shape[:2]), masks.reshape(shape)


def steps_of(weights):
    """Return how far the centre of what is in an image goes from frame to frame."""
    weights = weights / weights.sum(axis=(1, 2), keepdims=True)
    places = np.indices(weights.shape[1:])
    centers = np.einsum("trc,drc->td", weights, places)
    return np.hypot(*np.diff(centers, axis=0).T)


@given(st.integers(1, 5), lengths, sizes, st.integers(1, 3), st.floats(0, 1), seeds)
@settings(max_examples=30)
def test_what_is_promised_is_drawn(n_videos, n_frames, size, n_digits, share, seed):
    X, y, groups, masks = make_moving_digits(
        n_videos,
        n_frames,
        size=size,
        n_digits=n_digits,
        anomaly_share=share,
        random_state=seed,
    )
    assert X.shape == masks.shape == (n_videos * n_frames, size, size)
    assert (X.dtype, masks.dtype) == (np.uint8, bool)
    assert_array_equal(groups, np.repeat(np.arange(n_videos), n_frames))
    assert_array_equal(y, np.where(masks.any(axis=(1, 2)), -1, 1))
    for video, labels in enumerate(y.reshape(n_videos, n_frames)):
        wrong = np.flatnonzero(labels == -1)
        if video < n_videos - round(share * n_videos):
            assert len(wrong) == 0
        else:
            # One stretch; an object may hide behind the border in its outer frames.
            assert_array_equal(wrong, np.arange(wrong[0], wrong[-1] + 1))
            assert n_frames // 4 - 2 <= len(wrong) <= n_frames // 2
            assert 0 < wrong[0] <= wrong[-1] < n_frames - 1


@given(st.integers(8, 30), sizes, seeds)
@settings(max_examples=20)
def test_the_rest_is_what_it_would_be_without_an_anomaly(n_frames, size, seed):
    options = {"size": size, "random_state": seed}
    normal, _, _ = videos_of(2, n_frames, anomaly_share=0, **options)
    X, y, masks = videos_of(2, n_frames, anomaly_share=1, **options)
    changed = np.abs(X - normal.astype(int))
    # A fast digit is in another place from then on.
    before = np.argmax(y[0] == -1)
    assert not changed[0, :before].any()
    assert changed[0, before:].any(axis=(1, 2)).all()
    # An object leaves everything as it was, but for its soft edge.
    assert changed[1][~masks[1]].max() <= 26
    assert changed[1][masks[1]].max() > 26


@given(lengths, seeds)
@settings(max_examples=5)
def test_the_same_seed_draws_the_same_videos(n_frames, seed):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one = make_moving_digits(3, n_frames, size=16, random_state=seed)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    rng = np.random.RandomState(seed)
    other = make_moving_digits(3, n_frames, size=16, random_state=rng)
    for first, second in zip(one, other, strict=True):
        assert_array_equal(first, second)
    another = make_moving_digits(3, n_frames, size=16, random_state=seed + 1)
    assert (another[0] != one[0]).any()


@pytest.mark.parametrize("speed", [0.01, 0.03])
@pytest.mark.parametrize("size", [32, 64])
def test_digits_move_as_fast_as_asked_for_and_smoothly(speed, size):
    X, _, _ = videos_of(
        6,
        240,
        size=size,
        n_digits=1,
        anomaly_share=0,
        speed=(speed, speed),
        random_state=0,
    )
    for video in X:
        # What is there in most frames is the background.
        digit = np.clip(video - np.median(video, axis=0) - 26, 0, None)
        assert np.median(steps_of(digit)) == pytest.approx(speed * size, rel=0.1)


def test_a_fast_digit_is_four_times_as_fast():
    _, y, masks = videos_of(
        8, 64, size=64, anomaly_share=1, speed=(0.01, 0.01), random_state=0
    )
    for labels, mask in zip(y[::2], masks[::2], strict=True):
        steps = steps_of(mask[labels == -1].astype(float))
        assert np.median(steps) == pytest.approx(4 * 0.01 * 64, rel=0.1)


def test_digits_stay_in_the_picture_and_objects_cross_it():
    _, y, masks = videos_of(20, 40, anomaly_share=1, random_state=0)
    for video, (labels, mask) in enumerate(zip(y, masks, strict=True)):
        mask = mask[labels == -1]
        areas = mask.sum(axis=(1, 2))
        borders = [mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1]]
        touched = np.array([border.any(axis=1) for border in borders])
        if video % 2 == 0:
            assert areas.min() > 0.7 * areas.max()
        else:
            assert touched[:, 0].any()
            assert touched[:, -1].any()
            assert not (touched[:, 0] & touched[:, -1]).all()
            assert areas[[0, -1]].max() < areas.max()


def test_frames_differ_by_little_and_by_more_where_something_is_wrong():
    X, y, _ = videos_of(30, 48, anomaly_share=1, random_state=1)
    changes = np.abs(np.diff(X.astype(int), axis=1)).mean(axis=(2, 3))
    same = (y[:, 1:] == 1) & (y[:, :-1] == 1)
    wrong = (y[:, 1:] == -1) & (y[:, :-1] == -1)
    assert changes[same].max() < 0.06 * 255
    for kind in (0, 1):
        normal, fast = changes[kind::2][same[kind::2]], changes[kind::2][wrong[kind::2]]
        assert np.median(fast) > np.quantile(normal, 0.75)


def test_a_digit_does_not_move_by_whole_pixels():
    X, _, _ = videos_of(
        2, 60, n_digits=1, anomaly_share=0, speed=(0.003, 0.003), random_state=0
    )
    digits = X - np.median(X, axis=1, keepdims=True)
    changes = np.abs(np.diff(digits, axis=1)).mean(axis=(2, 3))
    # A tenth of a pixel each time; ten frames of nothing and a jump otherwise.
    assert changes.max() < 1.5 * np.median(changes)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_videos": 0}, "n_videos == 0, must be >= 1"),
        ({"n_frames": 7}, "n_frames == 7, must be >= 8"),
        ({"size": 15}, "size == 15, must be >= 16"),
        ({"n_digits": 0}, "n_digits == 0, must be >= 1"),
        ({"anomaly_share": 1.5}, "anomaly_share == 1.5, must be <= 1"),
        ({"anomaly_share": -0.5}, "anomaly_share == -0.5, must be >= 0"),
        ({"speed": 0.02}, "speed is 0.02; expected two numbers"),
        ({"speed": (0.02, 0.01)}, r"speed is \(0.02, 0.01\)"),
        ({"speed": (0.1, 0.2)}, "at most 0.1"),
    ],
)
def test_what_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        make_moving_digits(**params)
