"""A variational autoencoder and a discriminator of its rows, trained together."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import leaky_relu, linear, normalize, softplus

from skad._nets._net import DetectorNet

# Draws from the posterior that a score is the mean of.
_N_DRAWS = 8
# Real rows count as real with this probability, which keeps the discriminator unsure.
_REAL = 0.9
_PENALTY = 10.0


@dataclass(frozen=True)
class Training:
    """How the two nets are trained together.

    Parameters
    ----------
    beta : float
        Weight of the KL divergence.

    beta_warmup : float
        Share of the training in which that weight grows from 0.

    adversarial_weight : float
        Weight of what the discriminator says of generated rows.

    feature_weight : float
        Weight of the distance between the mean features of real and generated rows.

    trim : float
        Share of each batch, the rows of the largest loss, that nothing is learned
        from.

    gradient_penalty : bool
        Whether the discriminator's gradients are drawn to norm 1.
    """

    beta: float
    beta_warmup: float
    adversarial_weight: float
    feature_weight: float
    trim: float
    gradient_penalty: bool


class Output(NamedTuple):
    """What a pass through the autoencoder gives, row by row."""

    reconstruction: torch.Tensor
    kl: torch.Tensor
    decoded: torch.Tensor


class GANVAENet(nn.Module):
    """Encoder, decoder that also generates, and discriminator.

    Parameters
    ----------
    likelihood : MixedLikelihood
        The distributions of the columns.

    latent_dim : int
        Number of latent variables.

    hidden_sizes : tuple of int
        Units of the encoder's hidden layers; the decoder has them in reverse.

    share_decoder : bool
        Whether the decoder generates rows, or a net of its own.

    adversarial : bool
        Whether there is a discriminator.

    settings : Training
        How the nets are trained.
    """

    def __init__(
        self,
        likelihood,
        *,
        latent_dim,
        hidden_sizes,
        share_decoder,
        adversarial,
        settings,
    ):
        super().__init__()
        self.likelihood, self.settings = likelihood, settings
        self.latent_dim = latent_dim
        sizes = [likelihood.n_inputs, *hidden_sizes]
        back = [latent_dim, *reversed(hidden_sizes), likelihood.n_outputs]
        self.encoder = _perceptron([*sizes, 2 * latent_dim])
        self.decoder = _perceptron(back)
        self.generator = self.discriminator = None
        if adversarial:
            self.generator = self.decoder if share_decoder else _perceptron(back)
            layer = nn.Linear if settings.gradient_penalty else SpectralLinear
            self.discriminator = Discriminator(sizes, layer)
        half = torch.randn(_N_DRAWS // 2, 1, latent_dim)
        self.register_buffer("draws", torch.cat([half, -half]))

    def forward(self, x):
        """Encode, draw and decode rows."""
        mean, log_variance = self.encode(x)
        noise = torch.randn_like(mean)
        decoded = self.decoder(mean + noise * torch.exp(0.5 * log_variance))
        nll = self.likelihood.negative_log_likelihood(decoded, x)
        return Output(nll.sum(dim=1), _kl(mean, log_variance), decoded)

    def encode(self, x):
        """Return means and log variances of the posterior."""
        mean, log_variance = self.encoder(self.likelihood.view(x)).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 5)

    def column_nll(self, x):
        """Return the mean negative log-likelihood of each entry over the draws."""
        mean, log_variance = self.encode(x)
        latent = mean + self.draws * torch.exp(0.5 * log_variance)
        decoded = self.decoder(latent)
        return self.likelihood.negative_log_likelihood(decoded, x).mean(dim=0)

    def latent(self, x):
        """Return the means of the posterior."""
        return self.encode(x)[0]

    def terms(self, x):
        """Return the parts of the score, each the larger, the stranger the row."""
        mean, log_variance = self.encode(x)
        terms = {
            "reconstruction": self.column_nll(x).sum(dim=1),
            "kl": _kl(mean, log_variance),
        }
        if self.discriminator is not None:
            logit, features = self.discriminator(self.likelihood.view(x))
            expected = self.likelihood.expected_view(self.decoder(mean))
            _, of_expected = self.discriminator(expected)
            terms["discriminator"] = logit
            terms["features"] = (features - of_expected).norm(dim=1)
        return terms


class Discriminator(nn.Module):
    """Log-odds that a row is real, and the features that they are computed from.

    Parameters
    ----------
    sizes : list of int
        Number of inputs, and units of the hidden layers.

    layer : type of nn.Module
        The class of the layers.
    """

    def __init__(self, sizes, layer):
        super().__init__()
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.hidden = nn.ModuleList(layer(a, b) for a, b in pairs)
        self.last = layer(sizes[-1], 1)

    def forward(self, rows):
        """Return log-odds and features."""
        for layer in self.hidden:
            rows = leaky_relu(layer(rows), 0.2)
        return self.last(rows).squeeze(1), rows


class SpectralLinear(nn.Linear):
    """A linear layer that lengthens no vector.

    The weights are divided by an estimate of their largest singular value, one
    step of the power iteration in every pass of the training. torch's own
    parametrisation cannot be pickled.
    """

    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs)
        self.register_buffer("left", normalize(torch.randn(n_outputs), dim=0))

    def forward(self, x):
        """Apply the normalised weights."""
        with torch.no_grad():
            right = normalize(self.weight.T @ self.left, dim=0)
            left = self.left
            if self.training:
                left = normalize(self.weight @ right, dim=0)
                self.left.copy_(left)
        norm = left @ self.weight @ right
        return linear(x, self.weight / norm.clamp_min(1e-12), self.bias)


class NegativeELBO(nn.Module):
    """The loss of the autoencoder, as it is used to stop the training early."""

    def forward(self, output, x):
        """Return the mean over the rows."""
        return (output.reconstruction + output.kl).mean()


class AdversarialNet(DetectorNet):
    """A net with a discriminator, which each step trains before the rest."""

    def initialize_optimizer(self, *args, **kwargs):
        """Give the discriminator an optimizer of its own."""
        parts = {True: [], False: []}
        for name, parameter in self.get_all_learnable_params():
            parts[name.startswith("discriminator.")].append((name, parameter))
        given, options = self.get_params_for_optimizer("optimizer", parts[False])
        self.optimizer_ = self.optimizer(*given, **options)
        if parts[True]:
            parameters = [parameter for _, parameter in parts[True]]
            self.discriminator_optimizer_ = torch.optim.Adam(
                parameters, lr=self.lr, betas=(0.5, 0.999)
            )
        return self

    def train_step(self, batch, **fit_params):
        """Train the discriminator, then encoder, decoder and generator."""
        self._set_training(True)
        x = to_tensor(unpack_data(batch)[0], device=self.device)
        output = self.infer(x)
        settings = self.module_.settings
        warmup = settings.beta_warmup
        growth = min(1.0, self.progress_ / warmup) if warmup else 1.0
        rows = output.reconstruction + settings.beta * growth * output.kl
        kept = _smallest(rows.detach(), settings.trim)
        loss = rows[kept].mean()
        if self.module_.discriminator is not None:
            loss = loss + self._adversarial_loss(x[kept], output.decoded[kept])
        self.optimizer_.zero_grad()
        loss.backward()
        self.notify(
            "on_grad_computed",
            named_parameters=list(self.get_all_learnable_params()),
            batch=batch,
            training=True,
        )
        self.optimizer_.step()
        return {"loss": loss.detach(), "y_pred": output}

    def _adversarial_loss(self, x, decoded):
        """Train the discriminator; return what its opponents lose to it."""
        module, settings = self.module_, self.module_.settings
        latent = torch.randn(len(x), module.latent_dim, device=x.device)
        real = module.likelihood.view(x)
        fakes = torch.cat(
            [
                module.likelihood.sample(module.generator(latent)),
                module.likelihood.sample(decoded.float()),
            ]
        )
        self._train_discriminator(real, fakes.detach())
        module.discriminator.requires_grad_(False)
        logits, features = module.discriminator(torch.cat([real, fakes]))
        module.discriminator.requires_grad_(True)
        of_real, *of_fakes = (part.mean(dim=0) for part in features.chunk(3))
        distance = sum((of_real - mean).square().sum() for mean in of_fakes)
        fooling = 2 * softplus(-logits[len(x) :]).mean()
        return (
            settings.adversarial_weight * fooling + settings.feature_weight * distance
        )

    def _train_discriminator(self, real, fakes):
        optimizer = self.discriminator_optimizer_
        for group in optimizer.param_groups:  # follows a schedule of the other's
            group["lr"] = self.optimizer_.param_groups[0]["lr"]
        logits, _ = self.module_.discriminator(torch.cat([real, fakes]))
        of_real, of_fakes = logits.split([len(real), len(fakes)])
        loss = cross_entropy(of_real, torch.full_like(of_real, _REAL))
        loss = loss + cross_entropy(of_fakes, torch.zeros_like(of_fakes))
        if self.module_.settings.gradient_penalty:
            loss = loss + _PENALTY * self._gradient_penalty(real, fakes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def _gradient_penalty(self, real, fakes):
        mix = torch.rand(len(real), 1, device=real.device)
        between = torch.lerp(real, fakes[: len(real)], mix).requires_grad_()
        logits, _ = self.module_.discriminator(between)
        (gradient,) = torch.autograd.grad(logits.sum(), between, create_graph=True)
        return (gradient.norm(dim=1) - 1).square().mean()


def _perceptron(sizes):
    layers = []
    for n_inputs, n_outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_inputs, n_outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def _kl(mean, log_variance):
    """Return the divergence of the posterior from a standard normal prior."""
    parts = mean.square() + log_variance.exp() - 1 - log_variance
    return 0.5 * parts.sum(dim=1)


def _smallest(values, trim):
    """Return where the values are that are not among the largest."""
    n_kept = len(values) - int(trim * len(values))
    return torch.topk(values, n_kept, largest=False).indices
