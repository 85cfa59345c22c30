"""Frames of videos and of folders of images, as they were written."""

import sys
import tracemalloc
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

av = pytest.importorskip("av")
image_files = pytest.importorskip("PIL.Image")

from skad.datasets import load_frames  # noqa: E402

HEIGHT, WIDTH = 18, 27
# How PyAV names the layouts of arrays that these formats are made from.
ARRAYS = {"gray": "gray", "bgr0": "rgb24", "yuv420p": "rgb24"}


def frames_of(n_frames, *channels, seed=0):
    shape = (n_frames, HEIGHT, WIDTH, *channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_video(path, frames, codec="ffv1", pixels="gray"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        container.start_encoding()
        for array in frames:
            frame = av.VideoFrame.from_ndarray(array, format=ARRAYS[pixels])
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def write_image(path, frame, **options):
    image_files.fromarray(frame).save(path, **options)
    return path


def write_images(folder, frames, name="frame{}.tif"):
    for i, frame in enumerate(frames):
        write_image(folder / name.format(i), frame)
    return folder


@pytest.fixture(params=["video", "images"])
def write(request, tmp_path):
    """Write frames to a video or to a folder of images, and return its path."""

    def write(frames):
        if request.param == "video":
            return write_video(tmp_path / "video.mkv", frames)
        folder = tmp_path / "video"
        folder.mkdir()
        return write_images(folder, frames)

    return write


def block_means(frames, *, by):
    n_frames, height, width = frames.shape[:3]
    blocks = frames.reshape(n_frames, height // by, by, width // by, by, -1)
    return blocks.mean(axis=(2, 4)).reshape(
        n_frames, height // by, width // by, *frames.shape[3:]
    )


@pytest.mark.parametrize("as_text", [True, False])
def test_frames_are_what_was_written(write, as_text):
    frames = frames_of(12)
    path = write(frames)
    loaded = load_frames(str(path) if as_text else path)
    assert loaded.dtype == np.uint8
    assert loaded.flags.writeable
    assert_array_equal(loaded, frames)


@pytest.mark.parametrize("extension", ["mkv", "avi"])
def test_colours_of_a_video_are_what_was_written(tmp_path, extension):
    frames = frames_of(4, 3)
    path = write_video(tmp_path / f"video.{extension}", frames, pixels="bgr0")
    assert_array_equal(load_frames(path, grey=False), frames)


@pytest.mark.parametrize("extension", ["bmp", "PNG", "ppm", "tif", "tiff"])
def test_colours_of_images_are_what_was_written(tmp_path, extension):
    frames = frames_of(3, 3)
    write_images(tmp_path, frames, "{}." + extension)
    assert_array_equal(load_frames(tmp_path, grey=False), frames)
    # What each colour counts for in grey television.
    grey = frames @ [0.299, 0.587, 0.114]
    assert_allclose(load_frames(tmp_path), grey, rtol=0, atol=1.01)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_deflate"])
def test_tiffs_of_all_sorts_are_read(tmp_path, compression):
    frame = frames_of(1)[0]
    write_image(tmp_path / "001.tif", frame, compression=compression)
    assert_array_equal(load_frames(tmp_path), [frame])
    assert_array_equal(load_frames(tmp_path, grey=False), [np.dstack([frame] * 3)])


@pytest.mark.parametrize("extension", ["jpg", "jpeg"])
def test_images_with_loss_are_about_what_was_written(tmp_path, extension):
    ramp = np.linspace(0, 255, 64, dtype=np.uint8) * np.ones((32, 1), dtype=np.uint8)
    write_image(tmp_path / f"a.{extension}", ramp, quality=95)
    write_image(tmp_path / f"b.{extension}", np.dstack([ramp] * 3), quality=95)
    loaded = load_frames(tmp_path)
    assert_allclose(loaded, [ramp, ramp], rtol=0, atol=4)
    # From black to white, not to the narrower range of television.
    assert loaded.min() <= 2
    assert loaded.max() >= 253


def test_a_video_with_loss_is_about_what_was_written(tmp_path):
    # Waves that move on, from black to white.
    t, row, column = np.indices((20, 32, 48))
    X = np.clip(130 + 140 * np.sin((row + column - t) / 8), 0, 255).astype(np.uint8)
    colours = np.stack([X] * 3, axis=-1)
    path = write_video(tmp_path / "video.mp4", colours, "mpeg4", "yuv420p")
    loaded = load_frames(path)
    assert loaded.shape == X.shape
    assert np.abs(loaded - X.astype(int)).mean() < 6
    assert (loaded.min(), loaded.max()) == (0, 255)
    colours = load_frames(path, grey=False)
    assert_allclose(colours.mean(axis=-1), loaded, rtol=0, atol=4)


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("by", [2, 4])
def test_a_smaller_pixel_is_the_mean_of_those_it_replaces(tmp_path, grey, by):
    channels = () if grey else (3,)
    rng = np.random.default_rng(by)
    frames = rng.integers(0, 256, (3, 32, 48, *channels), dtype=np.uint8)
    write_images(tmp_path, frames)
    loaded = load_frames(tmp_path, size=(32 // by, 48 // by), grey=grey)
    assert_allclose(loaded, block_means(frames, by=by), rtol=0, atol=1.5)


def test_size_is_height_and_width(write):
    path = write(frames_of(2))
    assert load_frames(path, size=(7, 40)).shape == (2, 7, 40)
    assert load_frames(path, size=[7, 40], grey=False).shape == (2, 7, 40, 3)
    assert_array_equal(load_frames(path, size=(HEIGHT, WIDTH)), frames_of(2))


@pytest.mark.parametrize("step", [1, 2, 5, 11, 12, 100])
def test_every_step_th_frame_is_kept(write, step):
    assert_array_equal(
        load_frames(write(frames_of(12)), step=step), frames_of(12)[::step]
    )


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("n_frames", [1, 101])
def test_frames_in_a_file_are_those_in_memory(write, tmp_path, n_frames, grey):
    path, out = write(frames_of(n_frames)), tmp_path / "frames.npy"
    expected = load_frames(path, grey=grey)
    loaded = load_frames(path, grey=grey, out=str(out))
    assert isinstance(loaded, np.memmap)
    assert not loaded.flags.writeable
    assert_array_equal(loaded, expected)
    # A whole file, as NumPy writes it but for the space in its header.
    assert_array_equal(np.load(out), expected)
    assert out.stat().st_size == loaded.offset + expected.nbytes
    assert not list(tmp_path.glob("*.part"))


def test_frames_on_their_way_to_a_file_are_not_held_all_at_once(tmp_path):
    path = write_video(tmp_path / "video.mkv", np.zeros((256, 64, 64), np.uint8))
    peaks = {}
    for out in (None, tmp_path / "frames.npy"):
        tracemalloc.start()
        assert load_frames(path, out=out).shape == (256, 64, 64)
        peaks[out is None] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[True] > 256 * 64 * 64 > 4 * peaks[False]


def test_an_interrupted_run_leaves_what_was_there(tmp_path):
    folder, out = tmp_path / "images", tmp_path / "frames.npy"
    folder.mkdir()
    write_images(folder, frames_of(3))
    first = load_frames(folder, out=out)
    (folder / "frame3.tif").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"frame3\.tif: cannot be read"):
        load_frames(folder, out=out)
    assert_array_equal(np.load(out), first)
    with pytest.raises(ValueError, match=r"frame3\.tif: cannot be read"):
        load_frames(folder, out=tmp_path / "other.npy")
    assert {file.name for file in tmp_path.iterdir()} == {"images", "frames.npy"}
    # A map of the file that was there stays as it is when the file is replaced.
    (folder / "frame3.tif").unlink()
    write_images(folder, frames_of(2, seed=1))
    assert_array_equal(load_frames(folder, out=out)[:2], frames_of(2, seed=1))
    assert_array_equal(first, frames_of(3))


@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=6, unique=True),
    st.sampled_from(["{}.pgm", "frame{}.pgm", "a2_{}_b10.PGM"]),
)
def test_images_come_in_the_order_of_their_numbers(tmp_path_factory, numbers, name):
    folder = tmp_path_factory.mktemp("images")
    for number in numbers:
        pixels = number.to_bytes(2, "big")
        (folder / name.format(number)).write_bytes(b"P5 2 1 255 " + pixels)
    high, low = load_frames(folder)[:, 0].T.astype(int)
    assert_array_equal(256 * high + low, sorted(numbers))


def test_what_is_no_image_is_ignored(tmp_path):
    frames = frames_of(2)
    write_images(tmp_path, frames)
    for name in ("Thumbs.db", "readme.txt", "._frame0.tif", ".tif", "frame.npy"):
        (tmp_path / name).write_bytes(b"something else")
    (tmp_path / "masks.tif").mkdir()
    assert_array_equal(load_frames(tmp_path), frames)


def test_a_name_is_no_pattern(tmp_path):
    frames = frames_of(3)
    write_images(tmp_path, frames[1:], "frame{}.png")
    write_image(tmp_path / "frame%d.png", frames[0])
    assert_array_equal(load_frames(tmp_path / "frame%d.png"), frames[:1])
    assert_array_equal(load_frames(tmp_path), np.roll(frames, -1, axis=0))


def test_images_of_other_sizes_are_refused_by_name(tmp_path):
    write_images(tmp_path, frames_of(2))
    write_image(tmp_path / "frame10.tif", frames_of(1)[0, :, 1:])
    message = r"frame10\.tif: a frame has height and width \(18, 26\), those before it"
    with pytest.raises(ValueError, match=message + r" \(18, 27\); pass a size"):
        load_frames(tmp_path)
    assert load_frames(tmp_path, size=(9, 9)).shape == (3, 9, 9)
    assert load_frames(tmp_path, step=3).shape == (1, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"path": "none"}, FileNotFoundError, "none' does not exist"),
        ({"out": "none/a.npy"}, FileNotFoundError, "none' does not exist"),
        ({"out": "a.avi"}, ValueError, r"a\.avi'; expected a name that ends with"),
        ({"step": 0}, ValueError, "step == 0, must be >= 1"),
        ({"step": 1.5}, TypeError, "step must be an instance of int"),
        ({"size": 32}, ValueError, "size is 32; expected height and width"),
        ({"size": (32,)}, ValueError, r"size is \(32,\)"),
        ({"size": (0, 32)}, ValueError, r"size is \(0, 32\)"),
        ({"size": (32, 0.5)}, ValueError, r"size is \(32, 0.5\)"),
        ({"size": (32, 32, 3)}, ValueError, r"size is \(32, 32, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, params, error, message):
    paths = {k: tmp_path / v for k, v in params.items() if k in ("path", "out")}
    path = write_images(tmp_path, frames_of(1))
    with pytest.raises(error, match=message):
        load_frames(**{"path": path, **params, **paths})


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no images; expected files that end"):
        load_frames(tmp_path)
    (tmp_path / "readme.txt").touch()
    with pytest.raises(ValueError, match=r"\.tif, \.tiff"):
        load_frames(tmp_path, out=tmp_path / "frames.npy")


def test_a_file_without_video_is_refused(tmp_path):
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    with pytest.raises(ValueError, match=r"sound\.wav: has no video stream"):
        load_frames(tmp_path / "sound.wav")


def test_a_file_that_is_something_else_or_damaged_is_refused(tmp_path):
    (tmp_path / "video.mp4").write_bytes(b"something else" * 100)
    with pytest.raises(ValueError, match=r"video\.mp4: cannot be read: Invalid data"):
        load_frames(tmp_path / "video.mp4")
    image = write_image(tmp_path / "image.png", frames_of(1)[0])
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"image\.png: cannot be read: Invalid data"):
        load_frames(tmp_path)


def test_a_video_without_frames_is_refused(tmp_path):
    path = write_video(tmp_path / "video.avi", frames_of(1)[:0])
    with pytest.raises(ValueError, match=r"video\.avi: has no frames"):
        load_frames(path)


def test_a_missing_library_is_named_with_what_brings_it(tmp_path, monkeypatch):
    path = write_images(tmp_path, frames_of(1))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r'pip install "skad\[video\]"'):
        load_frames(path)
