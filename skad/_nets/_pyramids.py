"""A small pyramid of feature maps, and how it learns without labels."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from skad._nets._defects import N_MIRRORED, mirrored, with_defects
from skad._nets._net import DetectorNet

# The part of the training over which the learning rate rises, before it falls.
_RISE = 0.2
# Deviations up to this share of the mean are none.
_ROUNDING = 1e-6


def convolution(before, after, size=3, stride=1):
    """Return a convolution with batch normalisation and rectification."""
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, size // 2, bias=False),
        BatchNorm(after),
        nn.ReLU(),
    )


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that takes a batch of a single value as in evaluation."""

    def forward(self, x):
        """Normalise each channel."""
        if x.numel() > x.shape[1] or not self.training:
            return super().forward(x)
        usual = self.running_mean, self.running_var
        return F.batch_norm(x, *usual, self.weight, self.bias, eps=self.eps)


class Residual(nn.Module):
    """Two convolutions around which what comes in goes past.

    Parameters
    ----------
    n_channels : int
        The number of channels.

    inner : int
        The number of channels between the convolutions.

    sizes : tuple of two ints, default=(3, 3)
        The sizes of the two.
    """

    def __init__(self, n_channels, inner, sizes=(3, 3)):
        super().__init__()
        self.first = convolution(n_channels, inner, sizes[0])
        self.second = nn.Conv2d(inner, n_channels, sizes[1], 1, sizes[1] // 2)
        self.norm = BatchNorm(n_channels)

    def forward(self, x):
        """Add what the convolutions make of maps to them."""
        return F.relu(x + self.norm(self.second(self.first(x))))


class SmallPyramid(nn.Module):
    """Maps of half the size of the image, a quarter, and so on.

    Parameters
    ----------
    channels : tuple of int
        Number of channels of each level, fine ones first.
    """

    def __init__(self, channels):
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(convolution(before, after, 3, 2), Residual(after, after))
            for before, after in zip((3, *channels), channels, strict=False)
        )

    def forward(self, images):
        """Return the maps of images of shape (n_samples, 3, height, width)."""
        maps = []
        for level in self.levels:
            images = level(images)
            maps.append(images)
        return maps


class DefectFinder(nn.Module):
    """A pyramid, and what finds synthetic defects in its maps.

    From coarse to fine, maps of one width are merged, and tell how likely each place
    of a level is part of a defect.

    Parameters
    ----------
    pyramid : nn.Module
        The pyramid, for images that are normalised.

    channels : tuple of int
        Its number of channels.

    mean, std : tensor of shape (3, 1, 1)
        What images are normalised with.

    probability : float
        The probability that an image gets a defect.

    augment : bool
        Whether images are mirrored by chance.
    """

    def __init__(self, pyramid, channels, mean, std, probability, augment):
        super().__init__()
        self.pyramid = pyramid
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.probability = probability
        self.augment = augment
        width = channels[0]
        self.sideways = nn.ModuleList(nn.Conv2d(n, width, 1) for n in channels)
        self.merge = nn.ModuleList(convolution(width, width) for _ in channels)
        self.output = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in channels)

    def forward(self, images):
        """Return the mean cross-entropy of places, summed over levels."""
        if self.augment:
            images = mirrored(images, torch.randint(N_MIRRORED, (len(images),)))
        images, masks = with_defects(images, self.probability)
        maps = self.pyramid((images - self.mean) / self.std)
        coarse, loss = None, 0
        for level in reversed(range(len(maps))):
            merged = self.sideways[level](maps[level])
            if coarse is not None:
                merged = merged + F.interpolate(coarse, merged.shape[-2:])
            coarse = self.merge[level](merged)
            share = F.adaptive_avg_pool2d(masks, merged.shape[-2:])
            found = self.output[level](coarse)
            loss = loss + F.binary_cross_entropy_with_logits(found, share)
        return loss


class ScheduledNet(DetectorNet):
    """Raises the learning rate at first, and lowers it to nothing in the end.

    When training goes on, this begins anew.
    """

    def on_train_begin(self, net, **kwargs):
        """Begin to count."""
        super().on_train_begin(net, **kwargs)
        self._n_steps = 0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Set the learning rate."""
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)
        if training:
            for group in self.optimizer_.param_groups:
                group["lr"] = self.lr * _rate(self._n_steps * self._stride)
            self._n_steps += 1


class Given(nn.Module):
    """The loss of a net that computes it itself."""

    def forward(self, output, _):
        """Return it."""
        return output


def _rate(progress):
    """Return the share of the learning rate: rising in a line, falling by a cosine."""
    if progress < _RISE:
        return 0.1 + 0.9 * progress / _RISE
    return 0.5 + 0.5 * math.cos(math.pi * (progress - _RISE) / (1 - _RISE))


def deviation(mean, square):
    """Return deviations, given means of values and of squares; 0 if it is rounding."""
    std = (square - mean**2).clamp_min(0).sqrt()
    return torch.where(std > _ROUNDING * mean.abs(), std, torch.zeros_like(std))
