"""Images as a frozen CLIP sees them, with the texts that they are asked about."""

import torch
from torch.nn.functional import normalize
from torch.utils.data import Dataset

# The name of what has no other.
OBJECT = "object"
# The words for images without and with a defect, where prompts are learned.
STATES = ("good", "damaged")
# What is written where they are not.
_TEMPLATES = ("a photo of {a}{}", "a photo of the {}", "a close-up photo of {a}{}")
_GOOD = ("{}", "good {}", "flawless {}", "perfect {}")
_DAMAGED = ("damaged {}", "broken {}", "defective {}", "{} with a defect")
# Images that are looked at at once.
_BLOCK = 16


class NameTexts:
    """Texts about things of several names, as a CLIP reads them.

    Parameters
    ----------
    clip : FrozenCLIP
        The CLIP.

    names : list of str
        The names. That of any object comes before them, as number 0.

    by_hand : bool
        Whether the texts about states are those that somebody wrote, or those that
        prompts come before.

    Attributes
    ----------
    plain : tensor of shape (n_names, n_dims)
        A photo of one, in the shared space, of length one.

    words : tensor of shape (n_names, 2, length, text_width)
        A good and a damaged one, in vectors of their tokens; not if `by_hand`.

    ends : tensor of shape (n_names, 2)
        The places of the ends of these texts; not if `by_hand`.

    written : tensor of shape (n_names, 2, n_dims)
        Good and damaged ones, in several words, in the shared space; if `by_hand`.
    """

    def __init__(self, clip, names, by_hand):
        names = [OBJECT, *names]
        self.plain = _read(clip, [_filled(_TEMPLATES[0], name) for name in names])
        self.by_hand = by_hand
        if by_hand:
            self.written = torch.stack([_written(clip, name) for name in names])
            return
        short = [f"{state} {name}" for name in names for state in STATES]
        words, ends = clip.embed(short)
        self.words, self.ends = words.unflatten(0, (-1, 2)), ends.view(-1, 2)

    def about(self, codes):
        """Return what there is about names, a row for each of some codes."""
        if self.by_hand:
            return {"codes": codes, "written": self.written[codes]}
        return {
            "codes": codes,
            "words": self.words[codes],
            "ends": self.ends[codes],
        }


def _written(clip, name):
    texts = [
        _read(clip, [_filled(t, s.format(name)) for t in _TEMPLATES for s in states])
        for states in (_GOOD, _DAMAGED)
    ]
    return normalize(torch.stack([part.mean(0) for part in texts]), dim=1)


def _filled(template, thing):
    """Return a text about a thing, with the article that it takes."""
    return template.format(thing, a="an " if thing[:1].lower() in "aeiou" else "a ")


@torch.no_grad()
def _read(clip, texts):
    return normalize(clip.encode_text(*clip.embed(texts)), dim=1)


class NameFilter:
    """Which images are asked about by the name of what they show.

    A name counts as far as a CLIP takes the image for a photo of that, rather than
    for one of an object.

    Parameters
    ----------
    kind : {"hard", "soft"} or None
        Whether a name counts or not, counts in part, or counts always.

    margin : float
        By how much the cosine has to be higher.
    """

    def __init__(self, kind, margin):
        self.kind, self.margin = kind, margin

    def weights(self, clip, images, codes, texts):
        """Return how much names count, from 0 to 1.

        Parameters
        ----------
        clip : FrozenCLIP
            The CLIP.

        images : tensor of shape (n_samples, n_dims)
            Embeddings of images, of length one.

        codes : tensor of shape (n_samples,)
            The names of what they show.

        texts : NameTexts
            The texts of these names.

        Returns
        -------
        weights : tensor of shape (n_samples,)
            The weights; 0 for those whose name is that of any object.
        """
        named = (codes > 0).to(images.dtype)
        if self.kind is None:
            return named
        cosines = images @ texts.plain.mT
        own = cosines.gather(1, codes[:, None])[:, 0]
        more = own - cosines[:, 0] - self.margin
        if self.kind == "hard":
            return named * (more > 0)
        return named * torch.sigmoid(clip.logit_scale * more)


class ClipRows(Dataset):
    """What a CLIP sees in images, and what it is asked about them.

    Parameters
    ----------
    images : sequence of tensor of shape (n_channels, height, width)
        The images, with values from 0 to 1; they are read by slices or indices.

    clip : FrozenCLIP
        The CLIP.

    layers : tuple of int
        The layers whose tokens are looked at.

    texts : NameTexts
        The texts of all names.

    codes : tensor of shape (n_samples,)
        The name of what each image shows.

    name_filter : NameFilter
        Which names count.

    memory : tuple of ReferenceTokens and tensor of bool, default=None
        What normal images are like, and which of them each image is compared with.
    """

    def __init__(self, images, clip, layers, texts, codes, name_filter, memory=None):
        self.images, self.codes = images, codes
        self.clip, self.layers = clip, layers
        self.texts, self.name_filter = texts, name_filter
        self.memory = memory
        self._kept = None

    def __len__(self):
        return len(self.images)

    def share(self, other):
        """Take what another one, of the same images, has kept."""
        self._kept = other._kept
        return self

    def cache(self, n_bytes):
        """Keep what the CLIP sees in as many images as fit into some bytes."""
        one = self._seen(slice(0, 1))
        n_kept = int(min(len(self), n_bytes // sum(part.nbytes for part in one)))
        kept = [part.new_empty(n_kept, *part.shape[1:]) for part in one]
        for start in range(0, n_kept, _BLOCK):
            chosen = slice(start, min(start + _BLOCK, n_kept))
            for part, values in zip(kept, self._seen(chosen), strict=True):
                part[chosen] = values
        self._kept = kept
        return self

    def __getitem__(self, index):
        """Return features and texts, for images of a slice or of indices."""
        image, *tokens = self._features(index)
        codes = self.codes[index].to(image.device)
        weights = self.name_filter.weights(self.clip, image, codes, self.texts)
        codes = torch.where(weights > 0, codes, 0)
        batch = {
            "image": image,
            "tokens": tokens,
            "weights": weights,
            "named": self.texts.about(codes),
        }
        if self.name_filter.kind == "soft":
            batch["general"] = self.texts.about(torch.zeros_like(codes))
        if self.memory is not None:
            references, allowed = self.memory
            batch["distances"] = references.distances(tokens, allowed[index])
        return batch

    def patches(self):
        """Return the patches of all images by each layer, of length one, on the CPU."""
        blocks = torch.arange(len(self)).split(_BLOCK)
        found = [[part[:, 1:] for part in self._features(b)[1:]] for b in blocks]
        layers = (torch.cat(part) for part in zip(*found, strict=True))
        return [normalize(part, dim=2).cpu() for part in layers]

    def _features(self, index):
        """Return embeddings of images, and the tokens of each layer."""
        if self._kept is None:
            return self._seen(index)
        index = torch.arange(len(self))[index]
        n_kept = len(self._kept[0])
        known = index < n_kept
        if known.all():
            return [part[index] for part in self._kept]
        new = self._seen(index[~known])
        found = []
        for part, values in zip(self._kept, new, strict=True):
            both = values.new_empty(len(index), *values.shape[1:])
            both[known], both[~known] = part[index[known]], values
            found.append(both)
        return found

    @torch.no_grad()
    def _seen(self, index):
        images = self.images[index].to(self.clip.mean.device)
        image, tokens = self.clip.encode_image(images, self.layers)
        return [normalize(image, dim=1), *tokens]


class LearningRows(ClipRows):
    """The same with what is known of the images.

    Parameters
    ----------
    *args
        As of `ClipRows`.

    damaged : tensor of bool of shape (n_samples,)
        Whether images have a defect.

    masks : Rows or None
        Where it is, as shares of pixels of what the CLIP sees.
    """

    def __init__(self, *args, damaged, masks):
        super().__init__(*args)
        self.damaged, self.masks = damaged, masks

    def __getitem__(self, index):
        """Return features, texts and answers, for images of a slice or of indices."""
        batch = super().__getitem__(index)
        batch["damaged"] = self.damaged[index]
        if self.masks is not None:
            batch["masks"] = self.masks[index]
        return batch


class ReferenceTokens:
    """What the patches of normal images are like.

    Parameters
    ----------
    tokens : list of tensor of shape (n_references, n_patches, width)
        The tokens of each layer, of length one.

    names : ndarray of shape (n_references,) or None
        What the images show. If None, all images may be compared with all.
    """

    def __init__(self, tokens, names):
        self.tokens, self.names = tokens, names

    def allowed(self, names):
        """Return which references images of some names are compared with."""
        shape = (len(names), len(self.tokens[0]))
        if self.names is None:
            return torch.ones(shape, dtype=torch.bool)
        return torch.from_numpy(names[:, None] == self.names)

    def distances(self, tokens, allowed):
        """Return how far patches are from the nearest ones of normal images.

        Parameters
        ----------
        tokens : list of tensor of shape (n_samples, 1 + n_patches, width)
            The tokens of each layer.

        allowed : tensor of bool of shape (n_samples, n_references)
            Which references each image is compared with.

        Returns
        -------
        distances : tensor of shape (n_samples, n_patches)
            One minus the highest cosine, as a mean over layers.
        """
        far = 0
        for part, references in zip(tokens, self.tokens, strict=True):
            patches = normalize(part[:, 1:], dim=2)
            nearest = torch.full_like(patches[..., 0], -1)
            # One at a time: the cosines with all of them may take gigabytes.
            for i, reference in enumerate(references.to(part.device)):
                cosines = (patches @ reference.mT).amax(2)
                known = allowed[:, i, None].to(part.device)
                nearest = torch.where(known, nearest.maximum(cosines), nearest)
            far = far + 1 - nearest
        return far / len(tokens)
