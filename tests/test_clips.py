"""Clips for a net, and the frames that it predicts in them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad._nets._clips import Clips, WholeVideos, predictions
from skad._nets._frame_errors import FrameLoss
from skad._nets._middle_frames import MiddleFrameNet
from skad._nets._net import DetectorNet
from skad._nets._rows import Batches, Rows
from skad._video import ClipShape, Videos

HEIGHT, WIDTH = 4, 6
PLACES = np.array([[0, 1, 2], [5, 6, 7], [1, 2, 3], [9, 7, 5]])


class Converter:
    """Turns rows into frames of values from 0 to 1, and notes which."""

    def __init__(self):
        self.read = []

    def __call__(self, rows):
        # The first pixels say which frame it is.
        self.read.append((rows[:, 0] + 256.0 * rows[:, 1]).astype(int).tolist())
        return rows.reshape(-1, 1, HEIGHT, WIDTH) / 255

    def all(self):
        return sorted(sum(self.read, []))


def numbered(n_frames):
    """Return frames of bytes by chance, of which the first pixels say which it is."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, size=(n_frames, HEIGHT * WIDTH), dtype=np.uint8)
    frames[:, 0] = np.arange(n_frames) % 256
    frames[:, 1] = np.arange(n_frames) // 256
    return frames


def as_frames(X):
    return torch.tensor(X.reshape(-1, 1, HEIGHT, WIDTH) / 255, dtype=torch.float32)


@pytest.mark.parametrize(
    "index",
    [
        slice(None),
        slice(1, 3),
        np.array([2, 0, 2]),
        np.array([3]),
        torch.tensor([2, 0, 2]),
        torch.tensor([3]),
    ],
    ids=str,
)
@pytest.mark.parametrize("keep", [False, True])
def test_clips_are_made_of_the_frames_they_say(index, keep):
    X = numbered(10)
    clips = Clips(Rows(X, Converter(), keep=keep), PLACES, np.zeros(4))
    assert len(clips) == 4
    found = clips[index]
    assert found.dtype == torch.float32
    chosen = PLACES[index if isinstance(index, slice) else np.asarray(index)]
    assert_array_equal(found, as_frames(X)[chosen])


@pytest.mark.parametrize("keep", [False, True])
def test_of_a_file_only_frames_of_the_clips_are_read(tmp_path, keep):
    X = numbered(10)
    X.tofile(tmp_path / "frames.bin")
    mapped = np.memmap(tmp_path / "frames.bin", np.uint8, "r", shape=X.shape)
    convert = Converter()
    clips = Clips(Rows(mapped, convert, keep=keep), PLACES, np.zeros(4))
    assert convert.read == []
    found = clips[np.array([2, 0])]
    assert convert.read == [[0, 1, 2, 3]]
    assert_array_equal(found, as_frames(X)[PLACES[[2, 0]]])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_clips_come_in_batches(batch_size):
    X = numbered(10)
    clips = Clips(Rows(X, Converter(), keep=False), PLACES, np.zeros(4))
    batches = [batch for batch, _ in Batches(clips, batch_size)]
    assert max(map(len, batches)) <= batch_size
    assert_array_equal(torch.cat(batches), as_frames(X)[PLACES])


def clips_of(videos):
    frames = Rows(numbered(3), Converter(), keep=False)
    return Clips(frames, np.zeros((len(videos), 3), int), np.array(videos))


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=40),
    st.floats(0.05, 0.5),
    st.integers(0, 99),
)
def test_whole_videos_are_held_out(videos, fraction, seed):
    n_videos = len(set(videos))
    assume(n_videos > 1)
    clips = clips_of(videos)
    train, valid = WholeVideos(fraction, seed)(clips)
    assert train.dataset is valid.dataset is clips
    assert sorted([*train.indices, *valid.indices]) == list(range(len(videos)))
    kept, held = ({videos[i] for i in part.indices} for part in (train, valid))
    assert not kept & held
    assert len(held) == math.ceil(fraction * n_videos)


def test_the_seed_says_which_videos_are_held_out():
    clips = clips_of(np.repeat(np.arange(20), 3))

    def held(seed):
        return WholeVideos(0.2, seed)(clips, None)[1].indices.tolist()

    assert held(3) == held(3)
    assert len({tuple(held(seed)) for seed in range(5)}) > 1


def test_a_video_alone_cannot_be_held_out():
    with pytest.raises(ValueError, match="n_iter_no_change .* all clips are of one"):
        WholeVideos(0.1, 0)(clips_of([4, 4, 4]))


def test_not_all_videos_can_be_held_out():
    with pytest.raises(ValueError, match="validation_fraction is 0.9, .* all 3 videos"):
        WholeVideos(0.9, 0)(clips_of([1, 2, 3, 3]))


class Counting(MiddleFrameNet):
    """Notes how many frames it encodes at a time."""

    encoded = ()

    def encode(self, frames):
        self.encoded = (*self.encoded, len(frames))
        return super().encode(frames)


def made_net(shape, batch_size, **changes):
    params = {
        "n_context": shape.n_context,
        "n_target": shape.n_target,
        "n_layers": 1,
        "n_heads": 2,
        # What it predicts would differ from call to call if it were in training.
        "dropout": 0.5,
        "bridge": True,
        "kernel_size": 3,
        "merge_weight": 0.6,
        "residual": False,
        "patch_size": 2,
        **changes,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Counting(1, (2, 2), **params)
        net = DetectorNet(module, FrameLoss, batch_size=batch_size).initialize()
    net.module_.train()
    return net


def by_clip(module, frames, shape):
    """Predict every clip by itself, and take the frame in its middle."""
    predicted = []
    for start in range(len(frames) - shape.length + 1):
        with torch.inference_mode():
            clip = frames[start + shape.offsets][None]
            predicted.append(module(clip)[0, shape.n_target // 2])
    return torch.stack(predicted)


SHAPES = [
    ClipShape(1, 1, 1),
    ClipShape(1, 3, 2),
    ClipShape(2, 1, 4),
    ClipShape(3, 3, 3),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape)))
@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("n_clips", [1, 2, 8, 9])
def test_predictions_are_those_of_single_clips_and_encode_each_frame_once(
    shape, batch_size, n_clips
):
    length = shape.length + n_clips - 1
    X = numbered(length + 9)
    # Frames of the video lie anywhere in X.
    rows = np.random.default_rng(1).permutation(len(X))[:length]
    net, convert = made_net(shape, batch_size), Converter()
    frames = Rows(X, convert, keep=False)
    blocks = list(predictions(net, frames, rows, shape))
    encoded = net.module_.encoded
    expected = by_clip(net.module_, as_frames(X)[rows], shape)
    found = torch.cat([b.predicted for b in blocks])
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    shown = torch.cat([b.frames for b in blocks])
    middle = rows[shape.margin : shape.margin + n_clips]
    assert_array_equal(shown, as_frames(X)[middle])

    # All batches are full: the last frame is repeated where there are no more.
    assert set(encoded) == {batch_size}
    assert length <= sum(encoded) < length + 2 * batch_size
    read = convert.all()
    assert set(read) == set(rows)
    assert all(read.count(row) == 1 for row in rows[:-1])
    assert max(map(len, convert.read)) <= batch_size


@pytest.mark.parametrize("n_layers", [0, 1])
def test_blocks_follow_each_other_as_soon_as_they_are_known(n_layers):
    shape, convert = ClipShape(1, 3, 2), Converter()
    X = numbered(50)
    net = made_net(shape, 4, n_layers=n_layers, residual=True)
    frames = Rows(X, convert, keep=False)
    n_known = 0
    for block in predictions(net, frames, np.arange(50), shape):
        # What later clips need is not read before.
        assert max(convert.all()) < n_known + 4 + shape.length + 4
        assert len(block.predicted) == len(block.frames) <= 4
        n_known += len(block.frames)
    assert n_known == 50 - shape.length + 1


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=3),
    st.sampled_from(SHAPES),
    st.integers(1, 9),
)
def test_a_video_is_predicted_as_if_it_were_alone(more, shape, batch_size):
    lengths = [shape.length + n for n in more]
    X = numbered(sum(lengths))
    turns = [(turn, label) for label, n in enumerate(lengths) for turn in range(n)]
    videos = Videos.from_groups(X, [label for _, label in sorted(turns)])
    net = made_net(shape, batch_size, n_layers=0)

    def predicted(X, rows):
        frames = Rows(X, Converter(), keep=False)
        return torch.cat([b.predicted for b in predictions(net, frames, rows, shape)])

    for rows in videos.rows:
        alone = predicted(X[rows], np.arange(len(rows)))
        assert_array_equal(predicted(X, rows), alone)
