"""ResNets and wide ResNets as pyramids of feature maps.

Their parameters have the names that checkpoints of such nets commonly have, so that
these fit as they are.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

# Maps of strides 4, 8 and 16; what comes after them is neither built nor loaded.
_N_LEVELS = 3


class Sizes(NamedTuple):
    """What tells one ResNet from another.

    Parameters
    ----------
    kind : {"basic", "bottleneck"}
        The blocks: two 3x3 convolutions, or one between two of 1x1.

    n_blocks : tuple of int
        Number of blocks of each layer.

    stem : int, default=64
        Number of channels of the first convolution. A block has that many, twice that
        many in the second layer, and so on; a bottleneck block has four times as many.

    width : int, default=64
        Number of channels within the bottleneck blocks of the first layer, doubled
        from layer to layer; not used for basic ones.
    """

    kind: str
    n_blocks: tuple
    stem: int = 64
    width: int = 64


SIZES = {
    "resnet18": Sizes("basic", (2, 2, 2, 2)),
    "resnet34": Sizes("basic", (3, 4, 6, 3)),
    "resnet50": Sizes("bottleneck", (3, 4, 6, 3)),
    "resnet101": Sizes("bottleneck", (3, 4, 23, 3)),
    "resnet152": Sizes("bottleneck", (3, 8, 36, 3)),
    "wide_resnet50_2": Sizes("bottleneck", (3, 4, 6, 3), width=128),
    "wide_resnet101_2": Sizes("bottleneck", (3, 4, 23, 3), width=128),
}


class ResNet(nn.Module):
    """A ResNet up to its last layer, which gives the maps of all of them.

    The stride of a bottleneck block is that of its 3x3 convolution, as in the common
    checkpoints; where the stride is cannot be seen from the weights.

    Parameters
    ----------
    sizes : Sizes
        What is built: as many layers as it has numbers of blocks.
    """

    def __init__(self, sizes):
        super().__init__()
        self.conv1 = _convolution(3, sizes.stem, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(sizes.stem)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        n_channels = sizes.stem
        for level in range(len(sizes.n_blocks)):
            layer = _layer(sizes, level, n_channels)
            self.add_module(f"layer{level + 1}", layer)
            n_channels = layer[-1].n_channels
        self.n_levels = len(sizes.n_blocks)

    def forward(self, images):
        """Return the map of each layer, of stride 4, 8, 16 and so on.

        Parameters
        ----------
        images : tensor of shape (n_samples, 3, height, width)
            The images, normalised.

        Returns
        -------
        maps : list of tensor of shape (n_samples, n_channels, height, width)
            The maps, fine ones first.
        """
        maps = [self.maxpool(self.bn1(self.conv1(images)).relu_())]
        for level in range(self.n_levels):
            maps.append(getattr(self, f"layer{level + 1}")(maps[-1]))
        return maps[1:]


class BasicBlock(nn.Module):
    """Two convolutions, the output of which is added to what goes in.

    Parameters
    ----------
    n_inputs, n_channels : int
        Number of channels that go in, and that come out.

    stride : int
        Stride of the first convolution.
    """

    def __init__(self, n_inputs, n_channels, stride):
        super().__init__()
        self.n_channels = n_channels
        self.conv1 = _convolution(n_inputs, n_channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(n_channels)
        self.conv2 = _convolution(n_channels, n_channels, 3)
        self.bn2 = nn.BatchNorm2d(n_channels)
        self.downsample = _shortcut(n_inputs, n_channels, stride)

    def forward(self, x):
        """Compute the block's output."""
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y))
        return (y + self.downsample(x)).relu_()


class Bottleneck(nn.Module):
    """Three convolutions, the output of which is added to what goes in.

    Parameters
    ----------
    n_inputs, n_channels : int
        Number of channels that go in, and that come out.

    width : int
        Number of channels of the convolution in the middle.

    stride : int
        Stride of the convolution in the middle.
    """

    def __init__(self, n_inputs, n_channels, width, stride):
        super().__init__()
        self.n_channels = n_channels
        self.conv1 = _convolution(n_inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, n_channels, 1)
        self.bn3 = nn.BatchNorm2d(n_channels)
        self.downsample = _shortcut(n_inputs, n_channels, stride)

    def forward(self, x):
        """Compute the block's output."""
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y))
        return (y + self.downsample(x)).relu_()


def _layer(sizes, level, n_inputs):
    blocks = []
    for index in range(sizes.n_blocks[level]):
        stride = 2 if level > 0 and index == 0 else 1
        n_channels, width = sizes.stem * 2**level, sizes.width * 2**level
        if sizes.kind == "basic":
            block = BasicBlock(n_inputs, n_channels, stride)
        else:
            block = Bottleneck(n_inputs, 4 * n_channels, width, stride)
        blocks.append(block)
        n_inputs = block.n_channels
    return nn.Sequential(*blocks)


def _convolution(n_inputs, n_outputs, size, stride=1):
    conv = nn.Conv2d(n_inputs, n_outputs, size, stride, size // 2, bias=False)
    # torch's own start would make the maps of a random net fade from layer to layer.
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _shortcut(n_inputs, n_channels, stride):
    if stride == 1 and n_inputs == n_channels:
        return nn.Identity()
    convolution = _convolution(n_inputs, n_channels, 1, stride)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_channels))


def resnet(name):
    """Make a ResNet of random weights.

    Parameters
    ----------
    name : str
        A key of ``SIZES``.

    Returns
    -------
    net : ResNet
        The net, of three levels.
    """
    sizes = SIZES[name]
    return ResNet(sizes._replace(n_blocks=sizes.n_blocks[:_N_LEVELS]))


def resnet_from(weights, source):
    """Make the ResNet that weights belong to, and load them.

    Parameters
    ----------
    weights : dict
        A state dict, or what has one under "state_dict" or "model". Its names may all
        begin with "module."; layers after the third are dropped.

    source : str
        Where the weights are from, for messages.

    Returns
    -------
    net : ResNet
        The net, of three levels, in evaluation mode.

    Raises
    ------
    ValueError
        If these are not the weights of a ResNet: which one is missing, is too much or
        has another shape.
    """
    weights = _state_dict(weights, source)
    sizes = _recognised(weights, source)
    # Without memory, and without drawing random numbers for what is replaced anyway.
    with torch.device("meta"):
        net = ResNet(sizes)
    kept = _kept(weights)
    _check_same(kept, net.state_dict(), source)
    # torch itself fills in num_batches_tracked, which old files do not have.
    net.load_state_dict(kept, assign=True)
    return net.float().eval()


def _state_dict(weights, source):
    """Return the state dict in what a file held, by plain names."""
    for key in ("state_dict", "model"):
        if isinstance(weights, Mapping) and isinstance(weights.get(key), Mapping):
            weights = weights[key]
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(
            f"{source} holds {_described(weights)}; expected a state dict, from names "
            'to tensors, or a dict that has one under "state_dict" or "model".'
        )
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ValueError(
                f"{source} holds no state dict: {name!r} is {_described(value)}, "
                "expected a tensor."
            )
    if all(name.startswith("module.") for name in weights):
        weights = {name[len("module.") :]: value for name, value in weights.items()}
    return dict(weights)


def _described(value):
    if isinstance(value, Mapping) and not value:
        return "an empty dict"
    return f"an object of type {type(value).__name__}"


def _recognised(weights, source):
    """Return the sizes of the ResNet, from names and shapes alone."""
    first = ("conv1.weight", "layer1.0.conv1.weight")
    for name in first:
        if name not in weights:
            raise _no_resnet(source, f"there is no {name!r}")
        if weights[name].ndim != 4:
            raise _no_resnet(source, f"{name!r} has {weights[name].ndim} dimensions")
    stem, width = (len(weights[name]) for name in first)
    kind = "bottleneck" if "layer1.0.conv3.weight" in weights else "basic"
    n_blocks = [_n_blocks(weights, level) for level in range(1, _N_LEVELS + 1)]
    if not all(n_blocks):
        missing = 1 + n_blocks.index(0)
        raise _no_resnet(source, f"there is no 'layer{missing}.0.conv1.weight'")
    return Sizes(kind, tuple(n_blocks), stem, width)


def _n_blocks(weights, level):
    n_blocks = 0
    while f"layer{level}.{n_blocks}.conv1.weight" in weights:
        n_blocks += 1
    return n_blocks


def _kept(weights):
    """Leave out the later layers and the classifier."""
    later = re.compile(rf"(layer[{_N_LEVELS + 1}-9]|fc)\.")
    return {name: value for name, value in weights.items() if not later.match(name)}


def _check_same(weights, expected, source):
    for name, value in expected.items():
        if name not in weights:
            if name.endswith("num_batches_tracked"):
                continue
            raise _no_resnet(source, f"there is no {name!r}")
        if weights[name].shape != value.shape:
            raise _no_resnet(
                source,
                f"{name!r} has the shape {tuple(weights[name].shape)}, expected "
                f"{tuple(value.shape)}",
            )
    for name in weights:
        if name not in expected:
            raise _no_resnet(source, f"{name!r} belongs to no ResNet")


def _no_resnet(source, reason):
    return ValueError(
        f"{source} does not hold the weights of a ResNet or wide ResNet: {reason}. "
        "For another architecture, give the module itself, or a function that makes it."
    )
