"""A memory of what the codes of normal images are like, by category."""

import torch
from sklearn.cluster import KMeans
from torch import nn
from torch.nn import functional as F

# How sharply prototypes compete for a code.
_TEMPERATURE = 0.1
# How much of what prototypes were remains after a batch with their category.
_DECAY = 0.95
# A prototype that gets less than this share of an equal one begins anew.
_LEAST_USE = 0.05
# The least probability of the true category that is told from 0.
_LEAST = 1e-6
# Codes of a category that prototypes are first made of.
_MAX_CODES = 4096


class ClassMemory(nn.Module):
    """Prototypes of the codes of each category, which codes are replaced with.

    A prototype follows the mean of the codes of normal images of its category that it
    is nearest to; one that is no longer nearest to any begins anew at one of them. No
    gradient, and no image with a defect, moves it.

    Parameters
    ----------
    n_classes : int
        Number of categories.

    size : int
        Number of prototypes of each.

    width : int
        Number of channels of codes.
    """

    def __init__(self, n_classes, size, width):
        super().__init__()
        self.register_buffer("prototypes", torch.zeros(n_classes, size, width))
        self.register_buffer("usage", torch.zeros(n_classes, size))
        self.merge = nn.Conv2d(2 * width, width, 1)

    def is_filled(self):
        """Tell whether there are prototypes."""
        return bool(self.usage.any())

    def forward(self, codes):
        """Return codes of shape (n_samples, width, height, width), with what is read.

        Before it is filled, a memory remembers everything.
        """
        if not self.is_filled():
            return self.merge(torch.cat([codes, codes], dim=1))
        read = self.weights(codes).flatten(2) @ self.prototypes.flatten(0, 1)
        read = read.transpose(1, 2).view_as(codes)
        return self.merge(torch.cat([codes, read], dim=1))

    def learn(self, codes, classes):
        """Learn from codes of normal images.

        Parameters
        ----------
        codes : tensor of shape (n_samples, width, height, width)
            The codes.

        classes : tensor of shape (n_samples,)
            Their categories.

        Returns
        -------
        loss : tensor
            How little the memory knew the categories; 0 before it is filled.
        """
        if not self.is_filled():
            return codes.new_zeros(())
        probability = self.posterior(codes).gather(1, classes[:, None])
        if self.training:
            self.follow(codes.detach().flatten(2).transpose(1, 2), classes)
        return -torch.log(probability.clamp_min(_LEAST)).mean()

    def weights(self, codes):
        """Return how much each prototype counts for each place, summing to one.

        Of shape (n_samples, n_places, n_classes, size).
        """
        places = F.normalize(codes.flatten(2).transpose(1, 2), dim=2)
        similarity = places @ F.normalize(self.prototypes, dim=2).flatten(0, 1).T
        similarity = similarity.masked_fill(self.usage.flatten() == 0, -torch.inf)
        weights = torch.softmax(similarity / _TEMPERATURE, dim=2)
        return weights.unflatten(2, self.usage.shape)

    def posterior(self, codes):
        """Return the probability of each category, of shape (n_samples, n_classes)."""
        return self.weights(codes).sum(3).mean(1)

    @torch.no_grad()
    def fill(self, codes, classes):
        """Begin with prototypes from k-means.

        Parameters
        ----------
        codes : tensor of shape (n_samples, n_places, width)
            The codes of normal images.

        classes : tensor of shape (n_samples,)
            Their categories. Each category has an image.
        """
        for label in range(len(self.prototypes)):
            centres, counts = _centres(codes[classes == label], self.usage.shape[1])
            self.prototypes[label, : len(centres)] = centres
            self.usage[label, : len(centres)] = counts

    @torch.no_grad()
    def follow(self, codes, classes):
        """Move prototypes to the codes that they are nearest to."""
        for label in classes.unique().tolist():
            own = codes[classes == label].flatten(0, 1)
            nearest = self._nearest(own, label)
            usage = self.usage[label]
            counts = torch.zeros_like(usage).index_add_(
                0, nearest, torch.ones_like(own[:, 0])
            )
            sums = torch.zeros_like(self.prototypes[label]).index_add_(0, nearest, own)
            total = _DECAY * usage[:, None] * self.prototypes[label]
            total += (1 - _DECAY) * sums
            usage.mul_(_DECAY).add_(counts, alpha=1 - _DECAY)
            used = usage > 0
            self.prototypes[label, used] = total[used] / usage[used, None]
            self._begin_anew(label, own)

    @torch.no_grad()
    def forget_unused(self, codes, classes):
        """Drop prototypes that are nearest to no code of a normal image.

        Categories without an image here are left alone.
        """
        for label in classes.unique().tolist():
            nearest = self._nearest(codes[classes == label].flatten(0, 1), label)
            self.usage[label] = torch.bincount(nearest, minlength=self.usage.shape[1])

    def kept(self):
        """Return the prototypes of each category, as arrays."""
        pairs = zip(self.prototypes, self.usage, strict=True)
        return [part[used > 0].cpu().double().numpy() for part, used in pairs]

    def _nearest(self, codes, label):
        similarity = (
            F.normalize(codes, dim=1) @ F.normalize(self.prototypes[label], dim=1).T
        )
        return similarity.masked_fill(self.usage[label] == 0, -torch.inf).argmax(1)

    def _begin_anew(self, label, codes):
        usage = self.usage[label]
        used = usage > 0
        least = _LEAST_USE * usage.sum() / used.sum()
        dead = (used & (usage < least)).nonzero()[:, 0]
        if len(dead):
            chosen = torch.randint(len(codes), (len(dead),), device=codes.device)
            self.prototypes[label, dead] = codes[chosen]
            usage[dead] = usage.sum() / used.sum()


def _centres(codes, size):
    """Return up to `size` centres of codes, and how many each has."""
    codes = codes.flatten(0, 1)
    chosen = torch.randperm(len(codes), device=codes.device)[:_MAX_CODES]
    distinct = codes[chosen].unique(dim=0).double().cpu().numpy()
    seed = int(torch.randint(2**31 - 1, ()))
    means = KMeans(min(size, len(distinct)), n_init=1, random_state=seed).fit(distinct)
    counts = torch.bincount(torch.as_tensor(means.labels_).long())
    return torch.as_tensor(means.cluster_centers_).to(codes), counts.to(codes)
