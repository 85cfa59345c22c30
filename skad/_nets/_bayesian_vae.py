"""The Bayesian variational autoencoder with attention, and its loss."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from skad._nets._layers import MapAttention, MonteCarloDropout
from skad._nets._net import DetectorNet

# Bounds of logarithms of variances; images have about unit variance.
_LOG_VARIANCE = (-6.0, 3.0)
# Share of the training with a variance of 1, which the first large errors would
# otherwise blow up, and until which the divergence gets its full weight.
_UNIT_VARIANCE, _WARM_UP = 0.15, 0.3
# Training images are turned (in radians), scaled and moved by up to this much.
_ANGLE, _SCALE, _SHIFT = 0.15, 0.1, 0.06
# The noise that training images get is drawn for so many places along each side.
_NOISE_GRID = 4
# Anomalies are larger than a pixel: errors are averaged over this share of the
# image's side, and the score takes the worst part of the image.
_COARSE, _WORST = 1 / 8, 0.05
# The part of its mean that is added to a map that divides.
_FLOOR = 0.1
# Objects count as symmetric if their sides correlate by more than this: sides that do
# not differ by more than each of them varies.
_SYMMETRIC = 0.5
# A standard deviation to either side of the median of a normal distribution.
_QUANTILES = 0.1587, 0.5, 0.8413
# The least spread that the parts of the score, logarithms, are divided by, and what
# stands for a square of zero in them.
_LEAST_SPREAD, _NOTHING = 0.01, 1e-12
_GROUPS = 8


class VariationalAutoencoder(nn.Module):
    """One member: an encoder and a decoder with attention on the inner maps.

    Parameters
    ----------
    n_channels : int
        Number of channels of the images.

    size : tuple of two ints
        Height and width, multiples of ``2 ** len(channels)``.

    channels : tuple of int
        Number of maps after each halving of the size.

    latent_dim : int
        Number of latent variables.

    n_heads : int
        Number of attention heads; 0 for none.

    dropout : float
        Probability of dropping a map.

    n_passes : int
        Number of Monte-Carlo passes.
    """

    def __init__(
        self, n_channels, size, channels, latent_dim, n_heads, dropout, n_passes
    ):
        super().__init__()
        inner = [side // 2 ** len(channels) for side in size]
        self.shape = (channels[-1], *inner)
        n_inner = math.prod(self.shape)
        blocks = []
        for depth, (before, after) in enumerate(
            zip((n_channels, *channels), channels, strict=False)
        ):
            blocks += _block(nn.Conv2d(before, after, 4, 2, 1), dropout, n_passes)
            if n_heads and depth >= len(channels) - 2:
                blocks.append(MapAttention(after, n_heads))
        self.encoder = nn.Sequential(
            *blocks, nn.Flatten(), nn.Linear(n_inner, 2 * latent_dim)
        )
        blocks = [MapAttention(channels[-1], n_heads)] if n_heads else []
        outward = (*channels[::-1], channels[0])
        for before, after in zip(outward, outward[1:], strict=False):
            blocks.append(nn.Upsample(scale_factor=2))
            blocks += _block(nn.Conv2d(before, after, 3, 1, 1), dropout, n_passes)
        self.widen = nn.Linear(latent_dim, n_inner)
        self.decoder = nn.Sequential(
            *blocks, nn.Conv2d(channels[0], 2 * n_channels, 3, 1, 1)
        )
        self.register_buffer("draws", torch.randn(n_passes, 1, latent_dim))

    def forward(self, images):
        """Reconstruct once in training, else once in each of the passes."""
        if not self.training:
            images = images.repeat(len(self.draws), 1, 1, 1)
        location, log_variance = self.encoder(images).chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 4)
        if self.training:
            draws = torch.randn_like(location)
        else:
            n_rows = len(images) // len(self.draws)
            draws = self.draws.expand(-1, n_rows, -1).flatten(0, 1)
        latent = location + torch.exp(log_variance / 2) * draws
        decoded = self.decoder(self.widen(latent).unflatten(1, self.shape))
        mean, spread = decoded.chunk(2, dim=1)
        divergence = (location**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2
        return mean, spread.clamp(*_LOG_VARIANCE), divergence


class BayesianAutoencoder(nn.Module):
    """Members, each in several passes, and what their reconstructions say.

    A row of the input is an image and, as its last channel, the mask of what
    counts: 0 for background.

    Parameters
    ----------
    n_members : int
        Number of members.

    augment : bool
        Whether to train on images that are moved about and mirrored.

    noise : float
        Standard deviation of the noise that training images get.

    predict_variance : bool
        Whether the decoder's variance is used; a variance of 1 otherwise.

    mirror : bool
        Whether images of symmetric objects are compared with their mirror images.

    uncertainty_weight : float
        The weight of the uncertainty in the score.

    **member : dict
        The parameters of a member.
    """

    def __init__(
        self,
        n_members,
        *,
        augment,
        noise,
        predict_variance,
        mirror,
        uncertainty_weight,
        **member,
    ):
        super().__init__()
        self.members = nn.ModuleList(
            VariationalAutoencoder(**member) for _ in range(n_members)
        )
        self.augment = augment
        self.noise = noise
        self.predict_variance = predict_variance
        self.mirror = mirror
        self.uncertainty_weight = uncertainty_weight
        size = member["size"]
        self.kernel = [round(side * _COARSE) // 2 * 2 + 1 for side in size]
        # What `calibrate` learns.
        self.register_buffer("symmetry", torch.zeros(()))
        self.register_buffer("variance", torch.ones(member["n_channels"], *size))
        self.register_buffer("usual", torch.ones(2, member["n_channels"], *size))
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))

    def forward(self, x):
        """Return what the loss needs, the images too: training moves them."""
        if self.training and self.augment:
            x = _moved(x)
        images = x[:, :-1]
        if self.training and self.noise:
            images = images + self.noise * _coarse_noise(images) * x[:, -1:]
        outputs = [member(images) for member in self.members]
        mean, log_variance, divergence = map(torch.cat, zip(*outputs, strict=True))
        if not self.predict_variance:
            log_variance = torch.zeros_like(log_variance)
        return mean, log_variance, divergence, x.repeat(len(mean) // len(x), 1, 1, 1)

    def passes(self, x):
        """Return mean and variance of every pixel in every pass."""
        mean, log_variance, _, _ = self(x)
        shape = (-1, len(x))
        return mean.unflatten(0, shape), log_variance.exp().unflatten(0, shape)

    def maps(self, x):
        """Return the reconstruction, and its variance by where it comes from."""
        mean, variance = self.passes(x)
        return {
            "mean": mean.mean(0),
            "epistemic": mean.var(0, unbiased=False),
            "aleatoric": variance.mean(0),
        }

    def masked_variances(self, x):
        """Return the parts of the variance as means over channels, masked."""
        maps = self.maps(x)
        parts = ("epistemic", "aleatoric")
        return {name: x[:, -1] * maps[name].mean(1) for name in parts}

    def calibrate(self, coarse):
        """Learn from normal images what is usual, given their `coarse` errors."""
        residual, variance = coarse["residual"], coarse["variance"]
        mask, uncertainty = coarse["mask"], coarse["uncertainty"]
        tiny = torch.finfo(residual.dtype).tiny
        if self.mirror:
            apart = coarse["image"] - coarse["image"].mean(0)
            shared = (apart * apart.flip(-1)).sum()
            self.symmetry.copy_(shared / apart.square().sum().clamp_min(tiny))
        self.variance.copy_(variance.mean(0))
        for i, errors in enumerate(self._errors(residual, variance)):
            usual = errors.mean(0)
            usual = self._blurred(usual) + _FLOOR * usual.mean()
            self.usual[i] = usual.clamp_min(tiny)
        error = _worst(self._standardised(residual, variance).mean(-3), mask)
        for i, term in enumerate((error, uncertainty)):
            # Not by the median deviation, which of scans of two kinds sees only one.
            low, centre, high = torch.quantile(term, term.new_tensor(_QUANTILES))
            self.centre[i] = centre
            self.spread[i] = ((high - low) / 2).clamp_min(_LEAST_SPREAD)

    def coarse(self, x):
        """Return the errors, their variances and what else `calibrate` takes."""
        maps, mask = self.maps(x), x[:, -1:]
        return {
            "image": self._blurred(mask * x[:, :-1]),
            "residual": self._blurred(mask * (x[:, :-1] - maps["mean"])),
            "variance": self._blurred(maps["epistemic"] + maps["aleatoric"]),
            "uncertainty": _log_mean(maps["epistemic"], mask),
            "mask": mask[:, 0],
        }

    def terms(self, x):
        """Return the score, its parts, and its spread over the passes."""
        mean, variance = self.passes(x)
        mask = x[:, -1:]
        epistemic = mean.var(0, unbiased=False)
        total = self._blurred(epistemic + variance.mean(0))
        # Every pass by itself and, as the last, their mean.
        mean = torch.cat([mean, mean.mean(0, keepdim=True)])
        residual = self._blurred(mask * (x[:, :-1] - mean))
        error = _worst(self._standardised(residual, total).mean(-3), mask[:, 0])
        error = (error - self.centre[0]) / self.spread[0]
        uncertainty = _log_mean(epistemic, mask)
        uncertainty = (uncertainty - self.centre[1]) / self.spread[1]
        return {
            "score": error[-1] + self.uncertainty_weight * uncertainty,
            "error": error[-1],
            "uncertainty": uncertainty,
            "std": error[:-1].std(0, unbiased=False),
        }

    def anomaly_score(self, x):
        """Return the weighted sum of the parts."""
        return self.terms(x)["score"]

    def error_map(self, x):
        """Return what each entry of the image adds to the map of anomalies."""
        coarse = self.coarse(x)
        error = self._standardised(coarse["residual"], coarse["variance"])
        return error * x[:, -1:] / error.shape[1]

    def _standardised(self, residual, variance):
        """Return squared errors in units of what was predicted and is usual.

        An anomaly is unlike what the net expects and, in a symmetric object, unlike
        the other side: what counts is the smaller of the two errors.
        """
        errors = zip(self._errors(residual, variance), self.usual, strict=False)
        return torch.stack([error / usual for error, usual in errors]).amin(0)

    def _errors(self, residual, variance):
        """Return squared errors and, of symmetric objects, squared differences.

        The differences are those of the errors on the two sides.
        """
        # Half way to the mean variance: what the net predicts for a single image is
        # uncertain itself, and an anomaly must not be excused by it.
        errors = [residual.square() / (variance * self.variance).sqrt()]
        if self.symmetry > _SYMMETRIC:
            apart = residual - residual.flip(-1)
            both = _both(variance) * _both(self.variance)
            errors.append(apart.square() / both.sqrt())
        return errors

    def _blurred(self, maps):
        padding = [side // 2 for side in self.kernel]
        flat = maps.reshape(-1, 1, *maps.shape[-2:])
        flat = F.avg_pool2d(flat, self.kernel, 1, padding, count_include_pad=False)
        return flat.reshape(maps.shape)


class NegativeELBO(nn.Module):
    """Minus the evidence lower bound, with a warm-up over the training."""

    progress = 1.0

    def forward(self, output, _):
        """Return the loss; the target is among the output, moved."""
        mean, log_variance, divergence, x = output
        if self.progress < _UNIT_VARIANCE:
            log_variance = torch.zeros_like(log_variance)
        error = (x[:, :-1] - mean).square() * torch.exp(-log_variance)
        likelihood = (x[:, -1:] * (error + log_variance) / 2).flatten(1).sum(1)
        return (likelihood + min(1, self.progress / _WARM_UP) * divergence).mean()


class WarmUpNet(DetectorNet):
    """Tells the loss how far the training is."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the loss, in full where it is not for training."""
        self.criterion_.progress = self.progress_ if training else 1.0
        return super().get_loss(y_pred, y_true, X=X, training=training)


def _block(layer, dropout, n_passes):
    n_channels = layer.out_channels
    parts = [layer, nn.GroupNorm(math.gcd(n_channels, _GROUPS), n_channels), nn.SiLU()]
    if dropout:
        parts.append(MonteCarloDropout(dropout, n_channels, n_passes))
    return parts


def _moved(x):
    """Turn, scale, shift and mirror each image and its mask at random."""
    n_rows = len(x)
    draws = 2 * torch.rand(5, n_rows, device=x.device) - 1
    angle, scale, mirror = draws[0] * _ANGLE, 1 + draws[1] * _SCALE, draws[2].sign()
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    shift = _SHIFT * draws[3:]
    affine = torch.stack([mirror * cos, -sin, shift[0], mirror * sin, cos, shift[1]], 1)
    grid = F.affine_grid(affine.view(n_rows, 2, 3), x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _coarse_noise(images):
    """Return noise without fine detail, as large as lesions."""
    shape = (*images.shape[:2], _NOISE_GRID, _NOISE_GRID)
    return F.interpolate(
        images.new_empty(shape).normal_(), images.shape[-2:], mode="bilinear"
    )


def _both(variance):
    """Return the variance of differences between the two sides."""
    return variance + variance.flip(-1)


def _worst(squares, mask):
    """Return the logarithm of the error in the worst part of each image."""
    flat = (squares * mask).flatten(-2)
    count = max(1, int(_WORST * flat.shape[-1]))
    # Never the logarithm of zero, for images without an error or all background.
    return torch.log(flat.topk(count, dim=-1)[0].mean(-1) + _NOTHING) / 2


def _log_mean(maps, mask):
    weight = mask.expand_as(maps).flatten(1)
    mean = (maps.flatten(1) * weight).sum(1) / weight.sum(1).clamp_min(1)
    return torch.log(mean + _NOTHING) / 2
