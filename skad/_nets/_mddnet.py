"""The two decoders of MDD-Net, its memory, and what they say of teacher's maps."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from skad._nets._feature_rows import normal_batches
from skad._nets._memory import ClassMemory
from skad._nets._pyramids import Residual, ScheduledNet, convolution, deviation

# Of the norm of vectors whose angle is taken.
_EPS = 1e-6
# Discrepancies are standardised by what is usual around a place, within this share of
# the longer side, and by no less than this share of the mean deviation. All images
# together count as so many of a category.
_AROUND, _LEAST_SPREAD, _SHARED = 1 / 16, 0.3, 8
# The part of the training after which the memory is first filled.
_WARM_UP = 0.1
# Gaussians that smooth maps are left out below this width, in pixels: a neighbour
# would weigh nothing.
_NARROWEST = 0.1


class Bottleneck(nn.Module):
    """Merge the maps of all levels into a code of half the coarsest size.

    Parameters
    ----------
    levels : list of Level
        What the maps are like.
    """

    def __init__(self, levels):
        super().__init__()
        self.size = levels[-1].size
        down, total = [], 0
        for level in levels:
            n_channels, steps = level.n_channels, []
            for _ in range(round(math.log2(max(level.size) / max(self.size)))):
                steps.append(convolution(n_channels, 2 * n_channels, 3, 2))
                n_channels *= 2
            down.append(nn.Sequential(*steps))
            total += n_channels
        self.down = nn.ModuleList(down)
        width = code_width(levels)
        self.merge = nn.Sequential(
            convolution(total, width, 1),
            convolution(width, width, 3, 2),
            Residual(width, width // 2),
        )

    def forward(self, maps):
        """Return codes of shape (n_samples, width, height, width)."""
        parts = [down(part) for down, part in zip(self.down, maps, strict=True)]
        parts = [_to_size(part, self.size) for part in parts]
        return self.merge(torch.cat(parts, dim=1))


class Decoder(nn.Module):
    """Turn codes into maps of all levels, from coarse to fine.

    Parameters
    ----------
    levels : list of Level
        What the maps are like.

    sees_maps : bool
        Whether the decoder also gets the teacher's maps, at half their width.
    """

    def __init__(self, levels, sees_maps):
        super().__init__()
        self.sizes = [level.size for level in reversed(levels)]
        before = code_width(levels)
        narrow, stages, output, sideways = [], [], [], []
        for n_channels, _ in reversed(levels):
            half = max(1, n_channels // 2)
            narrow.append(nn.Conv2d(before, n_channels, 1))
            stages.append(
                nn.Sequential(
                    convolution(n_channels + sees_maps * half, n_channels),
                    Residual(n_channels, n_channels),
                )
            )
            output.append(nn.Conv2d(n_channels, n_channels, 1))
            if sees_maps:
                sideways.append(nn.Conv2d(n_channels, half, 1))
            before = n_channels
        self.narrow, self.stages = nn.ModuleList(narrow), nn.ModuleList(stages)
        self.output, self.sideways = nn.ModuleList(output), nn.ModuleList(sideways)

    def forward(self, codes, maps):
        """Return maps like those given, which are looked at only by `sees_maps`."""
        decoded = []
        for i, size in enumerate(self.sizes):
            codes = F.interpolate(self.narrow[i](codes), size)
            if self.sideways:
                codes = torch.cat([codes, self.sideways[i](maps[-1 - i])], dim=1)
            codes = self.stages[i](codes)
            decoded.append(self.output[i](codes).float())
        return decoded[::-1]


class TwoDecoders(nn.Module):
    """What learns from a teacher's maps of images with and without defects.

    Parameters
    ----------
    levels : list of Level
        What the maps are like, fine ones first.

    size : tuple of two ints
        Height and width of the images.

    n_classes : int
        Number of categories of images.

    memory_size : int
        Number of prototypes of each; 0 for no memory.

    restoration_path : {"multiscale", "bottleneck"}
        What the restoration decoder sees: the teacher's maps as well, or only the code.

    identity_path : {"multiscale", "bottleneck"} or None
        The same for the identity decoder. None for no such decoder.

    fusion : {"sum", "product"}
        How the two discrepancies become one.

    smoothing : float
        Standard deviation of the smoothing of anomaly maps, in pixels.

    top_fraction : float
        The part of the map that makes the score.

    loss_weights : tuple of float
        The weights of the losses of restoration, identity, discrepancy and memory.
    """

    def __init__(
        self,
        levels,
        size,
        n_classes,
        *,
        memory_size,
        restoration_path,
        identity_path,
        fusion,
        smoothing,
        top_fraction,
        loss_weights,
    ):
        super().__init__()
        self.size = size
        self.loss_weights = loss_weights
        self.fusion = fusion
        self.smoothing = smoothing
        self.n_top = max(1, round(top_fraction * math.prod(size)))
        self.bottleneck = Bottleneck(levels)
        self.memory = None
        if memory_size:
            self.memory = ClassMemory(n_classes, memory_size, code_width(levels))
        self.restoration = Decoder(levels, restoration_path == "multiscale")
        self.identity = None
        if identity_path is not None:
            self.identity = Decoder(levels, identity_path == "multiscale")
        self.usual = nn.ModuleList(Usual((n, 1, 1)) for n, _ in levels)
        n_signals = 1 if self.identity is None else 2
        self.discrepancies = nn.ModuleList(
            nn.ModuleList(Usual((n_classes, *shape)) for _, shape in levels)
            for _ in range(n_signals)
        )

    def forward(self, normal, damaged, masks, codes):
        """Return the weighted sum of the losses.

        Parameters
        ----------
        normal, damaged : list of tensor
            The teacher's maps of images without and with synthetic defects.

        masks : tensor of shape (n_samples, 1, height, width)
            Where these are.

        codes : tensor of shape (n_samples,)
            The category of each image.

        Returns
        -------
        loss : tensor
            The sum.
        """
        normal, damaged = self._standard(normal), self._standard(damaged)
        both = [torch.cat(pair) for pair in zip(damaged, normal, strict=True)]
        # Under mixed precision only convolutions are: angles need float32.
        code, clean = self.bottleneck(both).float().chunk(2)
        memory_loss, read = 0, code
        if self.memory is not None:
            memory_loss, read = self.memory.learn(clean, codes), self.memory(code)
        restored = self.restoration(read, damaged)
        losses = [sum(map(_mean_angle, restored, normal)), 0, 0, memory_loss]
        if self.identity is not None:
            same = self.identity(code, damaged)
            losses[1] = sum(map(_mean_angle, same, damaged))
            losses[2] = sum(
                _misplaced(*pair, masks) for pair in zip(restored, same, strict=True)
            )
        weighted = zip(self.loss_weights, losses, strict=True)
        return sum(weight * loss for weight, loss in weighted)

    def signals(self, maps):
        """Return the discrepancies of each level, teacher-restoration ones first.

        Parameters
        ----------
        maps : list of tensor
            The teacher's maps.

        Returns
        -------
        signals : dict of str to tensor of shape (n_samples, height, width)
            Named by signal and level; as "category" the one that the memory tells, of
            shape (n_samples,).
        """
        maps = self._standard(maps)
        code = self.bottleneck(maps)
        read, category = code, code.new_zeros(len(code), dtype=torch.long)
        if self.memory is not None:
            read, category = self.memory(code), self.memory.posterior(code).argmax(1)
        restored = self.restoration(read, maps)
        pairs = [(maps, restored)]
        if self.identity is not None:
            pairs.append((restored, self.identity(code, maps)))
        named = {
            f"{i}_{level}": part
            for i, pair in enumerate(pairs)
            for level, part in enumerate(map(_angles, *pair))
        }
        return {**named, "category": category}

    def calibrate(self, signals):
        """Learn from discrepancies of normal images, as float64, what is usual."""
        for i, levels in enumerate(self.discrepancies):
            for level, usual in enumerate(levels):
                usual.learn_around(signals[f"{i}_{level}"], signals["category"].long())

    def anomaly_map(self, maps):
        """Return how anomalous each pixel is, of shape (n_samples, height, width)."""
        signals = self.signals(maps)
        category, centred = signals["category"], self.fusion == "sum"
        totals = [
            sum(
                self._enlarged(usual(signals[f"{i}_{level}"], category, centred))
                for level, usual in enumerate(levels)
            )
            for i, levels in enumerate(self.discrepancies)
        ]
        fused = sum(totals) if self.fusion == "sum" else math.prod(totals)
        return smoothed(fused, self.smoothing)

    def anomaly_score(self, maps):
        """Return the mean of the highest part of the map."""
        return self.anomaly_map(maps).flatten(1).topk(self.n_top)[0].mean(1)

    def posterior(self, maps):
        """Return the probabilities of the categories, by the memory."""
        return self.memory.posterior(self.bottleneck(self._standard(maps)))

    def codes(self, maps):
        """Return the codes, one of each place: (n_samples, n_places, width)."""
        return self.bottleneck(self._standard(maps)).flatten(2).transpose(1, 2)

    def _standard(self, maps):
        return [usual(part) for usual, part in zip(self.usual, maps, strict=True)]

    def _enlarged(self, part):
        size = self.size
        return F.interpolate(part[:, None], size, mode="bilinear", antialias=True)[:, 0]


class Usual(nn.Module):
    """Standardise by means and deviations that were learned once.

    Parameters
    ----------
    shape : tuple of int
        The shape of both. The first axis may be that of categories.
    """

    def __init__(self, shape):
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def learn(self, mean, std):
        """Take over both; deviations of 0 become 1."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))

    def learn_around(self, maps, category):
        """Learn what is usual around each place, in each category.

        Parameters
        ----------
        maps : tensor of shape (n_samples, height, width)
            Discrepancies of normal images.

        category : tensor of shape (n_samples,)
            Their categories.
        """
        width = _AROUND * max(maps.shape[1:])
        moments = torch.stack([maps, maps.square()])
        shared = moments.mean(1)
        for label in range(len(self.mean)):
            own = moments[:, category == label]
            total = own.sum(1) + _SHARED * shared
            mean, square = smoothed(total / (own.shape[1] + _SHARED), width)
            std = deviation(mean, square)
            self.mean[label] = mean
            self.std[label] = std + _LEAST_SPREAD * std.mean()
        self.std[self.std == 0] = 1

    def forward(self, x, category=None, centred=True):
        """Return the values less the mean, where wished, over the deviation."""
        mean, std = self.mean, self.std
        if category is not None:
            mean, std = mean[category], std[category]
        return (x - mean) / std if centred else x / std


class MemoryNet(ScheduledNet):
    """Learns from normal images what needs no gradient, at the right times."""

    def on_train_begin(self, net, X=None, **kwargs):
        """Learn the scale of the teacher's maps, once."""
        super().on_train_begin(net, X=X, **kwargs)
        if not self.history:
            batches = normal_batches(X, self.batch_size)
            learn_moments(self.module_.usual, (maps for maps, _ in batches))

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Fill the memory once the codes have begun to mean something."""
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        memory = self.module_.memory
        ready = self.progress_ + 1 / self.max_epochs > _WARM_UP
        if memory is not None and not memory.is_filled() and ready:
            # Of all images: those that are held out may be all of a category.
            rows = getattr(dataset_train, "dataset", dataset_train)
            memory.fill(*self._normal_codes(rows))

    def notify(self, method_name, X=None, **kwargs):
        """Drop prototypes without use in the end, after the callbacks.

        Early stopping puts back what the net was, its memory included.
        """
        super().notify(method_name, X=X, **kwargs)
        memory = self.module_.memory
        if method_name == "on_train_end" and memory is not None:
            codes = self._normal_codes(X)
            if not memory.is_filled():
                memory.fill(*codes)
            memory.forget_unused(*codes)

    def _normal_codes(self, rows):
        self._set_training(False)
        found = []
        with torch.no_grad():
            for maps, classes in normal_batches(rows, self.batch_size):
                found.append((self.module_.codes(maps), classes))
        codes, classes = map(torch.cat, zip(*found, strict=True))
        return codes, classes


def learn_moments(usual, batches):
    """Let each level learn mean and deviation of its channels, batch by batch."""
    count, sums = 0, [0] * len(usual)
    for maps in batches:
        count += len(maps[0])
        for i, part in enumerate(maps):
            part = part.double()
            moments = torch.stack([part.mean((2, 3)), part.square().mean((2, 3))])
            sums[i] = sums[i] + moments.sum(1)
    for part, total in zip(usual, sums, strict=True):
        mean, square = (total / count).view(2, *part.mean.shape)
        part.learn(mean, deviation(mean, square))


def code_width(levels):
    """Return the number of channels of codes."""
    return 2 * levels[-1].n_channels


def smoothed(maps, width):
    """Smooth maps of shape (n_samples, height, width) by a Gaussian."""
    if width < _NARROWEST:
        return maps
    reach = math.ceil(3 * width)
    places = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-((places / width) ** 2) / 2)
    for axis in (1, 2):
        # Weighted means of what there is: nothing is made up beyond the border.
        shape = [1, 1, 1, 1]
        shape[axis + 1] = -1
        padding = [0, 0]
        padding[axis - 1] = reach
        weights = torch.ones_like(maps[:1])
        maps, weights = (
            F.conv2d(part[:, None], kernel.view(shape), padding=padding)[:, 0]
            for part in (maps, weights)
        )
        maps = maps / weights
    return maps


def _to_size(maps, size):
    return maps if maps.shape[-2:] == size else F.adaptive_avg_pool2d(maps, size)


def _misplaced(restored, same, masks):
    """Return by how much the discrepancy of a level is not that of the masks."""
    share = F.adaptive_avg_pool2d(masks, same.shape[-2:])[:, 0]
    return (_angles(restored, same) - share).abs().mean()


def _mean_angle(one, other):
    return _angles(one, other).mean()


def _angles(one, other):
    """Return one minus the cosine between the vectors at each place."""
    return 1 - F.cosine_similarity(one, other, dim=1, eps=_EPS)
