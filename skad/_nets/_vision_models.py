"""Vision models of Hugging Face as pyramids; transformers is imported when needed."""

import inspect
import json
import math
import sys

import torch
from torch import nn
from torch.nn.functional import interpolate

# Of convolutional models as much as of ResNets: maps of strides 4, 8 and 16.
_N_LEVELS = 3
_FINEST = 4


class VisionPyramid(nn.Module):
    """The maps of some layers of a vision model of transformers.

    Of models with maps of several resolutions, the last map of each; of transformers
    with tokens instead, the tokens after a quarter, a half and three quarters of the
    layers, put back to where their patches are. The last layers know more of the task
    that the model was trained for than of what is seen where.

    Parameters
    ----------
    model : PreTrainedModel
        The model, or one that holds it beside the model of a text.
    """

    def __init__(self, model):
        super().__init__()
        # As CLIP and its relatives call it; both of its classes in some versions.
        self.model = getattr(model, "vision_model", model)
        parameters = inspect.signature(self.model.forward).parameters
        if "pixel_values" not in parameters:
            raise ValueError(
                f"backbone is a {type(model).__name__}, which takes no images."
            )
        # Others do so anyway, or are made for any size.
        name = "interpolate_pos_encoding"
        self.arguments = {name: True} if name in parameters else {}

    def forward(self, images):
        """Return the maps, fine ones first.

        Parameters
        ----------
        images : tensor of shape (n_samples, 3, height, width)
            The images, normalised.

        Returns
        -------
        maps : list of tensor of shape (n_samples, n_channels, height, width)
            The maps.
        """
        patch = getattr(self.model.config, "patch_size", None) or 1
        patch = (patch, patch) if isinstance(patch, int) else tuple(patch)
        n_patches = [
            math.ceil(n / p) for n, p in zip(images.shape[2:], patch, strict=True)
        ]
        images = _resized(
            images, [n * p for n, p in zip(n_patches, patch, strict=True)]
        )
        output = self.model(
            pixel_values=images, output_hidden_states=True, **self.arguments
        )
        # Windowed transformers have their tokens as maps beside those in a row.
        states = output.get("reshaped_hidden_states") or output.hidden_states
        if states[-1].ndim == 4:
            return _stages(states, images.shape[2])
        return [_as_map(states[layer], n_patches) for layer in _layers(len(states) - 1)]


def _resized(images, size):
    """Bring images to whole patches; the model would not see what is beyond them."""
    if list(images.shape[2:]) == size:
        return images
    return interpolate(images, size, mode="bilinear")


def _stages(states, height):
    """Return the last map of each resolution, of the three from stride 4 on.

    In images of less than 32 pixels some have the same size, and are taken as one.
    """
    last = {state.shape[2]: state for state in states}
    finest = math.ceil(height / _FINEST)
    chosen = [state for size, state in last.items() if size <= finest]
    return (chosen or list(last.values()))[:_N_LEVELS]


def _layers(n_layers):
    """Return which layers are taken; layer 0 is what goes into the first."""
    quarters = (round(n_layers * part / 4) for part in (1, 2, 3))
    return sorted({max(1, layer) for layer in quarters})


def _as_map(tokens, n_patches):
    """Turn tokens into a map, without those of no patch, which come first."""
    n_tokens = math.prod(n_patches)
    if tokens.shape[1] < n_tokens:
        raise ValueError(
            f"backbone returned {tokens.shape[1]} tokens for {n_tokens} patches; these "
            "cannot be read as a map."
        )
    return tokens[:, -n_tokens:].mT.unflatten(2, tuple(n_patches))


def is_vision_model(module):
    """Tell whether a module is a model of transformers; if it is, that is loaded."""
    transformers = sys.modules.get("transformers")
    return transformers is not None and isinstance(module, transformers.PreTrainedModel)


def vision_pyramid(name, *, local):
    """Load a vision model.

    Parameters
    ----------
    name : str
        A directory, or a name on the hub.

    local : bool
        Whether it is a directory.

    Returns
    -------
    pyramid : VisionPyramid
        The model.

    scale : dict
        What its images are to be normalised with, see `pretrained_model`.
    """
    model, scale = pretrained_model(name, local=local)
    return VisionPyramid(model), scale


def pretrained_model(name, *, local):
    """Load a model with all of its weights.

    Parameters
    ----------
    name : str
        A directory, or a name on the hub.

    local : bool
        Whether it is a directory.

    Returns
    -------
    model : PreTrainedModel
        The model, in floats of 32 bits.

    scale : dict
        What its images are to be normalised with, ``mean`` and ``std``, where it says
        so.

    Raises
    ------
    ImportError
        If transformers is missing.

    ValueError
        If there is no such model, or if some of its weights are missing.
    """
    try:
        from transformers import AutoModel
        from transformers.utils import cached_file
    except ImportError as error:
        raise ImportError(
            f"backbone {name!r} needs transformers, which is not installed: "
            'pip install "skad[vision]"'
        ) from error
    try:
        # What weights are missing is drawn at random.
        with torch.random.fork_rng(devices=[]):
            model, info = AutoModel.from_pretrained(
                name,
                local_files_only=local,
                trust_remote_code=False,
                output_loading_info=True,
            )
        settings = cached_file(
            name,
            "preprocessor_config.json",
            local_files_only=local,
            _raise_exceptions_for_missing_entries=False,
        )
        scale = _scale(settings)
    except ImportError:
        raise
    # The hub, the readers of files and the models have errors of their own.
    except Exception as error:
        raise ValueError(f"backbone {name!r} cannot be loaded: {error}") from error
    _check_complete(model, info["missing_keys"], name)
    _detach(model)
    return model.float(), scale


def _check_complete(model, missing, name):
    # Classifiers have no pooler; nothing of ours goes through it, but the checksum
    # would be another every time.
    unused = [key for key in missing if "pooler" in key]
    needed = sorted(set(missing) - set(unused))
    if needed:
        raise ValueError(
            f"backbone {name!r} has no weights for {needed[0]!r} and "
            f"{len(needed) - 1} others of its {type(model).__name__}."
        )
    weights = model.state_dict()
    for key in unused:
        weights[key].zero_()


def _detach(model):
    """Copy weights that are mapped from a file, as these would change with it."""
    for value in (*model.parameters(), *model.buffers()):
        value.data = value.data.clone()


def _scale(settings):
    """Return how a preprocessor normalises images, as far as its file says so."""
    if settings is None:
        return {}
    with open(settings, encoding="utf-8") as file:
        given = json.load(file)
    if not given.get("do_normalize", True):
        return {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    names = {"mean": "image_mean", "std": "image_std"}
    return {key: given[name] for key, name in names.items() if given.get(name)}
