import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skad import MiddleFramePredictor
from skad.datasets import make_moving_digits
from skad.metrics import roc_auc_score

VIDEOS, Y, GROUPS, MASKS = make_moving_digits(
    8, 40, size=16, n_digits=1, anomaly_share=0.5, random_state=0
)
NORMAL = np.isin(GROUPS, np.unique(GROUPS)[:4])
TRAIN, TRAIN_GROUPS = VIDEOS[NORMAL], GROUPS[NORMAL]
ONE = VIDEOS[GROUPS == GROUPS[0]]
# Clips of 9 frames, the middle of which is predicted, by the net alone: it is hardly
# trained, and would change little about the mean of the frames around.
TINY = {
    "residual": False,
    "channels": (2, 4),
    "n_heads": 2,
    "n_context": 1,
    "n_target": 3,
    "stride": 2,
    "patch_size": 4,
    "max_clips": 16,
    "max_epochs": 1,
    "batch_size": 8,
    "random_state": 0,
}


def tiny(**params):
    return MiddleFramePredictor(**{**TINY, **params})


@pytest.fixture(scope="module")
def fitted():
    return tiny().fit(TRAIN, groups=TRAIN_GROUPS)


@pytest.fixture(scope="module")
def raw():
    """A detector whose scores are those of single frames."""
    return tiny(smoothing=0).fit(TRAIN, groups=TRAIN_GROUPS)


def test_planted_anomalies_score_low():
    X, y, groups, masks = make_moving_digits(10, 40, size=16, random_state=1)
    normal = np.isin(groups, np.unique(groups)[:5])
    detector = MiddleFramePredictor(
        channels=(8, 16), max_epochs=2, max_clips=48, stride=2, random_state=0
    ).fit(X[normal], groups=groups[normal])
    scores = detector.score_samples(X[~normal], groups=groups[~normal])
    assert roc_auc_score(y[~normal], scores) > 0.85
    maps = detector.anomaly_map(X[~normal], groups=groups[~normal])
    assert maps[masks[~normal]].mean() > 3 * maps[~masks[~normal]].mean()


def test_training_brings_the_loss_down():
    losses = [epoch["train_loss"] for epoch in tiny(max_epochs=6).fit(ONE).history_]
    assert losses[-1] < losses[0]


@settings(max_examples=10, deadline=None)
@given(value=st.integers(0, 255), n_frames=st.integers(2, 40), seed=st.integers(0, 9))
def test_a_video_that_stands_still_scores_flat(fitted, value, n_frames, seed):
    rng = np.random.default_rng(seed)
    still = np.repeat(rng.integers(0, value + 1, size=(1, 16, 16)), n_frames, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shorter than a clip
        scores = fitted.score_samples(still.astype(np.uint8))
    assert_allclose(scores, scores[0], rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def alike():
    """A detector whose directions have the same weights."""
    detector = tiny(merge_weight=0.5, smoothing=1.0).fit(ONE)
    net = detector.net_.module_
    net.backwards.load_state_dict(net.forwards.state_dict())
    return detector


@settings(max_examples=10, deadline=None)
@given(n_frames=st.integers(12, 40), seed=st.integers(0, 99))
def test_time_that_runs_backwards_changes_nothing_if_both_are_alike(
    alike, n_frames, seed
):
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 255, size=(n_frames, 16, 16)).astype(np.uint8)
    scores = alike.score_samples(video)
    assert_allclose(alike.score_samples(video[::-1])[::-1], scores, atol=1e-4)
    assert np.ptp(scores) > 1e-2


def test_directions_that_differ_tell_forwards_from_backwards(fitted):
    scores = fitted.score_samples(ONE)
    assert np.abs(fitted.score_samples(ONE[::-1])[::-1] - scores).max() > 1e-3


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), n_videos=st.integers(2, 4))
def test_groups_do_not_leak(fitted, seed, n_videos):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(9, 30, size=n_videos)
    frames = rng.integers(0, 255, size=(lengths.sum(), 16, 16)).astype(np.uint8)
    # Those of a video stay in order, between those of others.
    groups = rng.permutation(np.repeat(np.arange(n_videos), lengths))
    scores = fitted.score_samples(frames, groups=groups)
    for group in range(n_videos):
        alone = fitted.score_samples(frames[groups == group])
        assert_allclose(scores[groups == group], alone, atol=1e-4)


def test_only_frames_around_matter(raw):
    other = ONE.copy()
    other[-1] = 255 - other[-1]
    change = np.abs(raw.score_samples(other) - raw.score_samples(ONE))
    # The last four frames have no prediction of their own; clips are 9 frames long.
    assert_allclose(change[:-9], 0, atol=1e-5)
    assert change[-5:].min() > 1e-3


def test_frames_at_the_ends_have_the_nearest_prediction(raw):
    scores, predicted = raw.score_samples(ONE), raw.predict_frames(ONE)
    maps = raw.anomaly_map(ONE)
    for found in (scores, predicted, maps):
        assert_array_equal(found[:4], np.repeat(found[4:5], 4, axis=0))
        assert_array_equal(found[-4:], np.repeat(found[-5:-4], 4, axis=0))
    assert len(np.unique(scores)) == len(ONE) - 8


def test_maps_are_errors_of_the_predicted_frames(raw):
    inner = slice(4, -4)
    errors = np.abs(ONE[inner] - raw.predict_frames(ONE)[inner])
    assert_allclose(raw.anomaly_map(ONE)[inner], errors, atol=1e-3)


def test_colours_are_averaged_in_maps():
    colored = np.stack([ONE, ONE // 2, 255 - ONE], axis=-1)
    detector = tiny().fit(colored)
    predicted = detector.predict_frames(colored)
    assert predicted.shape == colored.shape
    errors = np.abs(colored[4:-4] - predicted[4:-4]).mean(axis=3)
    assert_allclose(detector.anomaly_map(colored)[4:-4], errors, atol=1e-3)


def test_terms_are_standardised_by_the_training_frames(raw):
    terms = raw.score_terms(TRAIN, groups=TRAIN_GROUPS)
    assert list(terms) == ["psnr", "patch", "ssim"]
    for values in terms.values():
        assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-4)


def test_frames_that_are_repeated_are_not_counted_as_usual():
    groups = np.repeat([0, 1, 2], [34, 3, 3])
    with pytest.warns(UserWarning, match="2 of 3 videos have fewer frames"):
        detector = tiny(smoothing=0).fit(ONE, groups=groups)
        terms = detector.score_terms(ONE, groups=groups)
    for values in terms.values():
        assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-4)


def test_the_score_is_the_chosen_measure(fitted):
    terms = fitted.score_terms(ONE)
    for name, values in terms.items():
        one = clone(fitted).set_params(measure=name).fit(TRAIN, groups=TRAIN_GROUPS)
        assert_allclose(one.score_samples(ONE), -values, atol=1e-5)
    mean = np.mean(list(terms.values()), axis=0)
    assert_allclose(fitted.score_samples(ONE), -mean)


def test_smoothing_is_in_time_and_within_a_video(raw):
    smooth = clone(raw).set_params(smoothing=3.0).fit(TRAIN, groups=TRAIN_GROUPS)
    rough, fine = (
        np.abs(np.diff(detector.score_samples(ONE))).mean()
        for detector in (raw, smooth)
    )
    assert fine < rough / 2
    assert_allclose(
        smooth.score_samples(ONE).mean(), raw.score_samples(ONE).mean(), 0.1
    )


def test_scores_of_each_video_lie_between_0_and_1(fitted):
    detector = clone(fitted).set_params(normalization="video")
    detector.fit(TRAIN, groups=TRAIN_GROUPS)
    scores = detector.score_samples(TRAIN, groups=TRAIN_GROUPS)
    for group in np.unique(TRAIN_GROUPS):
        rows = group == TRAIN_GROUPS
        assert scores[rows].min() == 0 and scores[rows].max() == 1
        plain = fitted.score_samples(TRAIN[rows])
        assert_array_equal(scores[rows].argsort(), plain.argsort())


def test_frames_may_be_flattened(fitted):
    flat = TRAIN.reshape(len(TRAIN), -1)
    detector = tiny(image_shape=(16, 16)).fit(flat, groups=TRAIN_GROUPS)
    assert_array_equal(
        detector.score_samples(ONE.reshape(len(ONE), -1)), fitted.score_samples(ONE)
    )
    assert detector.predict_frames(ONE.reshape(len(ONE), -1)).shape == (len(ONE), 256)


def test_mapped_frames_are_read_clip_by_clip(tmp_path, fitted, monkeypatch):
    np.save(tmp_path / "frames.npy", TRAIN)
    mapped = np.load(tmp_path / "frames.npy", mmap_mode="r")
    seen = []
    images = MiddleFramePredictor._images
    monkeypatch.setattr(
        MiddleFramePredictor,
        "_images",
        lambda self, rows: seen.append(len(rows)) or images(self, rows),
    )
    detector = tiny().fit(mapped, groups=TRAIN_GROUPS)
    assert_array_equal(detector.score_samples(ONE), fitted.score_samples(ONE))
    # 8 clips of 5 frames each.
    assert max(seen) <= 40 < len(TRAIN)


def test_each_frame_is_encoded_once(fitted, monkeypatch):
    net, n_encoded = fitted.net_.module_, []
    encode = net.encode
    monkeypatch.setattr(
        net, "encode", lambda frames: n_encoded.append(len(frames)) or encode(frames)
    )
    fitted.score_samples(ONE)
    assert sum(n_encoded) <= len(ONE) + TINY["batch_size"]


def test_units_do_not_matter(fitted):
    other = tiny().fit(TRAIN / 10 - 3, groups=TRAIN_GROUPS)
    assert_allclose(
        other.score_samples(ONE / 10 - 3), fitted.score_samples(ONE), atol=1e-3
    )
    assert_allclose(
        other.predict_frames(ONE / 10 - 3),
        fitted.predict_frames(ONE) / 10 - 3,
        atol=1e-3,
    )


def test_large_frames_are_resized_and_maps_come_back():
    large = ONE.repeat(2, axis=1).repeat(3, axis=2)
    detector = tiny(image_size=24).fit(large)
    assert detector.image_size_ == (16, 24)
    assert detector.anomaly_map(large).shape == large.shape
    assert detector.predict_frames(large).shape == large.shape


def test_a_preset_is_what_single_sizes_leave_open():
    detector = tiny(preset="paper", channels=None, n_heads=None, max_clips=1)
    module = detector.fit(ONE[:9]).net_.module_
    assert len(module.layers) == 5
    assert module.output.in_channels == 16
    assert len(tiny(preset="paper", n_layers=2).fit(ONE).net_.module_.layers) == 2


def test_the_training_stops_by_whole_videos():
    detector = tiny(n_iter_no_change=2, max_epochs=3)
    detector.fit(TRAIN, groups=TRAIN_GROUPS)
    assert all("valid_loss" in epoch for epoch in detector.history_)
    with pytest.raises(ValueError, match=r"n_iter_no_change .* all clips are of one"):
        detector.fit(ONE)


def test_a_warm_start_trains_the_same_net():
    detector = tiny(warm_start=True).fit(ONE)
    net = detector.net_
    weights = net.module_.output.weight.detach().clone()
    detector.fit(ONE)
    assert detector.net_ is net and detector.n_iter_ == 2
    assert not torch.equal(net.module_.output.weight, weights)


def test_parameters_set_after_fit_do_not_change_the_clips(fitted):
    detector = clone(fitted).fit(TRAIN, groups=TRAIN_GROUPS)
    detector.set_params(n_context=1, stride=1)
    assert_array_equal(detector.score_samples(ONE), fitted.score_samples(ONE))


def test_videos_shorter_than_a_clip_are_told_of(fitted):
    with pytest.warns(UserWarning, match=r"stride \(2\) .* has \(7\); a stride of 1"):
        assert tiny().fit(ONE[:7]).stride_ == 1
    with pytest.warns(UserWarning, match="1 of 2 videos have fewer frames than a clip"):
        scores = fitted.score_samples(ONE[:14], groups=np.repeat([0, 1], [3, 11]))
    assert_array_equal(scores[:3], scores[0])


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_heads": 3}, r"n_heads is 3; it must divide the last of channels, .* 4"),
        ({"kernel_size": 4}, "kernel_size is 4; it must be odd"),
        ({"n_target": 2}, "n_target is 2; it must be odd"),
        ({"channels": (4, 0)}, r"channels is \(4, 0\); expected"),
        ({"pixel_range": (5, 5)}, r"pixel_range is \(5, 5\)"),
        ({"image_shape": (4, 4)}, r"image_shape is \(4, 4\), but X holds images"),
        ({"merge_weight": 1.5}, "'merge_weight' parameter"),
        ({"measure": "mse"}, "'measure' parameter"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        tiny(**params).fit(ONE)


def test_wrong_frames_are_named(fitted):
    with pytest.raises(ValueError, match=r"images of shape \(8, 32\); .* \(16, 16, 1"):
        fitted.score_samples(ONE.reshape(-1, 8, 32))
    with pytest.raises(ValueError, match="X holds images of 16 channels"):
        tiny().fit(np.stack([ONE, ONE]))  # videos, not frames
    with pytest.raises(ValueError, match="X holds images of different shapes"):
        tiny().fit([ONE, ONE[:20]])
    with pytest.raises(ValueError, match=r"groups has shape \(2,\); expected \(40,\)"):
        fitted.score_samples(ONE, groups=[0, 1])
