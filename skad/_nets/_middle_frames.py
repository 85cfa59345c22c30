"""The net that predicts the middle of a clip from both sides."""

from collections import namedtuple
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from skad._nets._frame_errors import FrameErrors
from skad._nets._temporal_maps import (
    ConvLSTM,
    TemporalLayer,
    convolution,
    each,
    norm,
    rectifier,
)

# What the net knows of single frames: maps as large as these, and small ones.
Encoding = namedtuple("Encoding", ["fine", "coarse"])


class FrameEncoder(nn.Module):
    """Turn frames into maps: fine ones, and coarse ones of a fraction of the size.

    Parameters
    ----------
    n_colors : int
        The number of channels of a frame.

    channels : tuple of int
        The number of maps of each stage; all but the first halve the size.
    """

    def __init__(self, n_colors, channels):
        super().__init__()
        first, *others = (
            nn.Sequential(convolution(before, after), norm(after), rectifier())
            for before, after in pairwise((n_colors, *channels))
        )
        self.fine = first
        self.coarse = nn.Sequential()
        for stage in others:
            self.coarse.extend([stage, nn.MaxPool2d(2)])

    def forward(self, frames):
        """Encode frames of shape (n_frames, n_colors, height, width)."""
        fine = self.fine(frames)
        return Encoding(fine, self.coarse(fine))


class Direction(nn.Module):
    """Predict frames from those before them, or, time turned around, after them.

    Parameters
    ----------
    channels, n_layers, n_heads, dropout, bridge, kernel_size
        As for `MiddleFrameNet`.
    """

    def __init__(self, channels, n_layers, n_heads, dropout, bridge, kernel_size):
        super().__init__()
        width = channels[-1]
        self.decoder = nn.ModuleList(
            TemporalLayer(width, n_heads, dropout, decodes=True)
            for _ in range(n_layers)
        )
        self.memory = ConvLSTM(channels[0], kernel_size) if bridge else None
        self.merge = ConvLSTM(channels[0], kernel_size, 2) if bridge else None

    def forward(self, known, sources, enlarge):
        """Return maps of frames, made from the encodings of the ones before them."""
        maps = known.coarse
        for layer in self.decoder:
            maps = layer(maps, sources)
        maps = each(enlarge, maps)
        if self.memory is None:
            return maps
        return self.merge(maps, self.memory(known.fine))


class MiddleFrameNet(nn.Module):
    """Predict the middle frames of clips from both sides.

    Parameters
    ----------
    n_colors : int
        The number of channels of a frame.

    channels : tuple of int
        The number of maps of each stage of the encoder.

    n_context, n_target : int
        The number of frames on each side, and of those in the middle.

    n_layers, n_heads, dropout
        Layers of the transformer's encoder and of each of its decoders, none for no
        transformer; their heads; and the probability of dropout.

    bridge : bool
        Whether ConvLSTMs bring fine maps to the transformer's result.

    kernel_size : int
        The size of the convolutions of the ConvLSTMs.

    merge_weight : float
        The weight of the forward direction, that of the backward one being what is
        left of 1.

    residual : bool
        Whether it predicts by what a frame differs from the mean of the known ones
        before and after it, instead of the frame. With one direction only, from the
        one that this begins with.

    patch_size : int
        As for `FrameErrors`.
    """

    def __init__(
        self,
        n_colors,
        channels,
        *,
        n_context,
        n_target,
        n_layers,
        n_heads,
        dropout,
        bridge,
        kernel_size,
        merge_weight,
        residual,
        patch_size,
    ):
        super().__init__()
        self.n_context, self.n_target = n_context, n_target
        self.merge_weight = merge_weight
        self.residual = residual
        self.block = 2 ** (len(channels) - 1)
        self.encoder = FrameEncoder(n_colors, channels)
        self.layers = nn.ModuleList(
            TemporalLayer(channels[-1], n_heads, dropout, decodes=False)
            for _ in range(n_layers)
        )
        self.sources_norm = norm(channels[-1]) if n_layers else None
        sizes = channels, n_layers, n_heads, dropout, bridge, kernel_size
        self.forwards = Direction(*sizes) if merge_weight > 0 else None
        self.backwards = Direction(*sizes) if merge_weight < 1 else None
        steps = [norm(channels[-1])]
        for before, after in pairwise(reversed(channels)):
            steps += [nn.ConvTranspose2d(before, after, 2, 2), norm(after), rectifier()]
        self.enlarge = nn.Sequential(*steps)
        self.output = convolution(channels[0], n_colors)
        self.errors = FrameErrors(patch_size)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)
        if residual:
            # It begins with the mean of the frames around.
            nn.init.zeros_(self.output.weight)
            nn.init.zeros_(self.output.bias)

    def forward(self, clips):
        """Predict frames of clips of shape (n_clips, n_frames, n_colors, h, w)."""
        return self.predict(clips, self.encode_clips(clips))

    def encode_clips(self, clips):
        """Encode all frames of clips."""
        encoding = self.encode(clips.flatten(0, 1))
        shape = clips.shape[:2]
        return Encoding(*(maps.unflatten(0, shape) for maps in encoding))

    def patch_errors(self, clips):
        """Return the errors of patches of the frames in the very middle."""
        predicted = self.predict_middle(clips, self.encode_clips(clips))
        return self.errors.patches(predicted, clips[:, clips.shape[1] // 2])

    def encode(self, frames):
        """Encode frames of values from 0 to 1, enlarged to whole blocks at the end."""
        height, width = frames.shape[-2:]
        missing = -width % self.block, -height % self.block
        if any(missing):
            frames = F.pad(frames, (0, missing[0], 0, missing[1]), mode="replicate")
        return self.encoder(2 * frames - 1)

    def predict(self, clips, encoding):
        """Predict the middle frames of clips, given the encodings of all frames."""
        maps = sum(
            weight * (found.flip(1) if is_turned else found)
            for weight, found, is_turned in self._directions(encoding, self.n_target)
        )
        return self._frames(maps, clips, self.n_context)

    def predict_middle(self, clips, encoding):
        """Predict only the frame in the middle, as `predict` does.

        No step depends on later ones: those beyond the middle are left out.
        """
        n_steps = self.n_target // 2 + 1
        maps = sum(
            weight * found[:, -1:]
            for weight, found, _ in self._directions(encoding, n_steps)
        )
        return self._frames(maps, clips, clips.shape[1] // 2)[:, 0]

    def _directions(self, encoding, n_steps):
        """Yield the weight, the maps of the first steps, and whether time is turned."""
        first, last = self.n_context, self.n_context + self.n_target
        sources = self._sources(encoding.coarse)
        if self.forwards is not None:
            before = slice(first - 1, first - 1 + n_steps)
            known = Encoding(*(maps[:, before] for maps in encoding))
            maps = self.forwards(known, sources, self.enlarge)
            yield self.merge_weight, maps, False
        if self.backwards is not None:
            after = slice(last + 1 - n_steps, last + 1)
            known = Encoding(*(maps[:, after].flip(1) for maps in encoding))
            maps = self.backwards(known, sources, self.enlarge)
            yield 1 - self.merge_weight, maps, True

    def _sources(self, coarse):
        """Return what the transformer's encoder makes of the frames on both sides."""
        if self.sources_norm is None:
            return None
        last = self.n_context + self.n_target
        sources = torch.cat([coarse[:, : self.n_context], coarse[:, last:]], dim=1)
        for layer in self.layers:
            sources = layer(sources)
        return each(self.sources_norm, sources)

    def _frames(self, maps, clips, first):
        """Turn maps of steps into frames, of which the first is at a place in clips."""
        change = each(self.output, maps)[..., : clips.shape[-2], : clips.shape[-1]]
        if not self.residual:
            return (change.tanh() + 1) / 2
        last, around = first + maps.shape[1], []
        if self.forwards is not None:
            around.append(clips[:, first - 1 : last - 1])
        if self.backwards is not None:
            around.append(clips[:, first + 1 : last + 1])
        return sum(around) / len(around) + change.tanh()
