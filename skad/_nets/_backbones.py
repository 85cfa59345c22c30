"""Pretrained nets that stay as they are, as pyramids of feature maps."""

import inspect
import math
import re
from collections.abc import Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from skad._nets._resnet import resnet_from
from skad._nets._vision_models import VisionPyramid, is_vision_model, vision_pyramid
from skad._nets._weights import read_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar")


_LOCK = Lock()
# In how many passes modules are that are to be in training mode again afterwards.
_BORROWED = WeakKeyDictionary()


class Level(NamedTuple):
    """What the maps of a level are like.

    Parameters
    ----------
    n_channels : int
        Number of channels.

    size : tuple of two ints
        Height and width.
    """

    n_channels: int
    size: tuple


class Teacher(nn.Module):
    """A net that nothing changes any more, and whose maps others learn from.

    It is always in evaluation mode, and no gradients go through it.

    Parameters
    ----------
    pyramid : nn.Module
        A net that takes images of shape (n_samples, 3, height, width) and returns a
        list, a tuple or a dict of maps of shape (n_samples, n_channels, height, width),
        fine ones first, or a single map.

    mean, std : sequence of three floats, default those of ImageNet
        What pixels between 0 and 1 are normalised with.

    shared : bool, default=False
        Whether others use the net as well. It is then in evaluation mode for the time
        of a pass only, and its parameters may still require gradients.
    """

    def __init__(self, pyramid, mean=IMAGENET_MEAN, std=IMAGENET_STD, *, shared=False):
        super().__init__()
        self.pyramid = pyramid if shared else pyramid.requires_grad_(False).eval()
        self.shared = shared
        for name, values in (("mean", mean), ("std", std)):
            buffer = torch.as_tensor(values, dtype=torch.float32).reshape(3, 1, 1)
            self.register_buffer(name, buffer.clone())
        self.training = False

    def train(self, mode=True):
        """Stay in evaluation mode, whatever this is a part of."""
        return self

    @torch.no_grad()
    def forward(self, images):
        """Return the maps of images.

        Parameters
        ----------
        images : tensor of shape (n_samples, 1 or 3, height, width)
            Images, in floats from 0 to 1.

        Returns
        -------
        maps : list of tensor of shape (n_samples, n_channels, height, width)
            The maps, fine ones first.
        """
        if images.shape[1] not in (1, 3):
            raise ValueError(
                f"X holds images of {images.shape[1]} channels; a backbone takes "
                "grey images, of one channel, or coloured ones of three."
            )
        images = (images - self.mean) / self.std
        if not self.shared:
            return _maps(self.pyramid(images), len(images))
        with _borrowed(self.pyramid):
            return _maps(self.pyramid(images), len(images))

    def describe(self, n_channels, size):
        """Tell what the maps of an image are like, after a try.

        Parameters
        ----------
        n_channels : int
            Number of channels of the image.

        size : tuple of two ints
            Height and width of the image.

        Returns
        -------
        levels : list of Level
            The number of channels and the size of each map.
        """
        image = torch.zeros((1, n_channels, *size), device=self.mean.device)
        try:
            maps = self(image)
        except RuntimeError as error:
            raise ValueError(
                f"backbone cannot take images of {size[0]} x {size[1]} pixels: {error}"
            ) from error
        levels = [Level(part.shape[1], tuple(part.shape[2:])) for part in maps]
        sizes = [level.size for level in levels]
        if any(map(_grows, sizes, sizes[1:])):
            raise ValueError(
                f"backbone returned maps of the sizes {_listed(sizes)}; expected fine "
                "ones first."
            )
        return levels


def _grows(size, following):
    return following[0] > size[0] or following[1] > size[1]


def _maps(output, n_samples):
    """Return what a net gave as a list of maps, or say what is wrong with it."""
    if isinstance(output, Mapping):
        maps = list(output.values())
    elif isinstance(output, (list, tuple)):
        maps = list(output)
    else:
        maps = [output]
    if not maps or not all(_is_map(part, n_samples) for part in maps):
        raise ValueError(
            f"backbone returned {_listed(map(_described, maps)) or 'nothing'} for "
            f"{n_samples} images; expected maps of shape ({n_samples}, n_channels, "
            "height, width)."
        )
    return maps


def _is_map(part, n_samples):
    if not isinstance(part, torch.Tensor) or not part.is_floating_point():
        return False
    return part.ndim == 4 and len(part) == n_samples and part.numel() > 0


def _described(part):
    if not isinstance(part, torch.Tensor):
        return f"an object of type {type(part).__name__}"
    return f"a tensor of shape {tuple(part.shape)} and type {part.dtype}"


def _listed(items):
    return ", ".join(map(str, items))


@contextmanager
def _borrowed(module):
    """Put a module of someone else into evaluation mode, and back afterwards.

    Several threads may be in it, or in parts of it, at once.
    """
    with _LOCK:
        # Each part by itself: some may be in evaluation mode anyway.
        parts = [p for p in module.modules() if p.training or p in _BORROWED]
        for part in parts:
            _BORROWED[part] = _BORROWED.get(part, 0) + 1
            part.training = False
    try:
        yield
    finally:
        with _LOCK:
            for part in parts:
                _BORROWED[part] -= 1
                if not _BORROWED[part]:
                    del _BORROWED[part]
                    part.training = True


def load_backbone(backbone):
    """Make the teacher that the parameter ``backbone`` stands for.

    Parameters
    ----------
    backbone : nn.Module, callable, str or path-like
        A net, see `Teacher`; a function that makes one; the path of a file with the
        weights of a ResNet; or the directory of a vision model of Hugging Face, or
        the name of one on their hub. Attributes ``mean`` and ``std`` of a net are what
        its images are normalised with.

    Returns
    -------
    teacher : Teacher
        The teacher.

    Raises
    ------
    ImportError
        If a package is missing that reads such weights.

    TypeError, ValueError
        If nothing can be made of the parameter: why.
    """
    if isinstance(backbone, nn.Module):
        return _teacher_of(backbone)
    if isinstance(backbone, (str, PathLike)):
        return _teacher_at(backbone)
    if callable(backbone):
        return _teacher_of(made_by(backbone))
    raise TypeError(
        f"backbone is {backbone!r}; expected a module, a function that makes one, a "
        "path or a name."
    )


def made_by(function):
    """Return the module that a function makes, which the parameter ``backbone`` is."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"backbone {function!r} cannot be called without arguments: {error}."
        ) from error
    module = function()
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"backbone {function!r} made {_described(module)}; expected an nn.Module."
        )
    return module


def _teacher_of(module):
    scale = {name: getattr(module, name, None) for name in ("mean", "std")}
    # Not the functions of this name that a module may have.
    given = {name: values for name, values in scale.items() if not callable(values)}
    pyramid = VisionPyramid(module) if is_vision_model(module) else module
    return Teacher(pyramid, **checked_scale(given), shared=True)


def checked_scale(given, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    """Return mean and standard deviation of the colours, with those that are given."""
    scale = {"mean": mean, "std": std}
    for name, values in given.items():
        if values is not None:
            scale[name] = _channel_values(values, name)
    return scale


def _channel_values(values, name):
    """Return three floats, as a mean or a standard deviation."""
    try:
        found = torch.as_tensor(values, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        found = torch.empty(0)
    lowest = 0 if name == "std" else -math.inf
    valid = found.isfinite() & (found > lowest)
    if len(found) != 3 or not valid.all():
        kind = "positive numbers" if name == "std" else "numbers"
        raise ValueError(
            f"{name} of backbone is {values!r}; expected three {kind}, one per colour."
        )
    return found.tolist()


def _teacher_at(backbone):
    path = Path(backbone).expanduser()
    if path.is_file():
        source = f"backbone {str(path)!r}"
        return Teacher(resnet_from(read_weights(path), source))
    return _teacher_of_hugging_face(*hugging_face_source(backbone))


def hugging_face_source(backbone):
    """Tell where a model of Hugging Face is.

    Parameters
    ----------
    backbone : str or path-like
        A directory, or a name on the hub.

    Returns
    -------
    name : str
        The directory or the name.

    local : bool
        Whether it is a directory.

    Raises
    ------
    ValueError
        If it is neither.
    """
    path = Path(backbone).expanduser()
    if path.is_file():
        raise ValueError(
            f"backbone is the file {str(path)!r}; expected the directory of a model of "
            "Hugging Face, with its config.json."
        )
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ValueError(
                f"backbone is the directory {str(path)!r}, which has no config.json; "
                "expected one with a vision model of Hugging Face."
            )
        return str(path), True
    if isinstance(backbone, str) and _is_hub_name(backbone):
        return backbone, False
    raise ValueError(
        f"backbone is {str(backbone)!r}, but there is no such file or directory, nor "
        "is it a name on the hub of Hugging Face, such as 'owner/name'."
    )


def _is_hub_name(name):
    # A file that is missing is not searched for on the internet.
    is_file = name.endswith(_SUFFIXES)
    return _HUB_NAME.fullmatch(name) is not None and not is_file


def _teacher_of_hugging_face(name, local):
    pyramid, scale = vision_pyramid(name, local=local)
    return Teacher(pyramid, **checked_scale(scale))
