"""The maps and scores of GenCLIP, of a CLIP's tokens and of texts."""

from operator import itemgetter

import torch
from torch import nn
from torch.nn import functional as F

from skad._nets._mddnet import smoothed
from skad._nets._pixel_losses import pixel_loss
from skad._nets._pyramids import ScheduledNet

# The least probability whose logarithm is taken.
_EPS = 1e-6


class TextMaps(nn.Module):
    """Base of what compares tokens of images with texts for both states.

    A leaf implements ``_branches(batch)``, which returns pairs of a weight and texts of
    shape (1 or n_layers, n_samples, 2, n_dims), and ``_patches(batch)``, which returns
    the tokens of patches of each layer in the shared space.

    Parameters
    ----------
    size : tuple of two ints
        Height and width of what the CLIP sees.

    patch_size : int
        Height and width of a patch.

    temperature : float
        What cosines are divided by.

    smoothing : float
        Standard deviation of the Gaussian that smooths maps, in pixels.

    top_fraction : float
        Share of the pixels of which the mean counts for the image.

    map_weight : float
        How much that counts, from 0 to 1, against the image as a whole.
    """

    def __init__(
        self,
        size,
        patch_size,
        *,
        temperature,
        smoothing,
        top_fraction,
        map_weight,
    ):
        super().__init__()
        self.size = size
        self.grid = (size[0] // patch_size, size[1] // patch_size)
        self.temperature = temperature
        self.smoothing, self.top_fraction = smoothing, top_fraction
        self.map_weight = map_weight
        self._held = None

    def hold(self, clip):
        """Take the CLIP, which is no part of this net and not in its pickle."""
        self._held = (clip,)

    @property
    def clip(self):
        """The CLIP."""
        return self._held[0]

    def __getstate__(self):
        return {**super().__getstate__(), "_held": None}

    def anomaly_map(self, batch):
        """Return where images are anomalous.

        Parameters
        ----------
        batch : dict
            What `ClipRows` gives.

        Returns
        -------
        maps : tensor of shape (n_samples, height, width)
            Probabilities, and with a memory distances from normal patches in addition.
        """
        return self._anomaly_map(batch, self._branches(batch))

    def anomaly_score(self, batch):
        """Return how anomalous images are.

        Parameters
        ----------
        batch : dict
            What `ClipRows` gives.

        Returns
        -------
        scores : tensor of shape (n_samples,)
            The higher, the more anomalous.
        """
        branches, whole = self._branches(batch), 0
        top = self._top_mean(self._anomaly_map(batch, branches))
        for weight, texts in branches:
            whole = whole + weight * self._image_logits(batch, texts).softmax(1)[:, 1]
        return self.map_weight * top + (1 - self.map_weight) * whole

    def name_weights(self, batch):
        """Return how much the names of what images show count, from 0 to 1."""
        return batch["weights"]

    def _layer_maps(self, batch, branches):
        """Return how likely pixels are damaged by each layer, as means of branches."""
        patches, maps = self._patches(batch), 0
        for weight, texts in branches:
            layers = [logits.softmax(1)[:, 1] for logits in self._maps(patches, texts)]
            maps = maps + weight * torch.stack(layers, dim=1)
        return maps

    def _anomaly_map(self, batch, branches):
        maps = self._layer_maps(batch, branches).mean(1)
        if "distances" in batch:
            far = batch["distances"].view(-1, 1, *self.grid)
            maps = maps + self._enlarged(far)[:, 0]
        return smoothed(maps, self.smoothing)

    def _texts(self, batch, asked):
        """Return texts; where names count in part, what lies between two of them."""
        named = asked(batch["named"])
        if "general" not in batch:
            return named
        weights = batch["weights"][:, None, None]
        general = asked(batch["general"])
        return F.normalize(weights * named + (1 - weights) * general, dim=-1)

    def _image_logits(self, batch, texts):
        # Layers have texts of their own; the image has one embedding.
        cosines = torch.einsum("nd,lnsd->lns", batch["image"], texts)
        return cosines.mean(0) / self.temperature

    def _maps(self, patches, texts):
        """Return the logits of both states for each pixel, by each layer."""
        texts = texts.expand(len(patches), -1, -1, -1)
        return [
            self._enlarged((text @ part.mT / self.temperature).unflatten(2, self.grid))
            for part, text in zip(patches, texts, strict=True)
        ]

    def _enlarged(self, maps):
        return F.interpolate(maps, self.size, mode="bilinear")

    def _top_mean(self, maps):
        flat = maps.flatten(1)
        n_top = max(1, round(self.top_fraction * flat.shape[1]))
        return flat.topk(n_top, dim=1).values.mean(1)


class PromptNet(ScheduledNet):
    """The net of prompts, which may have nothing to learn."""

    def initialize_optimizer(self, *args, **kwargs):
        """Make the optimizer, if there is something to learn."""
        if next(self.module_.parameters(), None) is None:
            return self
        return super().initialize_optimizer(*args, **kwargs)


class WrittenPrompts(TextMaps):
    """Texts that somebody wrote, and the patches of the last layer."""

    def _branches(self, batch):
        return [(1.0, self._texts(batch, itemgetter("written"))[None])]

    def _patches(self, batch):
        projected = self.clip.project(batch["tokens"][-1][:, 1:])
        return [F.normalize(projected, dim=2)]


class LearnedPrompts(TextMaps):
    """Prompts that are learned, and what puts the patches of layers beside them.

    Parameters
    ----------
    prompts : Prompts
        The prompts.

    vision_width, n_dims : int
        Number of channels of tokens of images, and of the space that is shared.

    n_layers : int
        Number of layers whose tokens are looked at.

    branch_weight : float
        How much the prompts with tokens of the image count, from 0 to 1, against those
        of the query alone.

    query_loss_weight, image_loss_weight : float
        Weights of the loss of the query alone, and of that of images as a whole.

    **settings : dict
        Parameters of `TextMaps`.
    """

    def __init__(
        self,
        prompts,
        vision_width,
        n_dims,
        n_layers,
        *,
        branch_weight,
        query_loss_weight,
        image_loss_weight,
        **settings,
    ):
        super().__init__(**settings)
        self.prompts = prompts
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(vision_width), nn.Linear(vision_width, n_dims, bias=False)
            )
            for _ in range(n_layers)
        )
        self.branch_weight = branch_weight
        self.query_loss_weight = query_loss_weight
        self.image_loss_weight = image_loss_weight

    def forward(self, damaged, masks=None, **batch):
        """Return the loss.

        Parameters
        ----------
        damaged : tensor of shape (n_samples,)
            Whether images have a defect.

        masks : tensor of shape (n_samples, height, width), default=None
            Where it is. If None, only the highest values of maps are learned from.

        **batch : dict
            What `ClipRows` gives.

        Returns
        -------
        loss : tensor
            The loss of both branches.
        """
        patches, loss = self._patches(batch), 0
        for weight, texts in self._asked(batch, 1.0, self.query_loss_weight):
            # In full precision, whatever they were computed in.
            maps = [part.float() for part in self._maps(patches, texts)]
            if masks is None:
                parts = [self._weak_loss(part, damaged) for part in maps]
            else:
                parts = [pixel_loss(part, masks) for part in maps]
            image = F.cross_entropy(self._image_logits(batch, texts), damaged.long())
            loss = loss + weight * (sum(parts) + self.image_loss_weight * image)
        return loss

    def _weak_loss(self, logits, damaged):
        top = self._top_mean(logits.softmax(1)[:, 1])
        own = torch.where(damaged, top, 1 - top)
        return -own.clamp_min(_EPS).log().mean()

    def _branches(self, batch):
        return self._asked(batch, self.branch_weight, 1 - self.branch_weight)

    def _asked(self, batch, vision_weight, query_weight):
        """Return weights and texts of the branches that have a weight."""
        if not self.prompts.vision:
            vision_weight, query_weight = 0.0, 1.0
        branches = []
        if vision_weight:
            branches.append((vision_weight, self._texts(batch, self._seen(batch))))
        if query_weight:
            branches.append((query_weight, self._texts(batch, self._unseen)))
        return branches

    def _seen(self, batch):
        """Return what asks about names with tokens of the images."""
        tokens = [part[:, 0] for part in batch["tokens"]]
        return lambda about: self.prompts(
            self.clip, about["words"], about["ends"], tokens
        )

    def _unseen(self, about):
        """Ask about names without images, once for all images of a name."""
        names, places = about["codes"].unique(return_inverse=True)
        # Any row of each name.
        rows = torch.arange(len(places), device=places.device)
        rows = names.new_empty(len(names)).scatter(0, places, rows)
        texts = self.prompts(self.clip, about["words"][rows], about["ends"][rows])
        return texts[:, places]

    def _patches(self, batch):
        pairs = zip(self.heads, batch["tokens"], strict=True)
        return [F.normalize(head(part[:, 1:]), dim=2) for head, part in pairs]
