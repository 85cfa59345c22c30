"""The CLIP of an estimator: made or trained, and what it is shown."""

import numpy as np
import torch
from sklearn.utils import check_random_state

from skad._backbone import BackboneMixin
from skad._deep import chosen_device
from skad._image import resized, to_size
from skad._nets._clip import FrozenCLIP, load_clip
from skad._nets._clip_rows import ClipRows, LearningRows, NameFilter, NameTexts
from skad._nets._rows import Rows
from skad.datasets import make_captioned_surfaces
from skad.vision import train_clip

# Images that a CLIP is trained on, where none is given.
_N_CAPTIONED = 2000
# Bytes of a megabyte.
_MB = 2**20


class ClipMixin(BackboneMixin):
    """Mixin for estimators whose ``backbone`` is a CLIP.

    The estimator has the parameters ``backbone_epochs``, ``image_size``, ``layers``,
    ``class_name_filter``, ``class_name_margin`` and ``cache_size``, and learns the
    attributes ``image_size_`` and ``layers_``. Its data are `NamedImages`, and its net
    has a method ``hold(clip)``.
    """

    def _load_backbone(self):
        return load_clip(self.backbone)

    def _begin_with_clip(self):
        """Make the CLIP, and set what it is to see."""
        self._clip_device = chosen_device(self.device)
        clip = self._set_teacher(self._own_clip() if self.backbone is None else None)
        self._set_sizes(clip)

    def _own_clip(self):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        X, captions = make_captioned_surfaces(_N_CAPTIONED, random_state=seed)
        clip = train_clip(
            X,
            captions,
            max_epochs=self.backbone_epochs,
            device=self.device,
            random_state=seed,
            verbose=self.verbose,
        )
        return FrozenCLIP(clip)

    def _set_sizes(self, clip, image_size=None, layers=None):
        """Set the size of images and the layers; those that are given are defaults."""
        size = image_size or (clip.image_size,) * 2
        if self.image_size is not None:
            size = (self.image_size,) * 2
            if self.image_size % clip.patch_size:
                raise ValueError(
                    f"image_size is {self.image_size}; expected a multiple of "
                    f"{clip.patch_size}, the size of the patches of backbone."
                )
        self.image_size_ = tuple(map(int, size))
        if layers is None:
            layers = {round(clip.n_layers * part / 4) for part in (1, 2, 3, 4)} - {0}
        self.layers_ = tuple(sorted(layers))
        if self.layers is not None:
            self.layers_ = _checked_layers(self.layers, clip.n_layers)
        self._widths = clip.widths(self.image_size_)

    def _connected_clip(self):
        """Return the CLIP where the net is, which gets hold of it."""
        net = vars(self).get("net_")
        device = self._clip_device if net is None else net.device
        clip = self._get_teacher().to(device)
        if net is not None:
            net.module_.hold(clip)
        return clip

    def _training_rows(self, data):
        masks = data.masks
        if masks is not None:
            masks = Rows(masks, self._to_seen_size, keep=False)
        rows = LearningRows(
            *self._seeing(data, by_hand=False),
            damaged=torch.from_numpy(data.damaged),
            masks=masks,
        )
        self._training = rows.cache(self.cache_size * _MB)
        return rows

    def _rows(self, data, memory=None):
        seeing = self._seeing(data, by_hand=self.query_prompts_ is None)
        return ClipRows(*seeing, memory=memory)

    def _seeing(self, data, by_hand):
        """Return what `ClipRows` takes: images, a CLIP, and what to ask."""
        clip = self._connected_clip()
        texts = NameTexts(clip, data.names, by_hand)
        if not by_hand:
            self._check_room(texts, clip)
        return (
            Rows(data.X, self._net_input, keep=False),
            clip,
            self.layers_,
            texts,
            torch.from_numpy(data.codes),
            NameFilter(self.class_name_filter, self.class_name_margin),
        )

    def _check_room(self, texts, clip):
        """Check that prompts and names fit into what the CLIP reads."""
        n_prompt, n_tokens = self._n_prompt_tokens, texts.words.shape[2]
        if n_prompt + n_tokens > clip.context:
            raise ValueError(
                f"n_query_tokens and n_vision_tokens make prompts of {n_prompt} tokens "
                f"before names of up to {n_tokens}; the CLIP reads no more than "
                f"{clip.context}."
            )

    def _net_input(self, rows):
        low, high = self._range
        return (resized(self._images(rows), self.image_size_) - low) / (high - low)

    def _to_seen_size(self, masks):
        # Shares of the pixels that the CLIP sees.
        return to_size(masks, self.image_size_)


def _checked_layers(layers, n_layers):
    chosen = tuple(np.ravel(np.asarray(layers)).tolist())
    valid = all(type(i) is int and 1 <= i <= n_layers for i in chosen)
    if not valid or len(set(chosen)) < len(chosen) or n_layers not in chosen:
        raise ValueError(
            f"layers is {layers!r}; expected different numbers from 1 to {n_layers}, "
            f"and {n_layers}, the last layer of backbone, among them."
        )
    return tuple(sorted(chosen))
