"""Frames of videos, from a video file or from a folder of images."""

import io
import os
from itertools import chain, islice
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils.validation import check_scalar

from skad.datasets._npz import by_name

IMAGES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff")


def load_frames(path, *, size=None, grey=True, step=1, out=None):
    """Load the frames of a video file or of a folder of images.

    It needs PyAV, which the extra ``video`` installs and which brings the decoders of
    FFmpeg.

    Parameters
    ----------
    path : str or path-like
        A video, or a folder with one image per frame: bmp, jpeg, pgm, png, ppm or tiff.
        Images are taken in the order of their names, numbers by value: ``frame9.tif``
        before ``frame10.tif``. Other files, hidden ones and folders in it are ignored.

    size : tuple of two ints, default=None
        Height and width that frames are resized to; a smaller pixel is the mean of
        those that it replaces. If None, frames stay as they are, and all must have one
        size.

    grey : bool, default=True
        Whether frames are turned to grey; they have three channels for red, green and
        blue otherwise.

    step : int, default=1
        Every `step`-th frame is kept, from the first one on.

    out : str or path-like, default=None
        A ``.npy`` file that frames are written to one by one, for videos that do not
        fit in memory. It is there, or replaced, only once it is complete.

    Returns
    -------
    frames : ndarray of shape (n_frames, height, width)
        The frames, as uint8; without `grey`, of shape (n_frames, height, width, 3).
        With `out`, a memory map of that file that cannot be written to.

    Raises
    ------
    ImportError
        If PyAV is missing.

    FileNotFoundError
        If `path` does not exist, or the folder of `out`.

    ValueError
        If a file cannot be decoded, has no video or frames of another size than those
        before it, if a folder has no images, or if a parameter is invalid.

    See Also
    --------
    make_moving_digits : Generated videos with anomalies.

    Notes
    -----
    All frames of a video are decoded, whatever the `step`. A rotation that a file asks
    its player for is not carried out.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skad.datasets import load_frames
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i in range(12):
    ...         image = b"P5 4 3 255 " + bytes([20 * i] * 12)
    ...         _ = Path(folder, f"frame{i}.pgm").write_bytes(image)
    ...     frames = load_frames(folder)
    >>> frames.shape
    (12, 3, 4)
    >>> frames[:, 0, 0].tolist()
    [0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220]
    """
    check_scalar(step, "step", Integral, min_val=1)
    height, width = _check_size(size)
    layout = {"height": height, "width": width, "format": "gray" if grey else "rgb24"}
    frames = _arrays(_check_path(path), step, layout)
    if out is not None:
        return _to_file(frames, _check_out(out))
    file = io.BytesIO()
    shape = _append(frames, file)
    return np.frombuffer(file.getbuffer(), dtype=np.uint8).reshape(shape)


def _check_size(size):
    if size is None:
        return None, None
    sides = size if isinstance(size, tuple | list) else ()
    if len(sides) != 2 or not all(isinstance(n, Integral) and n > 0 for n in sides):
        raise ValueError(
            f"size is {size!r}; expected height and width, two positive integers, or "
            "None."
        )
    return map(int, sides)


def _check_path(path):
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path={str(path)!r} does not exist.")
    return path


def _check_out(out):
    out = Path(out)
    if out.suffix != ".npy":
        raise ValueError(f"out={str(out)!r}; expected a name that ends with .npy.")
    if out.is_dir():
        raise ValueError(f"out={str(out)!r} is a folder; expected the name of a file.")
    if not out.parent.is_dir():
        raise FileNotFoundError(
            f"out={str(out)!r}: its folder {str(out.parent)!r} does not exist."
        )
    return out


def _arrays(path, step, layout):
    """Yield every `step`-th frame as an array; all are of one shape."""
    shape = None
    for file, frame in _decoded(path, step):
        array = frame.to_ndarray(interpolation="AREA", **layout)
        if shape is not None and array.shape != shape:
            raise ValueError(
                f"{file}: a frame has height and width {array.shape[:2]}, those before "
                f"it {shape[:2]}; pass a size to resize them."
            )
        shape = array.shape
        yield array


def _decoded(path, step):
    """Yield every `step`-th frame with the file that it is from."""
    if path.is_dir():
        # Those between are not even opened.
        files, step = image_files(path)[::step], 1
    else:
        files = [path]
    for file in files:
        for frame in islice(_decode(file), 0, None, step):
            yield file, frame


def image_files(folder):
    """The images of a folder, in the order in which load_frames takes them."""
    files = [
        file
        for file in sorted(folder.iterdir(), key=by_name)
        if file.suffix.lower() in IMAGES
        # Hidden files may be what a Mac knows about an image, under its name.
        and not file.name.startswith(".")
        and file.is_file()
    ]
    if not files:
        raise ValueError(
            f"path={str(folder)!r} has no images; expected files that end with one of "
            f"{', '.join(IMAGES)}."
        )
    return files


def _decode(path):
    """Yield the frames of a file."""
    av = _av()
    frame = None
    try:
        # As an open file: a name may look like a pattern of names or an address.
        with path.open("rb") as file, av.open(file) as container:
            if not container.streams.video:
                raise ValueError(f"{path}: has no video stream.")
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield frame
    except av.FFmpegError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}.") from error
    if frame is None:
        raise ValueError(f"{path}: has no frames.")


def _av():
    try:
        import av
    except ImportError as error:
        raise ImportError(
            'load_frames needs PyAV, which is not installed: pip install "skad[video]"'
        ) from error
    return av


def _append(arrays, file):
    """Write arrays of one shape to a file; return the shape of them all."""
    n_arrays = 0
    for array in arrays:
        file.write(array.tobytes())
        n_arrays += 1
    return (n_arrays, *array.shape)


def _to_file(arrays, out):
    """Write arrays to a ``.npy`` file as they come, and map it."""
    first = next(arrays)
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            _write_header(file, (0, *first.shape))
            shape = _append(chain([first], arrays), file)
            # NumPy leaves room for the first axis to grow: the same number of bytes.
            file.seek(0)
            _write_header(file, shape)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return np.load(out, mmap_mode="r")


def _write_header(file, shape):
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
