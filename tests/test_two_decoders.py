"""The two decoders of MDD-Net: their shapes, losses and maps."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from skad._nets._backbones import Level
from skad._nets._mddnet import (
    Bottleneck,
    Decoder,
    TwoDecoders,
    Usual,
    code_width,
    smoothed,
)

PYRAMIDS = {
    "halved": [Level(4, (8, 8)), Level(6, (4, 4)), Level(8, (2, 2))],
    "odd": [Level(4, (13, 9)), Level(5, (7, 5)), Level(6, (4, 3))],
    "one": [Level(5, (6, 7))],
    "same": [Level(6, (5, 5)), Level(6, (5, 5)), Level(6, (5, 5))],
    "strip": [Level(3, (1, 12)), Level(4, (1, 6)), Level(5, (1, 3))],
    "upright": [Level(3, (9, 1)), Level(4, (5, 1))],
    "thirds": [Level(3, (9, 9)), Level(4, (3, 3))],
    "pixel": [Level(1, (1, 1)), Level(2, (1, 1))],
}
LEVELS = PYRAMIDS["halved"]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(function, *args, seed=0, **kwargs):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args, **kwargs)


def maps_like(levels, n_samples=3, seed=0):
    return [
        normal(n_samples, level.n_channels, *level.size, seed=seed + i)
        for i, level in enumerate(levels)
    ]


def made(levels=LEVELS, size=(16, 16), n_classes=2, **changes):
    params = {
        "memory_size": 3,
        "restoration_path": "multiscale",
        "identity_path": "multiscale",
        "fusion": "sum",
        "smoothing": 0.0,
        "top_fraction": 0.01,
        "loss_weights": (1, 1, 1, 0.1),
    }
    return seeded(TwoDecoders, levels, size, n_classes, **{**params, **changes})


def filled(net, seed=0):
    """Give the memory some prototypes."""
    net.memory.prototypes.copy_(normal(*net.memory.prototypes.shape, seed=seed))
    net.memory.usage.fill_(1)
    return net


def planted(levels=LEVELS, n_samples=4, seed=0):
    """Maps with and without defects, masks of these, and categories."""
    masks = torch.zeros(n_samples, 1, 16, 16)
    masks[::2, :, 2:7, 4:12] = 1
    clean = maps_like(levels, n_samples, seed=seed)
    damaged = [
        part + 2 * F.adaptive_avg_pool2d(masks, part.shape[-2:]) for part in clean
    ]
    return clean, damaged, masks, torch.arange(n_samples) % 2


class Echo(nn.Module):
    """A decoder that returns what it is told to."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, codes, maps):
        return self.output


def cosine(one, other, axis):
    one, other = (np.asarray(x, dtype=float) for x in (one, other))
    lengths = np.linalg.norm(one, axis=axis) * np.linalg.norm(other, axis=axis)
    return (one * other).sum(axis) / lengths


@pytest.mark.parametrize("levels", PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize("training", [False, True])
def test_codes_have_half_the_coarsest_size_and_decoders_give_the_maps_back(
    levels, training
):
    maps = maps_like(levels)
    codes = Bottleneck(levels).train(training)(maps)
    half = tuple(-(-side // 2) for side in levels[-1].size)
    assert codes.shape == (3, 2 * levels[-1].n_channels, *half)
    assert codes.shape[1] == code_width(levels)
    for sees_maps in (False, True):
        decoded = Decoder(levels, sees_maps).train(training)(codes, maps)
        assert [part.shape for part in decoded] == [part.shape for part in maps]


@pytest.mark.parametrize("levels", PYRAMIDS.values(), ids=PYRAMIDS)
@pytest.mark.parametrize("identity_path", ["multiscale", "bottleneck", None])
@pytest.mark.parametrize("restoration_path", ["multiscale", "bottleneck"])
@pytest.mark.parametrize("memory_size", [0, 3])
def test_every_kind_of_net_learns_and_scores(
    levels, restoration_path, identity_path, memory_size
):
    net = made(
        levels,
        restoration_path=restoration_path,
        identity_path=identity_path,
        memory_size=memory_size,
    )
    if memory_size:
        filled(net)
    _, _, masks, codes = planted(n_samples=4)
    clean, damaged = maps_like(levels, 4), maps_like(levels, 4, seed=9)
    loss = net.train()(clean, damaged, masks, codes)
    assert loss.ndim == 0
    loss.backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
    net.eval()
    signals = net.signals(clean)
    n_signals = 1 if identity_path is None else 2
    expected = {
        f"{i}_{level}": (4, *size)
        for i in range(n_signals)
        for level, (_, size) in enumerate(levels)
    }
    expected["category"] = (4,)
    assert {name: tuple(part.shape) for name, part in signals.items()} == expected
    assert net.anomaly_map(clean).shape == (4, 16, 16)
    assert net.anomaly_score(clean).shape == (4,)
    half = tuple(-(-side // 2) for side in levels[-1].size)
    assert net.codes(clean).shape == (4, math.prod(half), code_width(levels))
    if memory_size:
        assert_allclose(net.posterior(clean).sum(1).detach(), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "n_steps"),
    [
        ("halved", [2, 1, 0]),
        ("odd", [2, 1, 0]),
        ("strip", [2, 1, 0]),
        ("thirds", [2, 0]),
        ("same", [0, 0, 0]),
    ],
)
def test_fine_levels_are_halved_until_they_are_as_coarse(name, n_steps):
    assert [len(down) for down in Bottleneck(PYRAMIDS[name]).down] == n_steps


def test_every_level_reaches_the_code():
    net = Bottleneck(LEVELS).eval()
    maps = maps_like(LEVELS)
    expected = net(maps)
    for level in range(3):
        changed = [part + (i == level) for i, part in enumerate(maps)]
        assert not torch.allclose(net(changed), expected)


@pytest.mark.parametrize("levels", PYRAMIDS.values(), ids=PYRAMIDS)
def test_a_decoder_sees_the_maps_only_where_it_shall(levels):
    codes = normal(3, code_width(levels), 2, 2)
    maps, others = maps_like(levels), maps_like(levels, seed=7)
    blind = seeded(Decoder, levels, sees_maps=False).eval()
    assert all(map(torch.equal, blind(codes, maps), blind(codes, others)))
    assert not blind.sideways
    # With one channel, and rectified, there may be nothing to be seen.
    if levels is not PYRAMIDS["pixel"]:
        seeing = seeded(Decoder, levels, sees_maps=True).eval()
        for one, other in zip(seeing(codes, maps), seeing(codes, others), strict=True):
            assert not torch.allclose(one, other)


@pytest.mark.parametrize("sees_maps", [False, True])
def test_decoders_see_the_code(sees_maps):
    maps, width = maps_like(LEVELS), code_width(LEVELS)
    decoder = seeded(Decoder, LEVELS, sees_maps).eval()
    one = decoder(normal(3, width, 1, 1), maps)
    other = decoder(normal(3, width, 1, 1, seed=5), maps)
    for a, b in zip(one, other, strict=True):
        assert not torch.allclose(a, b)


@pytest.mark.parametrize("restoration_path", ["multiscale", "bottleneck"])
@pytest.mark.parametrize("identity_path", ["multiscale", "bottleneck"])
def test_only_multiscale_decoders_see_maps(restoration_path, identity_path):
    net = made(restoration_path=restoration_path, identity_path=identity_path).eval()
    codes, maps = normal(3, 16, 1, 1), maps_like(LEVELS)
    others = maps_like(LEVELS, seed=7)
    for decoder, path in (
        (net.restoration, restoration_path),
        (net.identity, identity_path),
    ):
        same = all(map(torch.equal, decoder(codes, maps), decoder(codes, others)))
        assert same == (path == "bottleneck")


def test_decoders_and_levels_share_no_weights():
    net = made()
    pairs = zip(net.restoration.parameters(), net.identity.parameters(), strict=True)
    assert all(one is not other for one, other in pairs)


def with_outputs(restored, same, **changes):
    """A net whose decoders return what is given."""
    net = made(**changes).eval()
    net.restoration, net.identity = Echo(restored), Echo(same)
    return net


def test_decoders_that_return_the_maps_make_no_signal_and_no_map():
    maps = maps_like(LEVELS)
    net = with_outputs(maps, maps)
    assert max(part.max() for part in net.signals(maps).values()) < 1e-6
    assert_allclose(net.anomaly_map(maps), 0, atol=1e-5)
    assert_allclose(net.anomaly_score(maps), 0, atol=1e-5)


def test_signals_are_angles_between_teacher_and_decoders():
    maps, restored, same = (maps_like(LEVELS, seed=s) for s in (0, 20, 40))
    net = with_outputs(restored, same)
    signals = net.signals(maps)
    for level in range(3):
        expected = 1 - cosine(maps[level], restored[level], axis=1)
        assert_allclose(signals[f"0_{level}"], expected, atol=1e-5)
        expected = 1 - cosine(restored[level], same[level], axis=1)
        assert_allclose(signals[f"1_{level}"], expected, atol=1e-5)


def test_signals_do_not_depend_on_the_scale_of_the_teacher_s_channels():
    net = made().eval()
    maps = maps_like(LEVELS)
    expected = net.signals(maps)
    scaled = []
    for usual, part in zip(net.usual, maps, strict=True):
        mean = normal(part.shape[1], 1, 1, seed=3)
        std = 1 + normal(part.shape[1], 1, 1, seed=4).abs()
        usual.learn(mean, std)
        scaled.append(mean + std * part)
    for name, part in net.signals(scaled).items():
        torch.testing.assert_close(part, expected[name], rtol=1e-4, atol=1e-5)


def telling(net, levels=LEVELS, n_samples=20):
    """Fill the memory with the codes of maps of two categories, and return these."""
    labels = torch.arange(n_samples) % 2
    maps = [
        part + 2 * labels.view(-1, 1, 1, 1) for part in maps_like(levels, n_samples)
    ]
    seeded(net.memory.fill, net.codes(maps).detach(), labels)
    return maps


def calibrated(fusion):
    """A net of one level, of the size of the images, that tells categories."""
    levels = [Level(4, (8, 8))]
    restored, same = (maps_like(levels, 20, seed=s) for s in (20, 40))
    changes = {"levels": levels, "size": (8, 8), "fusion": fusion}
    net = with_outputs(restored, same, **changes)
    maps = telling(net, levels)
    signals = {name: part.double() for name, part in net.signals(maps).items()}
    net.calibrate(signals)
    return net, maps, signals


def standardised(signals, centred):
    labels = signals["category"].long()
    assert len(labels.unique()) == 2
    for name in ("0_0", "1_0"):
        usual = Usual((2, 8, 8)).double()
        usual.learn_around(signals[name], labels)
        yield usual(signals[name], labels, centred)


def test_maps_are_sums_of_signals_standardised_by_category():
    net, maps, signals = calibrated("sum")
    with torch.no_grad():
        found = net.anomaly_map(maps)
    assert_allclose(found, sum(standardised(signals, True)), atol=1e-4)
    # What is usual is about 0.
    assert abs(found.mean()) < 0.05


def test_maps_are_products_of_scaled_signals():
    net, maps, signals = calibrated("product")
    first, second = standardised(signals, False)
    assert_allclose(net.anomaly_map(maps), first * second, rtol=1e-3, atol=1e-4)


def test_the_category_is_the_one_that_the_memory_tells():
    net = made().eval()
    maps = telling(net)
    category = net.signals(maps)["category"]
    assert torch.equal(category, net.posterior(maps).argmax(1))
    assert category.unique().tolist() == [0, 1]
    # Without a memory there is but one.
    assert not made(memory_size=0).eval().signals(maps)["category"].any()


@pytest.mark.parametrize("fusion", ["sum", "product"])
def test_without_an_identity_decoder_the_map_is_that_of_the_restoration(fusion):
    levels = [Level(4, (8, 8))]
    maps, restored = maps_like(levels), maps_like(levels, seed=20)
    net = made(levels, (8, 8), identity_path=None, fusion=fusion).eval()
    net.restoration = Echo(restored)
    expected = 1 - cosine(maps[0], restored[0], axis=1)
    assert_allclose(net.anomaly_map(maps), expected, atol=1e-5)


def test_levels_are_added_at_the_size_of_the_image():
    maps, restored, same = (maps_like(LEVELS, seed=s) for s in (0, 20, 40))
    signals = with_outputs(restored, same).signals(maps)
    assert (signals.pop("category") == 0).all()
    enlarged = {
        name: F.interpolate(part[:, None], (16, 16), mode="bilinear")[:, 0]
        for name, part in signals.items()
    }
    sums = [sum(enlarged[f"{i}_{level}"] for level in range(3)) for i in range(2)]
    found = with_outputs(restored, same).anomaly_map(maps)
    torch.testing.assert_close(found, sums[0] + sums[1])
    # Without a calibration a product is one of plain angles.
    found = with_outputs(restored, same, fusion="product").anomaly_map(maps)
    torch.testing.assert_close(found, sums[0] * sums[1])


def test_the_map_is_smoothed_in_the_end():
    maps, restored, same = (maps_like(LEVELS, seed=s) for s in (0, 20, 40))
    sharp = with_outputs(restored, same).anomaly_map(maps)
    soft = with_outputs(restored, same, smoothing=1.5).anomaly_map(maps)
    torch.testing.assert_close(soft, smoothed(sharp, 1.5))


@pytest.mark.parametrize(
    ("top_fraction", "n_top"), [(1e-9, 1), (0.01, 3), (0.5, 128), (1.0, 256)]
)
def test_the_score_is_the_mean_of_the_highest_pixels(top_fraction, n_top):
    net = made(top_fraction=top_fraction).eval()
    maps = maps_like(LEVELS)
    pixels = np.sort(net.anomaly_map(maps).detach().flatten(1).numpy(), axis=1)
    expected = pixels[:, -n_top:].mean(1)
    assert_allclose(net.anomaly_score(maps).detach(), expected, rtol=1e-5)


def loss_of(restored, same, data, **weights):
    names = ("restoration", "identity", "discrepancy", "memory")
    given = tuple(weights.get(name, 0) for name in names)
    return with_outputs(restored, same, loss_weights=given).train()(*data)


def test_losses_are_those_of_the_guide():
    data = clean, damaged, masks, _ = planted()
    restored, same = maps_like(LEVELS, 4, seed=20), maps_like(LEVELS, 4, seed=40)

    def angles(one, other):
        return sum(
            (1 - cosine(a, b, axis=1)).mean() for a, b in zip(one, other, strict=True)
        )

    found = loss_of(restored, same, data, restoration=1)
    assert_allclose(found, angles(restored, clean), rtol=1e-5)
    found = loss_of(restored, same, data, identity=2)
    assert_allclose(found, 2 * angles(same, damaged), rtol=1e-5)
    expected = 0
    for one, other in zip(restored, same, strict=True):
        side = one.shape[2]
        share = masks.view(4, side, 16 // side, side, 16 // side).mean((2, 4)).numpy()
        expected += np.abs(1 - cosine(one, other, axis=1) - share).mean()
    found = loss_of(restored, same, data, discrepancy=0.5)
    assert_allclose(found, expected / 2, rtol=1e-5)
    assert loss_of(restored, same, data) == 0


def test_perfect_decoders_have_no_loss():
    data = clean, damaged, masks, _ = planted()
    found = loss_of(clean, damaged, data, restoration=1, identity=1)
    assert_allclose(found, 0, atol=1e-5)
    # Where there is a defect the angle between both shall be a right one.
    restored, same = [], []
    for part in clean:
        share = F.adaptive_avg_pool2d(masks, part.shape[-2:])
        first = torch.zeros_like(part)
        first[:, 0] = 1
        other = torch.zeros_like(part)
        other[:, :1], other[:, 1:2] = 1 - share, (1 - (1 - share) ** 2).sqrt()
        restored.append(first)
        same.append(other)
    found = loss_of(restored, same, data, discrepancy=1)
    assert_allclose(found, 0, atol=1e-5)
    assert loss_of(restored, restored, data, discrepancy=1) > 0.1


def gradients(loss_weights, **changes):
    """Return which parts of a net a loss gives a gradient to."""
    net = filled(made(loss_weights=loss_weights, **changes)).train()
    net(*planted()).backward()
    parts = ("bottleneck", "memory", "restoration", "identity")
    found = set()
    for name in parts:
        weights = [w for w in getattr(net, name).parameters() if w.grad is not None]
        if any(w.grad.abs().max() > 0 for w in weights):
            found.add(name)
    return found


def test_a_weight_of_0_takes_a_loss_away():
    everything = {"bottleneck", "memory", "restoration", "identity"}
    assert gradients((1, 1, 1, 1)) == everything
    assert gradients((1, 0, 0, 0)) == {"bottleneck", "memory", "restoration"}
    assert gradients((0, 1, 0, 0)) == {"bottleneck", "identity"}
    assert gradients((0, 0, 1, 0)) == everything
    # The loss of the memory is one of the codes; what reads it is not asked.
    assert gradients((0, 0, 0, 1)) == {"bottleneck"}
    assert gradients((0, 0, 0, 0)) == set()


def test_the_loss_of_the_memory_has_its_weight():
    net = filled(made(loss_weights=(0, 0, 0, 0.5))).eval()
    clean, damaged, masks, codes = planted()
    posterior = net.posterior(clean)[torch.arange(4), codes]
    found = net(clean, damaged, masks, codes)
    torch.testing.assert_close(found, -0.5 * posterior.log().mean())


def test_images_with_defects_do_not_move_the_memory():
    clean, damaged, masks, codes = planted()
    others = [part + 50 for part in damaged]
    moved = []
    for spoiled in (damaged, others):
        net = filled(made()).train()
        # The statistics of a batch mix what is normal with what is not.
        net.bottleneck.eval()
        before = net.memory.prototypes.clone()
        net(clean, spoiled, masks, codes)
        assert not torch.equal(net.memory.prototypes, before)
        moved.append(net.memory.prototypes)
    torch.testing.assert_close(*moved)
    net = filled(made()).eval()
    before = net.memory.prototypes.clone()
    net.anomaly_score(damaged), net.posterior(damaged)
    assert torch.equal(net.memory.prototypes, before)


def test_scores_have_no_part_in_the_rows_beside():
    net = filled(made()).eval()
    maps = maps_like(LEVELS, 6)
    whole = net.anomaly_map(maps)
    part = net.anomaly_map([level[2:4] for level in maps])
    torch.testing.assert_close(part, whole[2:4])
