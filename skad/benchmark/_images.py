"""Images in folders, as MVTec AD lays them out, and videos in folders beside labels."""

import numpy as np

from skad.datasets import load_frames
from skad.datasets._frames import IMAGES, image_files
from skad.datasets._npz import by_name

# The folder of images without a defect; the others are named after their defects.
_GOOD = "good"

_VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")


def read_images(folder, kind, size):
    """Read images to fit on and images to score, with masks where there are some."""
    if kind == "zero-shot":
        return _read_unseen(folder, size)
    categories = _categories(folder)
    train = [load_frames(path, size=size, grey=False) for path in _good(categories)]
    images, y, masks = _labelled(categories, size)
    arrays = _parts(_joined(train), images)
    if kind == "surfaces":
        names = [category.name for category in categories]
        arrays["y_train"] = np.repeat(names, [len(images) for images in train])
    return {**arrays, "y_test": y, "masks_test": masks}


def _read_unseen(folder, size):
    """Labelled images of some categories to fit on, and those of others to score."""
    train, y_train, masks_train = _labelled(_categories(folder / "train"), size)
    test, y_test, masks_test = _labelled(_categories(folder / "test"), size)
    labels = {"y_train": y_train, "y_test": y_test}
    masks = {"masks_train": masks_train, "masks_test": masks_test}
    return _parts(train, test) | labels | masks


def read_videos(folder, size):
    """Read videos to fit on, and videos to score with a label for each frame."""
    train, test = (
        {
            name: load_frames(path, size=size, grey=False)
            for name, path in _videos(folder / part).items()
        }
        for part in ("train", "test")
    )
    arrays = _parts(*(_joined(videos.values()) for videos in (train, test)))
    for part, videos in (("train", train), ("test", test)):
        lengths = list(map(len, videos.values()))
        arrays[f"groups_{part}"] = np.repeat(np.arange(len(videos)), lengths)
    labels = [
        _frame_labels(folder / "labels", name, len(video))
        for name, video in test.items()
    ]
    return {**arrays, "y_test": np.concatenate(labels)}


def _categories(folder):
    """The folders of categories: this one if it has images to score, or those in it."""
    if (folder / "test").is_dir():
        return [folder]
    found = [path for path in _folders(folder) if (path / "test").is_dir()]
    if not found:
        raise ValueError(
            f"{folder}: neither it nor a folder in it has a folder test of images to "
            "score."
        )
    return found


def _videos(folder):
    """The videos of a folder by name."""
    videos = {}
    for path in _children(folder):
        if not path.is_dir() and path.suffix.lower() not in _VIDEOS:
            continue
        name = path.name if path.is_dir() else path.stem
        if name in videos:
            raise ValueError(f"{path} and {videos[name]} have one name.")
        videos[name] = path
    if not videos:
        raise ValueError(
            f"{folder}: has no videos; expected a folder of frames for each, or files "
            f"that end with one of {', '.join(_VIDEOS)}."
        )
    return videos


def _good(categories):
    for category in categories:
        folder = category / "train"
        names = [path.name for path in _folders(folder)]
        if names:
            _check_no_images(folder)
        if names not in ([], [_GOOD]):
            raise ValueError(
                f"{folder}: holds {names}; expected images, or one folder {_GOOD!r} of "
                "them."
            )
        yield folder.joinpath(*names)


def _labelled(categories, size):
    """Images of all categories, -1 for those with a defect, and masks of it or None."""
    images, labels, masks = [], [], []
    for category in categories:
        truth = category / "ground_truth"
        _check_no_images(category / "test")
        for path in _folders(category / "test"):
            images.append(load_frames(path, size=size, grey=False))
            is_good, shape = path.name == _GOOD, images[-1].shape
            labels.append(np.full(shape[0], 1 if is_good else -1))
            if is_good:
                masks.append(np.zeros(shape[:3], dtype=bool))
            elif truth.is_dir():
                masks.append(_read_masks(truth / path.name, path, size))
            else:
                masks.append(None)
    known = [mask is not None for mask in masks]
    if not all(known) and any((c / "ground_truth").is_dir() for c in categories):
        raise ValueError(
            f"{categories[0].parent}: some categories have a folder ground_truth, and "
            "others have none."
        )
    return (
        _joined(images),
        np.concatenate(labels),
        _joined(masks) if all(known) else None,
    )


def _read_masks(folder, images, size):
    """Where the images of a folder are anomalous, in their order."""
    names = [path.stem for path in image_files(images)]
    masks = load_frames(folder, size=size)
    masks_of = [path.stem.removesuffix("_mask") for path in image_files(folder)]
    if odd := sorted(set(names) ^ set(masks_of)):
        raise ValueError(
            f"{folder}: expected a mask for each image of {images}, of its name or "
            f"with _mask behind it; {odd[0]!r} is only in one of the folders."
        )
    if not len(set(names)) == len(names) == len(masks_of):
        raise ValueError(f"{images} or {folder}: several images have one name.")
    masks = masks[[masks_of.index(name) for name in names]]
    # A defect is 255, or any other number but 0 where none is as bright.
    brightest = masks.max(axis=(1, 2), keepdims=True)
    return masks > np.where(brightest > 127, 127, 0)


def _frame_labels(folder, name, n_frames):
    """The label of each frame of a video."""
    paths = [folder / f"{name}{ending}" for ending in (".npy", ".txt")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise ValueError(f"{paths[0]}: missing; expected it, or {paths[1].name}.")
    try:
        is_text = path.suffix == ".txt"
        labels = path.read_text().split() if is_text else np.load(path)
        labels = np.asarray(labels, dtype=float)
    except (EOFError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if labels.shape != (n_frames,):
        raise ValueError(f"{path}: has shape {labels.shape} for {n_frames} frames.")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{path}: has values besides 1, for frames that are anomalous, and 0."
        )
    return labels == 1


def _children(folder):
    if not folder.is_dir():
        raise ValueError(f"{folder}: is not a folder.")
    found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if not found:
        raise ValueError(f"{folder}: is empty.")
    return sorted(found, key=by_name)


def _folders(folder):
    return [path for path in _children(folder) if path.is_dir()]


def _check_no_images(folder):
    """Refuse images beside folders of them, which would not be read."""
    images = [path for path in _children(folder) if path.suffix.lower() in IMAGES]
    if images or not _folders(folder):
        raise ValueError(
            f"{folder}: expected a folder {_GOOD!r} and one for each kind of defect"
            f"{f', not images such as {images[0].name}' if images else ''}."
        )


def _joined(arrays):
    arrays = list(arrays)
    shapes = sorted({array.shape[1:3] for array in arrays})
    if len(shapes) > 1:
        raise ValueError(
            f"height and width differ, {shapes[0]} and {shapes[-1]}; pass image_size."
        )
    return np.concatenate(arrays)


def _parts(train, test):
    """Both parts, without colour if none of them has any."""
    _joined([train[:1], test[:1]])
    red, *others = range(3)
    if all(
        np.array_equal(part[..., red], part[..., other])
        for part in (train, test)
        for other in others
    ):
        # Copies, so that the other channels do not stay in memory.
        train, test = train[..., red].copy(), test[..., red].copy()
    return {"X_train": train, "X_test": test}
