"""ResNets as pyramids, and the recognition of checkpoints."""

import pytest
import torch
from torch import nn

from skad._nets._resnet import SIZES, ResNet, Sizes, resnet, resnet_from

BASIC = Sizes("basic", (2, 1, 2), stem=4)
BOTTLENECK = Sizes("bottleneck", (1, 2, 1), stem=4, width=6)


def net(sizes):
    """A net with weights and statistics as they are after a training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = ResNet(sizes)
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight, module.running_var):
                    nn.init.uniform_(values, 0.5, 1.5)
                for values in (module.bias, module.running_mean):
                    nn.init.normal_(values, std=0.3)
                module.num_batches_tracked.fill_(7)
    return made.eval()


def full(sizes):
    """The net with its fourth layer."""
    return net(sizes._replace(n_blocks=(*sizes.n_blocks, 1)))


def checkpoint(sizes):
    """A state dict with a fourth layer and a classifier, as they are published."""
    head = {"fc.weight": torch.ones(10, 8), "fc.bias": torch.ones(10)}
    return {**full(sizes).state_dict(), **head}


def images(size=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, size, size, generator=generator)


def same(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("sizes", [BASIC, BOTTLENECK], ids=["basic", "bottleneck"])
def test_maps_have_strides_4_8_and_16(sizes):
    factor = 4 if sizes.kind == "bottleneck" else 1
    shapes = [tuple(level.shape) for level in net(sizes)(images(64))]
    assert shapes == [
        (2, 4 * factor, 16, 16),
        (2, 8 * factor, 8, 8),
        (2, 16 * factor, 4, 4),
    ]


@pytest.mark.parametrize("name", SIZES)
def test_a_named_net_has_the_channels_of_its_kind(name):
    with torch.device("meta"):
        made = resnet(name)
    factor = 1 if name in ("resnet18", "resnet34") else 4
    layers = (made.layer1, made.layer2, made.layer3)
    n_channels = [layer[-1].n_channels for layer in layers]
    assert n_channels == [64 * factor, 128 * factor, 256 * factor]


# What is known of the whole nets, less the last layer and the classifier, summed by
# hand.
@pytest.mark.parametrize(
    ("name", "whole", "dropped"),
    [
        ("resnet18", 11_689_512, 8_393_728 + 513_000),
        ("resnet50", 25_557_032, 14_964_736 + 2_049_000),
        ("wide_resnet50_2", 68_883_240, 41_971_712 + 2_049_000),
    ],
)
def test_a_named_net_has_as_many_parameters_as_is_known(name, whole, dropped):
    with torch.device("meta"):
        made = resnet(name)
    assert sum(values.numel() for values in made.parameters()) == whole - dropped


def test_a_random_net_keeps_the_maps_of_deep_layers_alive():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        deep = ResNet(Sizes("basic", (8, 8, 8), stem=4)).eval()
    spreads = [level.std().item() for level in deep(images())]
    assert min(spreads) > 0.1


def huggingface_name(name):
    """Where a checkpoint's weight is in the ResNets of transformers."""
    parts = name.split(".")
    last = parts[-1]
    if parts[0] in ("conv1", "bn1"):
        kind = "convolution" if parts[0] == "conv1" else "normalization"
        return f"embedder.embedder.{kind}.{last}"
    stage, block = int(parts[0][-1]) - 1, parts[1]
    inner = f"encoder.stages.{stage}.layers.{block}"
    if parts[2] == "downsample":
        kind = "convolution" if parts[3] == "0" else "normalization"
        return f"{inner}.shortcut.{kind}.{last}"
    kind = "convolution" if parts[2].startswith("conv") else "normalization"
    return f"{inner}.layer.{int(parts[2][-1]) - 1}.{kind}.{last}"


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("size", [32, 45])
def test_maps_are_those_of_an_independent_implementation(kind, size):
    transformers = pytest.importorskip("transformers")
    # That one has no width of its own: a quarter of what comes out of the block.
    mine = net(Sizes(kind, (2, 1, 2), stem=4, width=4))
    factor = 4 if kind == "bottleneck" else 1
    config = transformers.ResNetConfig(
        embedding_size=4,
        hidden_sizes=[4 * factor, 8 * factor, 16 * factor],
        depths=[2, 1, 2],
        layer_type=kind,
    )
    other = transformers.ResNetModel(config).eval()
    state = {huggingface_name(name): v for name, v in mine.state_dict().items()}
    other.load_state_dict(state)
    x = images(size)
    with torch.no_grad():
        expected = other(x, output_hidden_states=True).hidden_states[1:]
        same(mine(x), expected)


def plain(state):
    return state


def nested(state):
    return {"state_dict": state, "epoch": 3}


def in_model(state):
    return {"model": state, "args": "any"}


def parallel(state):
    return {"state_dict": {f"module.{name}": value for name, value in state.items()}}


def old(state):
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


@pytest.mark.parametrize("sizes", [BASIC, BOTTLENECK], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("layout", [plain, nested, in_model, parallel, old])
def test_a_checkpoint_is_recognised_by_its_names_and_shapes(sizes, layout):
    loaded = resnet_from(layout(checkpoint(sizes)), "a file")
    assert not loaded.training
    assert not hasattr(loaded, "layer4")
    with torch.no_grad():
        same(loaded(images()), full(sizes)(images())[:3])


def test_loading_draws_no_random_numbers():
    before = torch.random.get_rng_state()
    resnet_from(checkpoint(BASIC), "a file")
    assert torch.equal(before, torch.random.get_rng_state())


def test_half_precision_is_loaded_as_single():
    half = {
        name: value.half() if value.is_floating_point() else value
        for name, value in checkpoint(BASIC).items()
    }
    loaded = resnet_from(half, "a file")
    assert {values.dtype for values in loaded.parameters()} == {torch.float32}
    with torch.no_grad():
        expected = full(BASIC)(images())[:3]
        for a, b in zip(loaded(images()), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)


def changed(**changes):
    state = checkpoint(BASIC)
    for name, value in changes.items():
        name = name.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (changed(conv1__weight=None), r"f\.pth .*there is no 'conv1\.weight'"),
        (changed(bn1__bias=None), r"f\.pth .*there is no 'bn1\.bias'"),
        (
            changed(layer2__0__downsample__0__weight=None),
            r"there is no 'layer2\.0\.downsample\.0\.weight'",
        ),
        (
            changed(layer3__0__conv1__weight=None),
            r"there is no 'layer3\.0\.conv1\.weight'",
        ),
        (
            changed(layer1__0__conv1__weight=torch.ones(4, 3, 3, 3)),
            r"'layer1\.0\.conv1\.weight' has the shape \(4, 3, 3, 3\), expected "
            r"\(4, 4, 3, 3\)",
        ),
        (
            changed(conv1__weight=torch.ones(4, 1, 7, 7)),
            r"'conv1\.weight' has the shape \(4, 1, 7, 7\), expected \(4, 3, 7, 7\)",
        ),
        (changed(conv1__weight=torch.ones(4)), r"'conv1\.weight' has 1 dim"),
        (
            changed(layer1__0__se__weight=torch.ones(4)),
            r"'layer1\.0\.se\.weight' belongs to no ResNet",
        ),
        ([1, 2], "f.pth holds an object of type list; expected a state dict"),
        ({}, "f.pth holds an empty dict"),
        ({"state_dict": {}}, "f.pth holds an empty dict"),
        ({"conv1.weight": [1.0]}, "'conv1.weight' is an object of type list"),
        ({1: torch.ones(2)}, "no state dict: 1 is an object of type Tensor"),
    ],
)
def test_what_is_no_resnet_is_refused_with_the_reason(state, message):
    with pytest.raises(ValueError, match=message):
        resnet_from(state, "f.pth")
