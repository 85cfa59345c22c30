"""Synthetic defects: images that are anomalous in places that are known."""

import math

import torch
from torch.nn import functional as F

# The ways to mirror an image, none among them.
N_MIRRORED = 4
# The least and the largest share of an image that noise marks as one defect.
_AREA = 0.0005, 0.1
# Strips: length and width as shares of the image's longer side, and how bent they are.
_LENGTH, _WIDTH, _BEND = (0.03, 0.5), (0.015, 0.15), 0.5
# Noise has up to this power of two waves along each side, and repeats after so many.
_FINEST, _N_CELLS = 5, 64
# What a defect shows is mixed with what was there, up to this share of the latter.
_MIXED = 0.8
# Other textures are magnified by this much, and change contrast by up to a factor.
_ZOOM, _CONTRAST = (0.4, 1.4), 2.0


def with_defects(images, probability):
    """Plant defects into images.

    A defect has the shape of a blob of noise, of a strip, or of two strips, and shows
    the texture of another image, another place of the image, one colour, or what is
    there in another brightness.

    Parameters
    ----------
    images : tensor of shape (n_samples, n_channels, height, width)
        The images, of any scale.

    probability : float
        The probability of a defect, for each image.

    Returns
    -------
    images : tensor of the shape of images
        The images with defects.

    masks : tensor of shape (n_samples, 1, height, width)
        1 where the defects are, 0 elsewhere.
    """
    masks = _shapes(images) & (_uniform(images) < probability)
    masks = masks.to(images.dtype)
    # Every second defect has a soft edge, by which alone it is not to be found.
    soft = F.avg_pool2d(masks, 3, 1, 1, count_include_pad=False)
    shown = torch.where(_uniform(images) < 0.5, soft, masks)
    shown = shown * (1 - _MIXED * _uniform(images))
    return images + shown * (_contents(images) - images), masks


def mirrored(images, ways):
    """Mirror images.

    Parameters
    ----------
    images : tensor of shape (n_samples, n_channels, height, width)
        The images.

    ways : tensor of shape (n_samples,)
        0 for none, 1 for left and right exchanged, 2 for top and bottom, 3 for both.

    Returns
    -------
    images : tensor of the shape of images
        The mirrored images.
    """
    ways = ways.to(images.device).view(-1, 1, 1, 1)
    images = torch.where(ways % 2 == 1, images.flip(3), images)
    return torch.where(ways >= 2, images.flip(2), images)


def perlin_noise(images):
    """Draw smooth noise, of another size and direction for each image.

    Parameters
    ----------
    images : tensor of shape (n_samples, n_channels, height, width)
        What the noise is for.

    Returns
    -------
    noise : tensor of shape (n_samples, 1, height, width)
        Gradient noise in about [-1, 1].
    """
    n_samples = len(images)
    n_waves = torch.randint(_FINEST + 1, (2, n_samples, 1, 1, 1), device=images.device)
    places = _turned(images, math.pi * _uniform(images)) * 2.0**n_waves
    places = places + _N_CELLS * torch.stack([_uniform(images), _uniform(images)])
    corner = places.floor()
    inside = places - corner
    angles = 2 * math.pi * torch.rand(n_samples, _N_CELLS**2, device=images.device)
    slopes = torch.stack([angles.cos(), angles.sin()])
    weight = inside**3 * (inside * (inside * 6 - 15) + 10)
    noise = torch.zeros_like(images[:, :1])
    for y in (0, 1):
        for x in (0, 1):
            cell = (corner[0] + y) % _N_CELLS * _N_CELLS + (corner[1] + x) % _N_CELLS
            index = cell.long().flatten(1).expand(2, -1, -1)
            slope = slopes.gather(2, index).view_as(inside)
            ramp = slope[0] * (inside[0] - y) + slope[1] * (inside[1] - x)
            near = [
                weight[0] if y else 1 - weight[0],
                weight[1] if x else 1 - weight[1],
            ]
            noise += ramp * near[0] * near[1]
    return noise


def _shapes(images):
    strips = _strips(images)
    kind = _uniform(images)
    other = torch.where(kind < 0.75, strips, strips | _strips(images))
    return torch.where(kind < 0.5, _blobs(images), other)


def _blobs(images):
    """Mark where noise is highest, in an area of any order of magnitude."""
    noise = perlin_noise(images).flatten(1)
    share = _log_uniform(images, *_AREA).flatten(1)
    place = ((1 - share) * noise.shape[1]).long().clamp(max=noise.shape[1] - 1)
    return (noise >= noise.sort(1)[0].gather(1, place)).view_as(images[:, :1])


def _strips(images):
    y, x = _turned(images, math.pi * _uniform(images), around_a_pixel=True)
    bend = _BEND * torch.randn_like(_uniform(images))
    length, width = _log_uniform(images, *_LENGTH), _log_uniform(images, *_WIDTH)
    return (y.abs() <= length / 2) & ((x - bend * y**2).abs() <= width / 2)


def _contents(images):
    """Return what defects show, as if they covered all of the image."""
    spread = images.std((1, 2, 3), keepdim=True, correction=0)
    colour = spread * torch.randn_like(images[:, :, :1, :1])
    factor = _log_uniform(images, 1 / _CONTRAST, _CONTRAST)
    angle, zoom = 2 * math.pi * _uniform(images), _log_uniform(images, *_ZOOM)
    means = images.mean((2, 3), keepdim=True)
    order = torch.randperm(len(images), device=images.device)
    texture = _elsewhere(images[order], angle, zoom)
    contents = [
        means[order] + factor * (texture - means[order]) + colour,
        _elsewhere(images, torch.zeros_like(angle), torch.ones_like(zoom)),
        (means + 2 * colour).expand_as(images),
        images + 1.5 * colour,
    ]
    kind = torch.randint(len(contents), (1, len(images)), device=images.device)
    kind = kind.view(1, -1, 1, 1, 1).expand(1, *images.shape)
    return torch.stack(contents).gather(0, kind)[0]


def _elsewhere(images, angle, zoom):
    """Move the images about, turned and magnified; what leaves them is mirrored."""
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    shift = [2 * _uniform(images) - 1 for _ in range(2)]
    affine = torch.cat([cos, -sin, shift[0], sin, cos, shift[1]], dim=1)
    grid = F.affine_grid(affine.view(-1, 2, 3), images.shape, align_corners=False)
    # Nearest pixels: nets would find places that interpolation has made smoother.
    return F.grid_sample(
        images, grid, mode="nearest", padding_mode="reflection", align_corners=False
    )


def _turned(images, angle, around_a_pixel=False):
    """Return the places of pixels, of shape (2, n_samples, 1, height, width).

    They are counted from the middle, or from a pixel of each image, in units of the
    longer side.
    """
    sides = images.shape[-2:]
    y, x = (
        (torch.arange(side, device=images.device) - (side - 1) / 2) / max(sides)
        for side in sides
    )
    y, x = y[:, None], x[None, :]
    if around_a_pixel:
        rows, columns = (
            (_uniform(images) * side).long().clamp(max=side - 1) for side in sides
        )
        y, x = y - y[rows, 0], x - x[0, columns]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * y - sin * x, sin * y + cos * x])


def _uniform(images):
    return torch.rand(len(images), 1, 1, 1, device=images.device)


def _log_uniform(images, low, high):
    return low * (high / low) ** _uniform(images)
