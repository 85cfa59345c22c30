"""What neighbours say of a node: scale, attention, estimate and spread."""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

# Of an estimate, in standard deviations: no spread is taken to be less.
_FLOOR = 0.1
# Nodes that are judged together: what is computed for them stays in the cache.
_N_TARGETS = 256
# Beyond it Huber's loss is linear, in standard deviations.
_DELTA = 0.5


class NeighborEstimate(nn.Module):
    """Estimate what a node shows from what its neighbours show at the same time.

    Each neighbour is moved and scaled, by numbers that depend on the contexts of both,
    and attention weighs it. The weights of a channel, attention times scale, sum to
    one: what is added to all neighbours is added to the estimate.

    Parameters
    ----------
    n_channels, n_attributes, n_pair_features : int
        Numbers of channels, of attributes of nodes, and of what is known of pairs.

    window_size : int
        Number of time steps of a context; 0 for none.

    hidden_size : int
        Size of the embedding of a node.

    attention_size : int
        Size of queries and keys.

    from_past : bool
        Whether neighbours say what they showed in their contexts, by weights of the
        time steps that are learnt, instead of what they show now.
    """

    def __init__(
        self,
        n_channels,
        n_attributes,
        n_pair_features,
        *,
        window_size,
        hidden_size,
        attention_size,
        from_past=False,
    ):
        super().__init__()
        self.n_channels = n_channels
        self.from_past = from_past
        # The one number more is the share of the context that was seen.
        n_inputs = 2 * n_channels * window_size + n_attributes + 1
        self.encoder = nn.Sequential(
            nn.Linear(n_inputs, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, hidden_size),
            nn.ReLU(),
        )
        self.query = nn.Linear(hidden_size, attention_size)
        self.key = nn.Linear(hidden_size, attention_size)
        self.affinity = nn.Sequential(
            nn.Linear(n_pair_features, attention_size),
            nn.ReLU(),
            nn.Linear(attention_size, 1),
        )
        self.scale_of_target = nn.Linear(hidden_size, hidden_size)
        self.scale_of_neighbor = nn.Linear(hidden_size, hidden_size, bias=False)
        self.scale_of_pair = nn.Linear(n_pair_features, hidden_size, bias=False)
        self.scale = nn.Linear(hidden_size, 2 * n_channels)
        # Before it has learnt, it takes neighbours as they are.
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)
        self.spread = _spread(hidden_size + 2 * n_channels, hidden_size, n_channels)
        self.own = nn.Linear(hidden_size, n_channels)
        self.own_spread = _spread(hidden_size, hidden_size, n_channels)
        if from_past:
            self.recency = nn.Parameter(torch.zeros(n_channels, window_size))

    def forward(self, values, masks, attributes, readings, seen, index, pairs):
        """Estimate the readings of the first nodes.

        Parameters
        ----------
        values, masks : tensor of shape (n_batches, n_nodes, n_channels * window_size)
            The contexts of nodes, 0 where nothing was seen; and 1 where it was.

        attributes : tensor of shape (n_batches, n_nodes, n_attributes)
            What else is known of nodes.

        readings, seen : tensor of shape (n_batches, n_nodes, n_channels)
            What nodes show, and where they show something.

        index : tensor of shape (n_batches, n_targets, n_neighbors)
            The neighbours of the first nodes; -1 for none.

        pairs : tensor of shape (n_batches, n_targets, n_neighbors, n_pair_features)
            What is known of each node and its neighbour.

        Returns
        -------
        found : dict of str to tensor of shape (n_batches, n_targets, ...)
            ``"estimate"`` and ``"log_spread"`` of each channel by the neighbours, the
            same with ``"own_"`` in front by the context of the node, ``"is_told"``
            where a neighbour says anything, how many do (``"n_neighbors"``), and the
            ``"attention"`` on each.
        """
        known = self._known(values, masks, attributes, readings, seen)
        return self._estimated(known, index, pairs)

    def judge(self, batch):
        """Return the estimate that counts, its spread, and how many spoke."""
        found = self._found_in_parts(**batch)
        told = found["is_told"]
        names = ("estimate", "log_spread")
        estimate, spread = (
            torch.where(told, found[name], found[f"own_{name}"]) for name in names
        )
        return {
            "estimate": estimate,
            "spread": spread.exp() + _FLOOR,
            "n_neighbors": found["n_neighbors"],
        }

    def attend(self, batch):
        """Return the attention of the first nodes on their neighbours."""
        return {"attention": self._found_in_parts(**batch)["attention"]}

    def _found_in_parts(self, values, masks, attributes, readings, seen, index, pairs):
        """Return what `forward` does, for some of the nodes after the others."""
        known = self._known(values, masks, attributes, readings, seen)
        size = max(1, _N_TARGETS // len(index))
        parts = [
            self._estimated(known, index[:, i : i + size], pairs[:, i : i + size], i)
            for i in range(0, index.shape[1], size)
        ]
        return {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}

    def _known(self, values, masks, attributes, readings, seen):
        """Return what is computed once for each node."""
        share = masks.sum(-1, keepdim=True) / max(masks.shape[-1], 1)
        nodes = self.encoder(torch.cat([values, masks, attributes, share], dim=-1))
        if self.from_past:
            readings, seen = self._past(values, masks)
        return _Known(
            nodes, self.key(nodes), self.scale_of_neighbor(nodes), readings, seen
        )

    def _estimated(self, known, index, pairs, first=0):
        """Return what neighbours say of the nodes from the `first` one on."""
        gather = _Gather(index, known.nodes.shape[1])
        targets = known.nodes[:, first : first + index.shape[1]]
        says = gather(known.readings)
        told = gather(known.seen) & (index >= 0)[..., None]
        logits = self._logits(targets, gather(known.keys), pairs)
        log_scale, shift = self._scales(targets, gather(known.scales), pairs)
        # Attention times scale, over their sum.
        weights = _softmax(logits[..., None] + log_scale, told)
        says = says + shift
        estimate = (weights * says).sum(2)
        deviation = (weights * (says - estimate[:, :, None]).abs()).sum(2)
        doubt = [targets, deviation, (weights**2).sum(2)]
        return {
            "estimate": estimate,
            "log_spread": self.spread(torch.cat(doubt, dim=-1).detach()),
            "own_estimate": self.own(targets),
            "own_log_spread": self.own_spread(targets.detach()),
            "is_told": told.any(2),
            "n_neighbors": told.any(-1).sum(-1),
            "attention": _softmax(logits, told.any(-1)),
        }

    def _logits(self, targets, keys, pairs):
        """Return what attention is the softmax of."""
        query = self.query(targets)[:, :, None]
        logits = (query * keys).sum(-1) / math.sqrt(query.shape[-1])
        return logits + self.affinity(pairs)[..., 0]

    def _scales(self, targets, of_neighbors, pairs):
        """Return the logarithm of each neighbour's scale, and how far it is moved."""
        hidden = self.scale_of_target(targets)[:, :, None] + self.scale_of_pair(pairs)
        hidden = hidden + of_neighbors
        return self.scale(torch.relu(hidden)).chunk(2, dim=-1)

    def _past(self, values, masks):
        """Return the mean of each context, by weights that are learnt."""
        shape = (*values.shape[:2], self.n_channels, -1)
        values, masks = values.reshape(shape), masks.reshape(shape)
        weights = self.recency.softmax(-1) * masks
        total = weights.sum(-1)
        return (weights * values).sum(-1) / total.clamp_min(1e-12), total > 0


class NeighborLoss(nn.Module):
    """Huber's loss of both estimates, and that of their spreads.

    An estimate and its spread do not share what they learn: a spread that is large
    must not excuse an estimate.
    """

    def forward(self, found, batch):
        """Return the loss of a batch."""
        n_targets = found["estimate"].shape[1]
        seen = batch["seen"][:, :n_targets]
        readings = batch["readings"][:, :n_targets]
        total = 0.0
        for name, counts in (("", seen & found["is_told"]), ("own_", seen)):
            error = (readings - found[f"{name}estimate"])[counts]
            log_spread = found[f"{name}log_spread"][counts]
            # Minus the logarithm of a Laplace density.
            surprise = error.detach().abs() / log_spread.exp() + log_spread
            huber = functional.huber_loss(
                error, torch.zeros_like(error), delta=_DELTA, reduction="sum"
            )
            total = total + (huber + surprise.sum()) / max(len(error), 1)
        return total


def _softmax(logits, counts):
    """Return a softmax along axis 2 over what counts, 0 for all where nothing does."""
    logits = logits.masked_fill(~counts, -torch.inf)
    logits = logits.masked_fill(~counts.any(2, keepdim=True), 0)
    return logits.softmax(2) * counts


class _Known(NamedTuple):
    """What is computed once for each node, of shape (n_batches, n_nodes, ...)."""

    nodes: torch.Tensor
    keys: torch.Tensor
    scales: torch.Tensor
    readings: torch.Tensor
    seen: torch.Tensor


class _Gather:
    """Take what belongs to nodes for the neighbours of targets."""

    def __init__(self, index, n_nodes):
        first = n_nodes * torch.arange(len(index), device=index.device)
        self._shape = index.shape
        # A neighbour that is not there is never looked at.
        self._place = (index.clamp_min(0) + first[:, None, None]).flatten()

    def __call__(self, values):
        found = values.flatten(0, 1).index_select(0, self._place)
        return found.unflatten(0, self._shape)


def _spread(n_inputs, hidden_size, n_channels):
    return nn.Sequential(
        nn.Linear(n_inputs, hidden_size),
        nn.ReLU(),
        nn.Linear(hidden_size, n_channels),
    )
