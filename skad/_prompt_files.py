"""Learned prompts in files: written after a fit, and read instead of one."""

import json
import math
from pathlib import Path

from sklearn.utils.validation import check_is_fitted

from skad._deep import chosen_device, seeded
from skad._image import (
    check_colors,
    checked_pixel_range,
    checked_shape,
    with_channels,
)

# Parameters that have to be those that prompts were learned with.
SHAPING = ("n_query_tokens", "n_vision_tokens", "vision_prompts", "temperature")
# What the files say that they are.
_FORMAT = "prompts of skad.GenCLIP, 1"


class PromptFilesMixin:
    """Mixin that gives GenCLIP the methods ``save_prompts`` and ``load_prompts``."""

    def save_prompts(self, path):
        """Write the learned prompts into a file of safetensors.

        Parameters
        ----------
        path : str or path-like
            The file; one that is there is replaced. Takes the extra "vision".

        Raises
        ------
        ImportError
            If safetensors is missing.

        ValueError
            If prompts were written by hand, or belong to a CLIP that was trained in
            `fit` and would be lost.
        """
        check_is_fitted(self)
        if self.query_prompts_ is None:
            raise ValueError("prompts were written by hand; there are none to save.")
        if self._teacher_checksum is None:
            raise ValueError(
                "backbone was None: the prompts belong to a CLIP that was trained in "
                "fit. Train one by skad.vision.train_clip, and give it as backbone."
            )
        facts = {
            "format": _FORMAT,
            "parameters": self._made_with,
            "layers": self.layers_,
            "image_size": self.image_size_,
            "image_shape": self.image_shape_,
            "pixel_range": self._range,
            "offset": self._own_offset(),
            "clip": self._teacher_checksum,
        }
        weights = self.net_.module_.state_dict()
        weights = {name: part.cpu().contiguous() for name, part in weights.items()}
        # Numbers of NumPy, as a search for parameters gives them, are no JSON.
        metadata = {"skad": json.dumps(facts, default=lambda number: number.item())}
        _safetensors().torch.save_file(weights, path, metadata=metadata)

    def load_prompts(self, path):
        """Read prompts, so that images can be scored without `fit`.

        The shape of images, the size that the CLIP sees, black and white, and layers
        are as they were then, where the parameters of this detector leave them open.

        Parameters
        ----------
        path : str or path-like
            A file that :meth:`save_prompts` wrote. Takes the extra "vision".

        Returns
        -------
        self : object
            The detector, ready to score, with the threshold of then.

        Raises
        ------
        ImportError
            If safetensors is missing.

        ValueError
            If there is no such file, or if the prompts were learned with another CLIP
            or with other parameters than those of this detector.
        """
        self._validate_params()
        if self.backbone is None:
            raise ValueError(
                "backbone is None; expected the CLIP that prompts were learned with."
            )
        weights, facts = _read(path)
        learned = facts["parameters"]
        own = {name: (getattr(self, name), learned[name]) for name in SHAPING}
        self._check_same(path, own)
        vars(self).pop("offset_", None)
        clip = self._set_teacher()
        if self._teacher_checksum != facts["clip"]:
            raise ValueError(
                f"The prompts in {str(path)!r} were learned with another CLIP than the "
                "one that backbone is."
            )
        shape = facts["image_shape"]
        if self.image_shape is not None:
            shape = checked_shape(self.image_shape, "image_shape", lengths=(2, 3))
        self.image_shape_ = with_channels(tuple(shape))
        check_colors(self.image_shape_, type(self).__name__)
        self.n_features_in_ = math.prod(self.image_shape_)
        vars(self).pop("feature_names_in_", None)
        self._set_sizes(clip, facts["image_size"], facts["layers"])
        self._check_same(path, {"layers": (self.layers_, tuple(facts["layers"]))})
        given = self.pixel_range
        self._range = checked_pixel_range(
            facts["pixel_range"] if given is None else given, None
        )
        self._references, self._training = None, None
        self._clip_device = chosen_device(self.device)
        self.net_ = self._restored(weights)
        self._set_query_prompts()
        self.n_iter_, self.history_ = 0, []
        self.offset_ = facts["offset"]
        return self

    def _check_same(self, path, values):
        for name, (own, learned) in values.items():
            if own != learned:
                raise ValueError(
                    f"The prompts in {str(path)!r} were learned with {name}={learned}; "
                    f"that of this {type(self).__name__} is {own}."
                )

    def _restored(self, weights):
        device, seed = self._device_and_seed()
        # Prompts are drawn before they are replaced.
        with seeded(seed, device):
            module = self._make_module(None)
            module.load_state_dict(weights)
            return self._make_net(module, device, seed, self.batch_size).initialize()


def _read(path):
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path is {str(path)!r}; there is no such file.")
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies: what is mapped from a file would change with it.
            weights = {name: file.get_tensor(name).clone() for name in file.keys()}
        facts = json.loads(metadata.get("skad", "{}"))
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as safetensors: {error}") from (
            error
        )
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise ValueError(f"{str(path)!r} holds no prompts that GenCLIP wrote.")
    return weights, facts


def _safetensors():
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise ImportError(
            "files of prompts need safetensors, which is not installed: "
            'pip install "skad[vision]"'
        ) from error
    return safetensors
