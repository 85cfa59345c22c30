"""Losses of maps of two states: focal and Dice."""

import torch
from torch.nn import functional as F

# Of the focal loss: how little what is known already counts.
_GAMMA = 2


def pixel_loss(logits, masks):
    """Return the focal loss of maps, and the Dice losses of both states.

    Parameters
    ----------
    logits : tensor of shape (n_samples, 2, height, width)
        For what is normal, and what is damaged.

    masks : tensor of shape (n_samples, height, width)
        How much of a pixel is damaged, from 0 to 1.

    Returns
    -------
    loss : tensor
        The sum, a mean over images.
    """
    good, damaged = logits.softmax(1).unbind(1)
    return (
        focal_loss(logits, masks)
        + dice_loss(damaged, masks)
        + dice_loss(good, 1 - masks)
    )


def focal_loss(logits, masks):
    """Return the focal loss of maps, a mean over pixels, for `pixel_loss`."""
    log = F.log_softmax(logits, dim=1)
    focal = -((1 - log.exp()) ** _GAMMA) * log
    return torch.lerp(focal[:, 0], focal[:, 1], masks).mean()


def dice_loss(probability, masks):
    """Return one minus the Dice coefficient of maps, a mean over images."""
    both = (probability * masks).sum((1, 2))
    total = probability.sum((1, 2)) + masks.sum((1, 2))
    return (1 - (2 * both + 1) / (total + 1)).mean()
