"""CLIPs that stay as they are: what one has to offer, and how it is found."""

import copy
import itertools
from os import PathLike
from typing import NamedTuple

import torch
from torch import nn

from skad._nets._backbones import checked_scale, hugging_face_source, made_by
from skad._nets._hugging_face_clip import HuggingFaceCLIP
from skad._nets._vision_models import is_vision_model, pretrained_model

# What a CLIP has to have, see `FrozenCLIP`.
_METHODS = ("encode_image", "project", "tokenize", "embed_tokens", "encode_text")
_NUMBERS = ("image_size", "patch_size", "n_layers", "context", "logit_scale")
# What images of CLIPs are normalised with, where nothing else is said.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


class Widths(NamedTuple):
    """Numbers of channels in a CLIP.

    Parameters
    ----------
    image : int
        Of the tokens of images.

    text : int
        Of the tokens of texts.

    both : int
        Of the space that images and texts share.
    """

    image: int
    text: int
    both: int


class FrozenCLIP(nn.Module):
    """A CLIP that nothing changes any more.

    It is always in evaluation mode. Gradients go through its texts, to what prompts
    are made of, but not into its weights, and not through its images.

    Parameters
    ----------
    model : nn.Module
        The CLIP, which stays as it is: its weights are shared, not copied. It has the
        methods

        - ``encode_image(images, layers)``, which returns embeddings of normalised
          images, of shape (n_samples, n_dims), and, as a list, the tokens that each of
          some layers gives, counted from 1, of shape (n_samples, 1 + n_patches, width),
          that of the whole image first and those of patches row by row;
        - ``project(tokens)``, which puts tokens of the last layer into the space that
          images and texts share;
        - ``tokenize(texts)``, which returns ids of shape (n_texts, length), and the
          places of the tokens that end texts;
        - ``embed_tokens(ids)``, which returns vectors of shape (n_texts, length,
          text_width);
        - ``encode_text(embeddings, ends)``, which returns texts, given such vectors and
          the places of their ends, in the shared space; what follows an end has no
          influence;

        and the attributes ``image_size``, ``patch_size``, ``n_layers``, ``context``,
        the number of tokens that fit into a text, and ``logit_scale``, which cosines
        are multiplied with to tell captions apart. ``mean`` and ``std``, if it has
        them, are what its images are normalised with.
    """

    def __init__(self, model):
        super().__init__()
        given = {name: getattr(model, name, None) for name in ("mean", "std")}
        # Not the functions of this name that a module may have.
        given = {name: part for name, part in given.items() if not callable(part)}
        self.model = _frozen(model)
        for name, values in checked_scale(given, _MEAN, _STD).items():
            buffer = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, buffer)
        self.training = False

    def __getattr__(self, name):
        """Take numbers such as the size of patches from the model."""
        if name in _NUMBERS:
            return getattr(self.model, name)
        return super().__getattr__(name)

    def train(self, mode=True):
        """Stay in evaluation mode, whatever this is a part of."""
        return self

    @torch.no_grad()
    def encode_image(self, images, layers):
        """Return embeddings and tokens of images of 1 or 3 channels, from 0 to 1."""
        return self.model.encode_image((images - self.mean) / self.std, layers)

    @torch.no_grad()
    def project(self, tokens):
        """Return tokens of the last layer in the space that is shared with texts."""
        return self.model.project(tokens)

    def encode_text(self, embeddings, ends):
        """Return texts, given the vectors of their tokens, in the shared space."""
        return self.model.encode_text(embeddings, ends)

    @torch.no_grad()
    def embed(self, texts):
        """Return the vectors of the tokens of texts, and the places of their ends."""
        texts = list(texts)
        ids, ends = self.model.tokenize(texts)
        if ids.shape[1] > self.context:
            raise ValueError(
                f"{max(texts, key=len)!r} is a text of {ids.shape[1]} tokens; "
                f"backbone takes {self.context}. Shorten class_names."
            )
        device = self.mean.device
        return self.model.embed_tokens(ids.to(device)), ends.to(device)

    def widths(self, size):
        """Tell what tokens and embeddings are like, after a try.

        Parameters
        ----------
        size : tuple of two ints
            Height and width of images, of whole patches.

        Returns
        -------
        widths : Widths
            The numbers of channels.

        Raises
        ------
        ValueError
            If the CLIP does not give what it should.
        """
        n_patches = (size[0] // self.patch_size) * (size[1] // self.patch_size)
        image = torch.zeros((1, 3, *size), device=self.mean.device)
        try:
            embedding, (tokens,) = self.encode_image(image, (self.n_layers,))
            words, ends = self.embed(["a photo"])
            text = self.encode_text(words, ends)
        # What somebody else wrote may fail in any way.
        except Exception as error:
            raise ValueError(
                f"backbone cannot take images of {size[0]} x {size[1]} pixels and "
                f"texts: {error}"
            ) from error
        widths = Widths(tokens.shape[-1], words.shape[-1], text.shape[-1])
        expected = {
            "tokens": (tokens, (1, 1 + n_patches, widths.image)),
            "image embeddings": (embedding, (1, widths.both)),
            "text embeddings": (text, (1, widths.both)),
        }
        for name, (part, shape) in expected.items():
            if tuple(part.shape) != shape:
                raise ValueError(
                    f"backbone returned {name} of shape {tuple(part.shape)} for an "
                    f"image of {size[0]} x {size[1]} pixels; expected {shape}."
                )
            if part.dtype != torch.float32:
                raise ValueError(
                    f"backbone returned {name} of {part.dtype}; expected float32. "
                    "Convert it by its method float()."
                )
        return widths


def _frozen(model):
    """Return a module with the same weights in the same memory, but no gradients."""
    parts = itertools.chain(model.parameters(), model.buffers())
    shared = {id(part): part.detach() for part in parts}
    for part in model.parameters():
        shared[id(part)] = nn.Parameter(part.detach(), requires_grad=False)
    return copy.deepcopy(model, shared).eval()


def load_clip(backbone):
    """Make the CLIP that the parameter ``backbone`` stands for.

    Parameters
    ----------
    backbone : nn.Module, callable, str or path-like
        A CLIP, see `FrozenCLIP`; a function that makes one; or the directory of one of
        Hugging Face, or its name on their hub.

    Returns
    -------
    clip : FrozenCLIP
        The CLIP.

    Raises
    ------
    ImportError
        If transformers is missing.

    TypeError, ValueError
        If nothing can be made of the parameter: why.
    """
    if isinstance(backbone, nn.Module):
        return _clip_of(backbone)
    if isinstance(backbone, (str, PathLike)):
        return FrozenCLIP(_hugging_face_clip(*hugging_face_source(backbone)))
    if callable(backbone):
        return _clip_of(made_by(backbone))
    raise TypeError(
        f"backbone is {backbone!r}; expected a CLIP, a function that makes one, a "
        "directory or a name."
    )


def _clip_of(module):
    if is_vision_model(module):
        raise TypeError(
            f"backbone is a {type(module).__name__} without the tokenizer of its "
            "texts; expected skad.vision.HuggingFaceCLIP(model, tokenizer)."
        )
    missing = [name for name in _METHODS + _NUMBERS if not hasattr(module, name)]
    if missing:
        raise TypeError(
            f"backbone is a {type(module).__name__} without {', '.join(missing)}, "
            "which a CLIP has to have."
        )
    return FrozenCLIP(module)


def _hugging_face_clip(name, local):
    model, scale = pretrained_model(name, local=local)
    from transformers import AutoTokenizer, CLIPModel

    if not isinstance(model, CLIPModel):
        raise ValueError(
            f"backbone {name!r} is a {type(model).__name__}; expected a CLIPModel."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
        return HuggingFaceCLIP(model, tokenizer, **scale)
    # The hub and the readers of files have errors of their own.
    except Exception as error:
        raise ValueError(
            f"backbone {name!r} has no tokenizer that can be loaded: {error}"
        ) from error
