"""The prompts of GenCLIP: tokens that are learned, and those that images add."""

import torch
from torch import nn
from torch.nn import functional as F

# Standard deviation of prompts at first.
_SPREAD = 0.02


class Prompts(nn.Module):
    """Tokens for both states, the same for all images, and those that images add.

    Parameters
    ----------
    text_width, vision_width : int
        Number of channels of the tokens of texts and of images.

    n_layers : int
        Number of layers whose tokens are looked at.

    n_query : int
        Number of tokens of each state, the general query prompt.

    n_vision : int
        Number of tokens that an image adds for each layer; 0 for none.

    joint : bool
        Whether the tokens of all layers stand in one prompt, instead of each in a
        prompt of its own.
    """

    def __init__(self, text_width, vision_width, n_layers, n_query, n_vision, joint):
        super().__init__()
        self.query = nn.Parameter(_SPREAD * torch.randn(2, n_query, text_width))
        self.joint = joint
        self.vision = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(vision_width),
                nn.Linear(vision_width, n_vision * text_width),
            )
            for _ in range(n_layers if n_vision else 0)
        )

    @property
    def n_tokens(self):
        """The number of tokens that come before words, at most."""
        n_images = len(self.vision) if self.joint else min(len(self.vision), 1)
        width = self.query.shape[2]
        n_vision = self.vision[0][1].out_features // width if self.vision else 0
        return self.query.shape[1] + n_images * n_vision

    def forward(self, clip, words, ends, tokens=None):
        """Return texts for both states, of length one.

        Parameters
        ----------
        clip : FrozenCLIP
            What reads them.

        words : tensor of shape (n_samples, 2, length, text_width)
            The words for each state, in vectors, with what begins and ends a text.

        ends : tensor of shape (n_samples, 2)
            The places of their ends.

        tokens : list of tensor of shape (n_samples, vision_width), default=None
            What the images are like at each layer. If None, the texts are those of
            the query alone.

        Returns
        -------
        texts : tensor of shape (n_texts, n_samples, 2, n_dims)
            The texts, one for each layer or, with `joint` or without tokens, one.
        """
        query = self.query.expand(len(words), -1, -1, -1)
        prompts = [query]
        if tokens is not None:
            seen = [
                make(part).view(len(part), 1, -1, query.shape[3]).expand(-1, 2, -1, -1)
                for make, part in zip(self.vision, tokens, strict=True)
            ]
            parts = [torch.cat(seen, dim=2)] if self.joint else seen
            prompts = [torch.cat([query, part], dim=2) for part in parts]
        # After what begins a text.
        full = torch.stack(
            [torch.cat([words[:, :, :1], p, words[:, :, 1:]], dim=2) for p in prompts]
        )
        last = (ends + prompts[0].shape[2]).expand(len(prompts), -1, -1)
        found = clip.encode_text(full.flatten(0, 2), last.flatten())
        return F.normalize(found, dim=1).view(*full.shape[:3], -1)
