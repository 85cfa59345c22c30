"""Frames as rows, the videos that they make, and clips of these."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skad._video import ClipShape, Videos, with_ends

SHAPES = st.builds(
    ClipShape, st.integers(1, 3), st.sampled_from([1, 3]), stride=st.integers(1, 4)
)
LABELS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=40)


def numbered(n_frames):
    """Return frames that say which they are."""
    return np.arange(2.0 * n_frames).reshape(-1, 2)


def interleaved(lengths):
    """Return a label for each frame of videos whose frames take turns."""
    turns = [(turn, label) for label, n in enumerate(lengths) for turn in range(n)]
    return [label for _, label in sorted(turns)]


def test_the_clip_of_the_paper_has_nine_of_25_frames():
    shape = ClipShape(n_context=3, n_target=3, stride=3)
    assert (shape.n_frames, shape.length) == (9, 25)
    assert_array_equal(shape.offsets, [0, 3, 6, 9, 12, 15, 18, 21, 24])
    assert shape.margin == 12


@given(SHAPES)
def test_a_clip_has_as_many_frames_on_each_side_of_its_middle(shape):
    offsets = shape.offsets.tolist()
    assert offsets == list(range(0, shape.length, shape.stride))
    before, after = (
        [o for o in offsets if o < shape.margin],
        [o for o in offsets if o > shape.margin],
    )
    assert len(before) == len(after) == shape.n_context + shape.n_target // 2
    assert before + [shape.margin] + after == offsets


@given(SHAPES, st.integers(0, 20))
def test_a_clip_that_fits_stays_as_it_is(shape, n_more):
    assert ClipShape.fitting(*shape, shape.length + n_more) == shape


@given(SHAPES, st.integers(1, 40))
def test_a_clip_that_is_too_long_gets_the_largest_stride_that_fits(shape, n_frames):
    assume(shape.length > n_frames and shape.stride > 1)
    strides = range(1, shape.stride)
    fitting = [s for s in strides if shape._replace(stride=s).length <= n_frames]
    with pytest.warns(UserWarning, match=rf"stride \({shape.stride}\)") as caught:
        found = ClipShape.fitting(*shape, n_frames)
    assert found == shape._replace(stride=max(fitting, default=1))
    assert f"a stride of {found.stride} is used" in str(caught[0].message)


def test_no_stride_is_warned_of_where_it_cannot_be_less():
    shape = ClipShape(3, 3, 1)
    assert ClipShape.fitting(*shape, 2) == shape


@given(LABELS)
def test_the_frames_of_a_video_may_lie_between_those_of_others(labels):
    videos = Videos.from_groups(numbered(len(labels)), labels)
    expected = [np.flatnonzero(np.array(labels) == a) for a in dict.fromkeys(labels)]
    assert len(videos.rows) == len(expected)
    for rows, of_label in zip(videos.rows, expected, strict=True):
        assert_array_equal(rows, of_label)
    assert videos.longest == max(map(len, expected))
    assert videos.added == [0] * len(expected)


def test_without_groups_all_frames_are_of_one_video():
    (rows,) = Videos.from_groups(numbered(5), None).rows
    assert_array_equal(rows, np.arange(5))


def test_videos_that_are_long_enough_are_not_padded():
    videos = Videos.from_groups(numbered(6), [0, 1, 0, 1, 0, 1])
    assert videos.padded(3) is videos


def test_the_first_frame_of_a_short_video_is_repeated():
    X = numbered(6)
    videos = Videos.from_groups(X, [0, 1, 0, 0, 1, 0])
    with pytest.warns(UserWarning, match=r"1 of 2 videos .* a clip \(4\)"):
        padded = videos.padded(4)
    assert_array_equal(padded.rows[0], [0, 2, 3, 5])
    assert_array_equal(padded.rows[1], [1, 1, 1, 4])
    assert padded.added == [0, 2]
    assert padded.X is X
    assert_array_equal(videos.rows[1], [1, 4])


@given(SHAPES, st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(1, 60))
def test_clips_are_evenly_spaced_and_of_one_video_each(shape, more, max_clips):
    lengths = [shape.length + n for n in more]
    videos = Videos.from_groups(numbered(sum(lengths)), interleaved(lengths))
    frames, numbers = videos.clips(shape, max_clips)
    every = [
        (video, rows[start : start + shape.length : shape.stride].tolist())
        for video, rows in enumerate(videos.rows)
        for start in range(len(rows) - shape.length + 1)
    ]
    pairs = zip(numbers.tolist(), frames.tolist(), strict=True)
    chosen = [every.index(pair) for pair in pairs]
    assert len(chosen) == min(max_clips, len(every))
    steps = set(np.diff(chosen).tolist())
    assert not steps or (min(steps) >= 1 and max(steps) - min(steps) <= 1)
    assert chosen[0] == 0
    if len(chosen) > 1:
        assert chosen[-1] == len(every) - 1


def test_clips_of_two_videos():
    videos = Videos.from_groups(numbered(9), [0, 1, 0, 1, 0, 1, 0, 0, 0])
    frames, numbers = videos.clips(ClipShape(1, 1, 1), 100)
    assert_array_equal(frames, [[0, 2, 4], [2, 4, 6], [4, 6, 7], [6, 7, 8], [1, 3, 5]])
    assert_array_equal(numbers, [0, 0, 0, 0, 1])
    frames, numbers = videos.clips(ClipShape(1, 1, 1), 2)
    assert_array_equal(frames, [[0, 2, 4], [1, 3, 5]])
    assert_array_equal(numbers, [0, 1])


@given(LABELS)
def test_restoring_is_the_inverse_of_grouping(labels):
    videos = Videos.from_groups(numbered(len(labels)), labels)
    restored = videos.restored(videos.X[rows] for rows in videos.rows)
    assert_array_equal(restored, videos.X)


@given(st.integers(1, 5), st.integers(1, 5))
def test_restoring_leaves_out_frames_that_were_added(first, second):
    videos = Videos.from_groups(
        numbered(first + second + 6), interleaved([first, second, 6])
    )
    with pytest.warns(UserWarning, match="2 of 3 videos"):
        padded = videos.padded(6)
    assert [len(rows) for rows in padded.rows] == [6, 6, 6]
    # What is said of an added frame differs from what is said of the first one.
    values = [videos.X[rows, 0] for rows in padded.rows]
    for of_video, n_added in zip(values, padded.added, strict=True):
        of_video[:n_added] = np.nan
    assert_array_equal(padded.restored(values), videos.X[:, 0])


def test_what_is_restored_may_have_any_shape():
    videos = Videos.from_groups(numbered(4), [0, 1, 0, 1])
    maps = np.arange(24.0).reshape(4, 2, 3)
    assert_array_equal(videos.restored([maps[::2], maps[1::2]]), maps)


@given(st.integers(1, 9), st.integers(0, 5))
def test_frames_at_the_ends_get_the_nearest_value(n_values, n_frames):
    values = np.arange(2.0 * n_values).reshape(-1, 2)
    found = with_ends(values, n_frames)
    places = np.arange(n_values + 2 * n_frames)
    distances = abs(places[:, None] - (n_frames + np.arange(n_values)))
    assert_array_equal(found, values[distances.argmin(axis=1)])
