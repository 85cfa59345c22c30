"""How frames differ from what was predicted: the loss, and the errors of scores."""

import torch
from torch import nn
from torch.nn import functional as F

# The Gaussian window of structural similarity, in pixels, and its constants.
_WIDTH, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
# The squared error of eight bits, below which none counts.
_ROUNDING = 1 / (12 * 255**2)
# Patches, in each direction, from which it is learned what is usual in a place; and
# the share of the mean spread that the errors of each place have at least.
_N_AROUND, _LEAST_SPREAD = 5, 0.1
# Less than that is not told apart.
_LEAST_EXCESS, _LEAST_UNLIKE = 0.1, 1e-4


class FrameLoss(nn.Module):
    """Structural dissimilarity and absolute errors of the middle frames.

    The errors are not blurred, as the window would not fit around pixels at the border,
    and leave these to chance.

    Parameters
    ----------
    alpha : float, default=0.5
        The weight of the dissimilarity, that of the errors being what is left of 1.
    """

    def __init__(self, alpha=0.5):
        super().__init__()
        self.alpha = alpha

    def forward(self, predicted, clips):
        """Return the mean over all frames."""
        n_target = predicted.shape[1]
        first = (clips.shape[1] - n_target) // 2
        frames = clips[:, first : first + n_target].flatten(0, 1)
        # Squares and their differences have no meaning in half precision.
        predicted = predicted.flatten(0, 1).float()
        dissimilarity = 1 - similarity(predicted, frames).mean()
        errors = (predicted - frames).abs().mean()
        return self.alpha * dissimilarity + (1 - self.alpha) * errors


def similarity(first, second):
    """Return the structural similarity of images of values from 0 to 1, in each place.

    Parameters
    ----------
    first, second : tensor of shape (n_images, n_colors, height, width)
        The images.

    Returns
    -------
    similarity : tensor of shape (n_images, n_colors, ...)
        1 where they are equal, for each place of a window.
    """
    # Variances are differences of squares, which must not be large beside them.
    level = second.detach().mean((2, 3), keepdim=True)
    first, second = first - level, second - level
    parts = [first, second, first**2 + second**2, first * second]
    means = blurred(torch.cat(parts, dim=1))
    x, y, squares, product = means.split(first.shape[1], dim=1)
    structure = (2 * (product - x * y) + _C2) / (squares - x**2 - y**2 + _C2)
    x, y = x + level, y + level
    return structure * (2 * x * y + _C1) / (x**2 + y**2 + _C1)


def blurred(images):
    """Return Gaussian means, where the window fits into an image."""
    for axis in (2, 3):
        weights = _window(images.shape[axis]).to(images)
        shape = [1, 1, 1, 1]
        shape[axis] = len(weights)
        kernel = weights.reshape(shape).expand(images.shape[1], *shape[1:])
        images = F.conv2d(images, kernel, groups=images.shape[1])
    return images


def _window(side):
    width = min(_WIDTH, side - 1 + side % 2)
    offsets = torch.arange(width) - (width - 1) / 2
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    return weights / weights.sum()


def patch_means(maps, size):
    """Return the means of patches, half of each being in the next one.

    Parameters
    ----------
    maps : tensor of shape (n_frames, n_colors, height, width)
        The maps.

    size : int
        Height and width of a patch; those of the maps if these are less.

    Returns
    -------
    means : tensor of shape (n_frames, n_rows, n_columns)
        The means. What is over at the lower and the right border makes smaller ones.
    """
    maps = maps.mean(1, keepdim=True)
    size = [min(size, side) for side in maps.shape[-2:]]
    stride = [max(1, side // 2) for side in size]
    means = F.avg_pool2d(maps, size, stride, ceil_mode=True, count_include_pad=False)
    return means[:, 0]


class FrameErrors(nn.Module):
    """Say how much frames differ from predictions, with what is usual in each place.

    Parameters
    ----------
    patch_size : int
        Height and width of a patch, in pixels.
    """

    def __init__(self, patch_size):
        super().__init__()
        self.patch_size = patch_size
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("spread", torch.ones(1))

    def patches(self, predicted, frames):
        """Return the mean squared errors of patches, as `patch_means` does."""
        return patch_means((predicted - frames) ** 2, self.patch_size)

    def learn(self, patches):
        """Learn what errors of patches are usual from those of normal frames.

        Parameters
        ----------
        patches : tensor of shape (n_frames, n_rows, n_columns)
            The errors.
        """
        patches = patches.to(self.mean)
        spread, mean = torch.std_mean(patches, dim=0, correction=0)
        least = _LEAST_SPREAD * spread.mean() + _ROUNDING
        self.mean = _around(mean)
        self.spread = _around(spread).clamp_min(least)

    def forward(self, predicted, frames):
        """Return logarithms of errors of frames; the higher, the more they differ.

        Parameters
        ----------
        predicted, frames : tensor of shape (n_frames, n_colors, height, width)
            The images; black is 0 and white 1.

        Returns
        -------
        errors : tensor of shape (n_frames, 3)
            Of the mean squared error; of the standardised error of the patch where it
            is highest; and of one minus the structural similarity of the patch where
            that is lowest.
        """
        squares = ((predicted - frames) ** 2).mean((1, 2, 3))
        excess = (self.patches(predicted, frames) - self.mean) / self.spread
        unlike = patch_means(1 - similarity(predicted, frames), self.patch_size)
        errors = [
            squares + _ROUNDING,
            excess.flatten(1).amax(1).clamp_min(_LEAST_EXCESS),
            unlike.flatten(1).amax(1).clamp_min(0) + _LEAST_UNLIKE,
        ]
        return torch.stack(errors, dim=1).log()


def _around(values):
    """Return the means of the patches around each of them."""
    half = _N_AROUND // 2
    padded = F.pad(values[None, None], [half] * 4, mode="replicate")
    return F.avg_pool2d(padded, _N_AROUND, 1)[0, 0]
