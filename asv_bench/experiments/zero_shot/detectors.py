"""GenCLIP as it may be set, and what it is compared with."""

import numpy as np
import torch
from experiments.images.images import as_tensor, scores_of, smoothed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from skad import GenCLIP
from skad._nets._clip import load_clip
from skad._nets._clip_rows import NameTexts

_BATCH = 64
# Shares of the side of an image that windows have.
_WINDOWS = (1 / 4, 1 / 2)
_TEMPERATURE = 0.07


class Prompted:
    """GenCLIP.

    Parameters
    ----------
    clip : nn.Module
        The CLIP.

    seed : int
        The seed.

    learns, masked, named, few : bool
        Whether it is fitted to labels, has masks, is told names, and gets references.

    **params
        Of GenCLIP.
    """

    def __init__(
        self, clip, seed, learns=True, masked=True, named=True, few=False, **params
    ):
        self.detector = GenCLIP(clip, random_state=seed, **params)
        self.learns, self.masked = learns, masked
        self.named, self.few = named, few

    def fit(self, images):
        y = images.y if self.learns else None
        masks = images.masks if self.learns and self.masked else None
        self.detector.fit(images.X, y, masks=masks, class_names=self._names(images))
        return self

    def look(self, images):
        # Images may have another size than those to learn from.
        X = as_tensor(images.X, self.detector.image_shape_[0])[:, 0].numpy() * 255
        names = self._names(images)
        if self.few:
            known = as_tensor(images.references, self.detector.image_shape_[0])
            self.detector.set_references(known[:, 0].numpy() * 255)
        maps = self.detector.anomaly_map(X, class_names=names)
        maps = interpolate(
            torch.from_numpy(maps)[:, None], images.X.shape[1:3], mode="bilinear"
        )
        scores = self.detector.score_samples(X, class_names=names)
        return scores, maps[:, 0].numpy()

    def _names(self, images):
        return images.names if self.named else None


class Windows:
    """Hand-written prompts for windows of two sizes and the whole image.

    A pixel is as anomalous as the harmonic mean over the windows that it is in, as in
    WinCLIP.
    """

    def __init__(self, clip, seed):
        self.clip = load_clip(clip)

    def fit(self, images):
        return self

    def look(self, images):
        size = self.clip.image_size
        names, codes = np.unique(images.names, return_inverse=True)
        texts = NameTexts(self.clip, names.tolist(), by_hand=True).written[1:]
        maps, whole = [], []
        pairs = zip(
            as_tensor(images.X, size).split(_BATCH),
            torch.from_numpy(codes).split(_BATCH),
            strict=True,
        )
        for batch, code in pairs:
            own = texts[code]
            whole.append(self._damaged(batch, own))
            scales = [self._map(batch, own, round(w * size)) for w in _WINDOWS]
            scales.append(whole[-1][:, None, None].expand_as(scales[0]))
            maps.append(1 / torch.stack([1 / part for part in scales]).mean(0))
        maps = smoothed(torch.cat(maps).double().numpy(), images.X.shape[1:3])
        top = -scores_of(maps)
        return -(torch.cat(whole).numpy() + top) / 2, maps

    def _map(self, batch, texts, width):
        total = torch.zeros_like(batch[:, 0])
        count = torch.zeros_like(total[:1])
        starts = range(0, batch.shape[2] - width + 1, width // 2)
        for i in starts:
            for j in starts:
                part = batch[:, :, i : i + width, j : j + width]
                seen = interpolate(part, batch.shape[2:], mode="bilinear")
                total[:, i : i + width, j : j + width] += (
                    1 / self._damaged(seen, texts)[:, None, None]
                )
                count[:, i : i + width, j : j + width] += 1
        return count / total

    def _damaged(self, batch, texts):
        seen, _ = self.clip.encode_image(batch, ())
        seen = torch.nn.functional.normalize(seen, dim=1)
        cosines = torch.einsum("nd,nsd->ns", seen, texts)
        return (cosines / _TEMPERATURE).softmax(1)[:, 1]


class PatchRegression:
    """Logistic regression of the CLIP's patches of all layers on masks, no texts."""

    def __init__(self, clip, seed):
        self.clip = load_clip(clip)

    def fit(self, images):
        grid = self.clip.image_size // self.clip.patch_size
        masks = torch.tensor(images.masks, dtype=torch.float32)[:, None]
        damaged = adaptive_avg_pool2d(masks, grid).flatten() > 0.25
        self.model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.1, max_iter=300)
        ).fit(self._patches(images.X).flatten(0, 1).numpy(), damaged.numpy())
        return self

    def look(self, images):
        patches = self._patches(images.X)
        found = self.model.predict_proba(patches.flatten(0, 1).numpy())[:, 1]
        side = self.clip.image_size // self.clip.patch_size
        maps = smoothed(found.reshape(-1, side, side), images.X.shape[1:3])
        return scores_of(maps), maps

    def _patches(self, X):
        layers = range(1, self.clip.n_layers + 1)
        images = as_tensor(X, self.clip.image_size)
        parts = [self.clip.encode_image(b, layers)[1] for b in images.split(_BATCH)]
        return torch.cat([torch.cat(layer, dim=2)[:, 1:] for layer in parts])


def _genclip(**params):
    return lambda clip, seed: Prompted(clip, seed, **params)


MAIN = {
    "hand-written prompts": _genclip(learns=False),
    "hand-written prompts, windows": Windows,
    "logistic regression of patches": PatchRegression,
    "GenCLIP": _genclip(),
    "GenCLIP, no vision prompts": _genclip(n_vision_tokens=0),
    "GenCLIP, 4 references": _genclip(few=True),
    "hand-written prompts, 4 references": _genclip(learns=False, few=True),
}
ABLATIONS = {
    "vision branch alone": _genclip(branch_weight=1.0),
    "query branch alone": _genclip(branch_weight=0.0),
    "query not trained alone": _genclip(query_loss_weight=0.0),
    "query not trained alone, query branch": _genclip(
        query_loss_weight=0.0, branch_weight=0.0
    ),
    "joint vision prompts": _genclip(vision_prompts="joint"),
    "no filter of names": _genclip(class_name_filter=None),
    "soft filter of names": _genclip(class_name_filter="soft"),
    "no names": _genclip(named=False),
    "no loss of whole images": _genclip(image_loss_weight=0.0),
    "no masks": _genclip(masked=False),
    "maps alone": _genclip(map_weight=1.0),
    "whole images alone": _genclip(map_weight=0.0),
}
