"""A small CLIP, trained on images and captions."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, check_scalar

from skad._clip_training import CLIPTraining
from skad._image import check_colors, checked_pixel_range, resized, with_channels
from skad._nets._rows import Rows
from skad._nets._small_clip import N_HEADS, n_tokens


def train_clip(
    X,
    captions,
    *,
    image_size=64,
    patch_size=8,
    width=96,
    text_width=64,
    n_layers=4,
    n_text_layers=2,
    n_dims=64,
    context=48,
    pixel_range=None,
    augment=True,
    max_epochs=30,
    batch_size=64,
    lr=0.001,
    device="auto",
    random_state=None,
    verbose=0,
):
    """Train a small CLIP on images and their captions.

    A transformer of patches and one of words learn to tell which image belongs to
    which caption, as in CLIP [1]_. It knows the words of the captions and no others.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width[, n_channels])
        The images, grey or with three channels.

    captions : array-like of str of shape (n_samples,)
        What they show.

    image_size : int, default=64
        Height and width that images are resized to, a multiple of `patch_size`.

    patch_size : int, default=8
        Height and width of a patch, a power of two.

    width : int, default=96
        Number of channels of the tokens of images, a multiple of 4.

    text_width : int, default=64
        Number of channels of the tokens of texts, a multiple of 4.

    n_layers : int, default=4
        Number of layers that images go through.

    n_text_layers : int, default=2
        Number of layers that texts go through.

    n_dims : int, default=64
        Number of dimensions of the space that images and texts share.

    context : int, default=48
        Number of tokens that fit into a text, learned prompts included.

    pixel_range : tuple of two floats, default=None
        The values of black and white in `X`. If None, (0, 255) for images of uint8,
        else the least and the greatest value.

    augment : bool, default=True
        Whether images are mirrored by chance. Not if captions speak of sides.

    max_epochs : int, default=30
        Number of passes over the images.

    batch_size : int, default=64
        Most images in a batch, which are told from one another; 2 or more.

    lr : float, default=0.001
        Highest learning rate, after a fifth of the training.

    device : str or torch.device, default="auto"
        Where the net is trained; "auto" is a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the net and its training; pass an int for reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 the losses of every epoch.

    Returns
    -------
    clip : nn.Module
        The CLIP, on the CPU, as :class:`skad.GenCLIP` takes it for `backbone`.

    Raises
    ------
    ValueError
        If images, captions or sizes are invalid, or if a caption has more words than
        fit into `context`.

    See Also
    --------
    skad.datasets.make_captioned_surfaces : Generates images with captions.

    References
    ----------
    .. [1] Radford, A. et al. (2021). "Learning Transferable Visual Models From Natural
       Language Supervision". ICML. arXiv:2103.00020.

    Examples
    --------
    >>> from skad.datasets import make_captioned_surfaces
    >>> from skad.vision import train_clip
    >>> X, captions = make_captioned_surfaces(60, size=32, random_state=0)
    >>> clip = train_clip(X, captions, image_size=32, max_epochs=1, random_state=0)
    >>> clip.n_layers
    4
    """
    sizes = {
        "image_size": image_size,
        "patch_size": patch_size,
        "width": width,
        "text_width": text_width,
        "n_layers": n_layers,
        "n_text_layers": n_text_layers,
        "n_dims": n_dims,
        "context": context,
    }
    _check_sizes(sizes)
    check_scalar(max_epochs, "max_epochs", Integral, min_val=1)
    check_scalar(batch_size, "batch_size", Integral, min_val=2)
    check_scalar(lr, "lr", Real, min_val=0, include_boundaries="neither")
    check_scalar(augment, "augment", (bool, np.bool_))
    check_scalar(verbose, "verbose", Integral)
    X = np.asanyarray(X)
    if X.ndim not in (3, 4):
        raise ValueError(
            f"X has shape {X.shape}; expected (n_samples, height, width) or "
            "(n_samples, height, width, n_channels)."
        )
    X = check_array(X, dtype="numeric", allow_nd=True, input_name="X")
    shape = with_channels(X.shape[1:])
    check_colors(shape, "train_clip")
    captions = _checked_captions(captions, len(X), context)
    is_bytes = X.dtype == np.uint8 and pixel_range is None
    low, high = checked_pixel_range((0, 255) if is_bytes else pixel_range, X)

    def converted(rows):
        images = rows.reshape(len(rows), *shape)
        return (resized(images, (image_size, image_size)) - low) / (high - low)

    training = CLIPTraining(
        sizes,
        augment,
        max_epochs=max_epochs,
        batch_size=batch_size,
        lr=lr,
        device=device,
        random_state=random_state,
        verbose=verbose,
    )
    return training.fit_clip(Rows(X, converted), captions)


def _check_sizes(sizes):
    for name, value in sizes.items():
        check_scalar(value, name, Integral, min_val=1)
    patch_size, image_size = sizes["patch_size"], sizes["image_size"]
    if patch_size & (patch_size - 1) or patch_size < 2:
        raise ValueError(f"patch_size is {patch_size}; expected a power of two.")
    if image_size % patch_size:
        raise ValueError(
            f"image_size is {image_size}; expected a multiple of patch_size, "
            f"{patch_size}."
        )
    for name in ("width", "text_width"):
        if sizes[name] % N_HEADS:
            raise ValueError(
                f"{name} is {sizes[name]}; expected a multiple of {N_HEADS}."
            )


def _checked_captions(captions, n_rows, context):
    if isinstance(captions, (list, tuple)):
        # Numbers beside texts would become texts.
        captions = np.array(captions, dtype=object)
    captions = np.asarray(captions)
    check_consistent_length(np.empty(n_rows), captions)
    wrong = [c for c in captions.tolist() if not isinstance(c, str) or not c.strip()]
    if captions.ndim != 1 or wrong:
        given = wrong[0] if wrong else captions.shape
        raise ValueError(f"captions is or holds {given!r}; expected a text per image.")
    if len(set(captions.tolist())) < 2:
        raise ValueError(
            "captions are all the same; a CLIP learns to tell different ones apart."
        )
    longest = max(captions.tolist(), key=n_tokens)
    if n_tokens(longest) > context:
        raise ValueError(
            f"captions holds one of {n_tokens(longest)} tokens, {longest[:40]!r}; "
            f"context is {context}."
        )
    return captions.astype(str)
