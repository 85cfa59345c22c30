"""The likelihood of rows with numbers and categories, for decoders."""

import math

import torch
from torch import nn
from torch.nn.functional import gumbel_softmax, log_softmax, softplus

# A logistic distribution of scale 1 has this standard deviation.
_LOGISTIC_STD = math.pi / math.sqrt(3)
# Numbers are seen on a scale that is linear up to about here and then logarithmic.
_BEND = 3.0


class MixedLikelihood(nn.Module):
    """Independent distributions of the columns of a row, given a decoder's output.

    A number is known to within its resolution: what counts is the probability of
    its cell, under a logistic distribution whose mean and scale are the decoder's.
    So no log-likelihood is above 0, not even of columns that are copies of others,
    and far outliers pull with a bounded force. A category has the probabilities of
    a softmax, but for those of categories that training did not show.

    Parameters
    ----------
    n_levels : tuple of int
        The number of known categories of each column, 0 for numbers.

    half_width : array-like of shape (n_numbers,)
        Half the width of a number's cell.

    step : array-like of shape (n_numbers,)
        The distance of the values of a grid, 0 for continuous columns.

    origin : array-like of shape (n_numbers,)
        A value of the grid.

    p_unseen : float
        The probability of a category that training did not show.
    """

    def __init__(self, n_levels, half_width, step, origin, p_unseen):
        super().__init__()
        self.n_levels = [n for n in n_levels if n]
        numbers = [j for j, n in enumerate(n_levels) if not n]
        self.categories = [j for j, n in enumerate(n_levels) if n]
        self.n_numbers = len(numbers)
        self.n_outputs = 2 * self.n_numbers + sum(self.n_levels)
        self.n_inputs = self.n_numbers + sum(self.n_levels)
        self.p_unseen = p_unseen
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.long))
        order = torch.tensor([*numbers, *self.categories])
        self.register_buffer("places", torch.argsort(order))
        for name, value in [
            ("half_width", half_width),
            ("step", step),
            ("origin", origin),
        ]:
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32))

    def view(self, x):
        """Turn rows into what an encoder or a discriminator takes.

        Numbers are bent to logarithms far from 0. A category that training did not
        show is a row of zeros.
        """
        parts = [_bent(x[..., self.numbers])]
        for j, n in zip(self.categories, self.n_levels, strict=True):
            levels = torch.arange(n, device=x.device)
            parts.append((x[..., j : j + 1] == levels).to(x.dtype))
        return torch.cat(parts, dim=-1)

    def negative_log_likelihood(self, outputs, x):
        """Return it for every entry, in the order of the columns.

        Parameters
        ----------
        outputs : tensor of shape (..., n_outputs)
            What the decoder says.

        x : tensor of shape (n_rows, n_columns)
            The rows.
        """
        mean, scale, logits = self._parts(outputs)
        columns = [_logistic_cell(x[..., self.numbers], mean, scale, self.half_width)]
        unseen = math.log(self.p_unseen)
        for j, n, logit in zip(self.categories, self.n_levels, logits, strict=True):
            code = x[..., j].long()
            logs = log_softmax(logit, dim=-1) + math.log1p(-self.p_unseen)
            index = code.clamp(max=n - 1).expand(logs.shape[:-1]).unsqueeze(-1)
            known = logs.gather(-1, index).squeeze(-1)
            columns.append(-torch.where(code < n, known, unseen).unsqueeze(-1))
        return torch.cat(columns, dim=-1)[..., self.places]

    def sample(self, outputs):
        """Draw rows, as `view` shows them, that gradients pass through."""
        mean, scale, logits = self._parts(outputs)
        uniform = torch.rand_like(mean).clamp(1e-4, 1 - 1e-4)
        numbers = mean + scale * torch.logit(uniform)
        # Off the grid of the data they would be told from it at a glance.
        step = torch.where(self.step > 0, self.step, 1)
        on_grid = self.origin + step * torch.round((numbers - self.origin) / step)
        shift = torch.where(self.step > 0, on_grid - numbers, 0)
        parts = [_bent(numbers + shift.detach())]
        parts += [gumbel_softmax(logit, hard=True) for logit in logits]
        return torch.cat(parts, dim=-1)

    def expected_view(self, outputs):
        """Return means and probabilities, in the form of `view`."""
        mean, _, logits = self._parts(outputs)
        return torch.cat([_bent(mean), *(x.softmax(dim=-1) for x in logits)], -1)

    def _parts(self, outputs):
        sizes = [self.n_numbers, self.n_numbers, *self.n_levels]
        mean, raw, *logits = outputs.split(sizes, dim=-1)
        # 1 where the net says 0; never far below the width of a cell.
        std = softplus(raw) / math.log(2)
        return mean, (std + 0.5 * self.half_width) / _LOGISTIC_STD, logits


def _bent(numbers):
    return _BEND * torch.asinh(numbers / _BEND)


def _logistic_cell(x, mean, scale, half_width):
    """Return minus the logarithm of the probability of a cell around x."""
    upper = (x + half_width - mean) / scale
    lower = (x - half_width - mean) / scale
    width = 2 * half_width / scale
    return softplus(-upper) + softplus(lower) - torch.log(-torch.expm1(-width))
