"""A small CLIP: a transformer of patches, one of words, and a space for both."""

import math
import re

import torch
from torch import nn
from torch.nn import functional as F

# Ids of what is no word; those of words follow.
PADDING, START, END, UNKNOWN = range(4)
_N_SPECIAL = 4
# Heads of all layers.
N_HEADS = 4
_WORD = re.compile(r"\w+")
# The standard deviation of what is learned from the first step on.
_SPREAD = 0.02
# One over the temperature at first, and at most, as in CLIP.
_FIRST_SCALE, _MOST_SCALE = 1 / 0.07, 100.0


class SmallCLIP(nn.Module):
    """A CLIP that is small enough to be trained on a processor.

    Parameters
    ----------
    words : sequence of str
        The words that it knows, in lower case.

    image_size : int, default=64
        Height and width of the images that it is trained on.

    patch_size : int, default=8
        Height and width of a patch, a power of two. Patches overlap: what becomes
        their tokens are convolutions, from which a small net learns sooner.

    width, text_width : int, default=96 and 64
        Number of channels of the two transformers.

    n_layers, n_text_layers : int, default=4 and 2
        Their numbers of layers.

    n_dims : int, default=64
        Number of dimensions of the space that images and texts share.

    context : int, default=48
        Most tokens of a text.

    mean, std : tuple of three floats, default=0.5 and 0.25
        What images are normalised with.
    """

    def __init__(
        self,
        words,
        *,
        image_size=64,
        patch_size=8,
        width=96,
        text_width=64,
        n_layers=4,
        n_text_layers=2,
        n_dims=64,
        context=48,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    ):
        super().__init__()
        self.image_size, self.patch_size = image_size, patch_size
        self.n_layers, self.context = n_layers, context
        self.mean, self.std = mean, std
        self.ids = {word: i + _N_SPECIAL for i, word in enumerate(words)}
        side = image_size // patch_size
        self.patches = _stem(width, round(math.log2(patch_size)))
        self.first = _drawn(width)
        self.places = _drawn(side, side, width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, n_dims, bias=False)
        self.words = nn.Embedding(_N_SPECIAL + len(words), text_width)
        self.order = _drawn(context, text_width)
        self.text_blocks = nn.ModuleList(
            _block(text_width) for _ in range(n_text_layers)
        )
        self.text_norm = nn.LayerNorm(text_width)
        self.text_projection = nn.Linear(text_width, n_dims, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(_FIRST_SCALE).log())

    @property
    def logit_scale(self):
        """What cosines are multiplied with."""
        return min(self.log_scale.exp().item(), _MOST_SCALE)

    def encode_image(self, images, layers):
        """Return what images are like, as a whole and in their patches.

        Parameters
        ----------
        images : tensor of shape (n_samples, 3, height, width)
            Normalised images, of whole patches.

        layers : sequence of int
            The layers whose tokens are wanted, counted from 1.

        Returns
        -------
        embeddings : tensor of shape (n_samples, n_dims)
            The images in the space that they share with texts.

        tokens : list of tensor of shape (n_samples, 1 + n_patches, width)
            What each layer gives: the token of the image, then those of its patches.
        """
        parts = self.patches(images)
        places = self.places.movedim(2, 0)[None]
        if places.shape[2:] != parts.shape[2:]:
            places = F.interpolate(places, parts.shape[2:], mode="bicubic")
        parts = (parts + places).flatten(2).mT
        x = torch.cat([self.first.expand(len(parts), 1, -1), parts], dim=1)
        tokens = {}
        for i, block in enumerate(self.blocks):
            tokens[i + 1] = x = block(x)
        # A mean over places, so that each place by itself means what the whole does.
        return self.project(x).mean(1), [tokens[layer] for layer in layers]

    def project(self, tokens):
        """Return tokens of the last layer in the space that is shared with texts."""
        return self.projection(self.norm(tokens))

    def tokenize(self, texts):
        """Return the ids of words, of shape (n_texts, length), and where texts end."""
        rows = [
            [START, *(self.ids.get(word, UNKNOWN) for word in _words(text)), END]
            for text in texts
        ]
        length = max(map(len, rows))
        ids = torch.tensor([row + [PADDING] * (length - len(row)) for row in rows])
        return ids, torch.tensor([len(row) - 1 for row in rows])

    def embed_tokens(self, ids):
        """Return the vectors of tokens, of shape (n_texts, length, text_width)."""
        return self.words(ids)

    def encode_text(self, embeddings, ends):
        """Return texts in the space that they share with images.

        Parameters
        ----------
        embeddings : tensor of shape (n_texts, length, text_width)
            The vectors of their tokens.

        ends : tensor of shape (n_texts,)
            The places of the tokens that end them.

        Returns
        -------
        embeddings : tensor of shape (n_texts, n_dims)
            The texts.
        """
        length = embeddings.shape[1]
        x = embeddings + self.order[:length]
        mask = nn.Transformer.generate_square_subsequent_mask(length, x.device)
        for block in self.text_blocks:
            x = block(x, src_mask=mask, is_causal=True)
        last = x[torch.arange(len(x), device=x.device), ends.to(x.device)]
        return self.text_projection(self.text_norm(last))

    def forward(self, images, ids, ends):
        """Return how badly images and their captions find each other.

        Parameters
        ----------
        images : tensor of shape (n_samples, 3, height, width)
            The images, normalised.

        ids, ends : tensor
            The tokens of their captions.

        Returns
        -------
        loss : tensor
            The mean of the cross-entropies of the captions of images, and of the images
            of captions.
        """
        seen = F.normalize(self.encode_image(images, ())[0], dim=1)
        read = F.normalize(self.encode_text(self.embed_tokens(ids), ends), dim=1)
        logits = self.log_scale.exp().clamp(max=_MOST_SCALE) * seen @ read.T
        own = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def n_tokens(text):
    """Return the number of tokens of a text, with those that begin and end it."""
    return len(_words(text)) + 2


def words_of(texts):
    """Return all words of texts, in order."""
    return sorted({word for text in texts for word in _words(text)})


def _words(text):
    # One article: few captions would hardly teach that both mean the same.
    return ["a" if w == "an" else w for w in _WORD.findall(text.lower())]


def _stem(width, n_halvings):
    """Return convolutions that halve images, and give tokens in the end.

    Those of an even width see as much on one side of a patch as on the other.
    """
    layers, before = [], 3
    for i in reversed(range(n_halvings)):
        after = max(width >> i, 1)
        layers += [
            nn.Conv2d(before, after, 4, stride=2, padding=1),
            nn.GroupNorm(1, after),
            nn.GELU(),
        ]
        before = after
    return nn.Sequential(*layers, nn.Conv2d(before, width, 1))


def _block(width):
    return nn.TransformerEncoderLayer(
        width,
        N_HEADS,
        4 * width,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )


def _drawn(*shape):
    return nn.Parameter(_SPREAD * torch.randn(shape))
