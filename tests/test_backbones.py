"""Frozen pyramids, and what a backbone can be loaded from."""

import os
import sys
import threading
import warnings
from collections import OrderedDict
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from skad._nets._backbones import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Level,
    Teacher,
    load_backbone,
)
from skad._nets._resnet import ResNet, Sizes
from skad._nets._weights import checksum, read_weights

SIZES = Sizes("basic", (1, 1, 1), stem=4)


class Pyramid(nn.Module):
    """Two levels, with dropout and batch normalisation; returns what it is told to."""

    def __init__(self, pack=list):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)
        )
        self.second = nn.Conv2d(4, 6, 3, 2, 1)
        self.pack = pack

    def forward(self, images):
        fine = self.first(images)
        return self.pack([fine, self.second(fine)])


class Raising(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images):
        raise RuntimeError("kernel size is larger than the input")


def as_dict(maps):
    return OrderedDict(zip("ab", maps, strict=True))


def images(n_channels=3, n_samples=2, size=16):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n_samples, n_channels, size, size, generator=generator)


def normalized(x, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    parts = [(x[:, c] - mean[c]) / std[c] for c in range(3)]
    return torch.stack(parts, dim=1)


def same(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def flags(module):
    return [part.training for part in module.modules()]


@pytest.mark.parametrize("pack", [list, tuple, as_dict])
def test_maps_are_those_of_the_net_in_evaluation_mode(pack):
    pyramid = Pyramid(pack)
    x = images()
    maps = Teacher(pyramid, shared=True)(x)
    assert isinstance(maps, list)
    pyramid.eval()
    fine = pyramid.first(normalized(x))
    same(maps, [fine, pyramid.second(fine)])
    assert not any(level.requires_grad for level in maps)


def test_a_single_map_is_a_pyramid_of_one_level():
    conv = nn.Conv2d(3, 5, 3)
    x = images()
    same(Teacher(conv, shared=True)(x), [conv(normalized(x))])


def test_grey_images_are_coloured_ones_with_equal_channels():
    teacher = Teacher(Pyramid())
    grey = images(1)
    same(teacher(grey), teacher(grey.repeat(1, 3, 1, 1)))


def test_pixels_are_normalised_with_the_given_numbers():
    mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 4.0)
    x = images()
    same(Teacher(nn.Identity(), mean, std)(x), [normalized(x, mean, std)])


@pytest.mark.parametrize("n_channels", [2, 4])
def test_other_numbers_of_channels_are_refused(n_channels):
    with pytest.raises(ValueError, match=f"^X holds images of {n_channels} channels"):
        Teacher(Pyramid())(images(n_channels))


@pytest.mark.parametrize("shared", [False, True])
def test_nothing_moves_a_teacher(shared):
    teacher = Teacher(Pyramid(), shared=shared)
    before = state(teacher)
    outer = nn.Sequential(teacher)
    outer.train()
    assert not teacher.training
    x = images()
    first = teacher(x)
    same(first, outer(x))
    for name, value in state(teacher).items():
        assert torch.equal(value, before[name]), name


def test_an_own_net_is_frozen_and_in_evaluation_mode():
    teacher = Teacher(Pyramid())
    nn.Sequential(teacher).train()
    assert not any(flags(teacher))
    assert not any(values.requires_grad for values in teacher.parameters())


def test_a_shared_net_is_given_back_as_it_was():
    pyramid = Pyramid()
    pyramid.first[1].eval()
    pyramid.second.weight.requires_grad_(False)
    before = flags(pyramid)
    teacher = Teacher(pyramid, shared=True)
    teacher(images())
    assert flags(pyramid) == before == [True, True, True, False, True, True]
    grads = {
        name for name, values in pyramid.named_parameters() if values.requires_grad
    }
    assert "second.weight" not in grads
    assert "first.0.weight" in grads


def test_a_shared_net_is_given_back_after_an_error():
    module = Raising()
    with pytest.raises(RuntimeError):
        Teacher(module, shared=True)(images())
    assert flags(module) == [True, True]


def test_a_shared_net_is_given_back_after_the_last_of_several_passes():
    inside, leave = threading.Event(), threading.Event()
    seen = []

    class Waiting(nn.Module):
        def forward(self, x):
            seen.append(self.training)
            if len(seen) == 1:
                inside.set()
                assert leave.wait(10)
                seen.append(self.training)
            return x

    module = Waiting()
    # Two teachers, as two clones have them.
    thread = threading.Thread(target=Teacher(module, shared=True), args=(images(),))
    thread.start()
    assert inside.wait(10)
    Teacher(module, shared=True)(images())
    assert not module.training
    leave.set()
    thread.join()
    assert seen == [False, False, False]
    assert module.training


def test_parts_that_two_nets_share_are_given_back_as_well():
    pyramid = Pyramid()

    class Within(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = pyramid.first

        def forward(self, x):
            # A pass through the whole, within one through a part.
            Teacher(pyramid, shared=True)(x)
            seen.extend(flags(self))
            return self.inner(x)

    seen = []
    Teacher(Within(), shared=True)(images())
    assert not any(seen)
    assert all(flags(pyramid))


def test_levels_are_described_by_a_try():
    assert Teacher(Pyramid()).describe(1, (16, 20)) == [
        Level(4, (8, 10)),
        Level(6, (4, 5)),
    ]


@pytest.mark.parametrize(
    ("pack", "message"),
    [
        (lambda maps: [], "backbone returned nothing for 1 images"),
        (lambda maps: None, "backbone returned an object of type NoneType"),
        (lambda maps: [maps[0], "x"], "an object of type str"),
        (lambda maps: maps[0].mean((2, 3)), r"tensor of shape \(1, 4\) and type"),
        (lambda maps: maps[0][0:0], r"shape \(0, 4, 8, 8\)"),
        (lambda maps: maps[0].long(), "type torch.int64"),
        (lambda maps: maps[0][..., :0], r"shape \(1, 4, 8, 0\)"),
        (lambda maps: maps[::-1], r"sizes \(4, 4\), \(8, 8\); expected fine ones"),
    ],
)
def test_what_is_no_pyramid_is_refused(pack, message):
    with pytest.raises(ValueError, match=message):
        Teacher(Pyramid(pack)).describe(3, (16, 16))


def test_an_image_too_small_for_the_net_is_refused_with_its_reason():
    with pytest.raises(ValueError, match=r"backbone cannot .* 4 x 5 pixels: kernel"):
        Teacher(Raising()).describe(3, (4, 5))


@given(
    n_channels=st.sampled_from([1, 3]),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_a_description_holds_for_any_size(n_channels, height, width):
    teacher = Teacher(ResNet(SIZES))
    levels = teacher.describe(n_channels, (height, width))
    maps = teacher(torch.rand(2, n_channels, height, width))
    assert [(level.shape[1], tuple(level.shape[2:])) for level in maps] == levels


def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ResNet(SIZES).eval()


def write_torch(weights, path):
    torch.save(weights, path)


def write_old(weights, path):
    torch.save(weights, path, _use_new_zipfile_serialization=False)


def write_safetensors(weights, path):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(weights, path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_torch, "net.pth"),
        (write_torch, "net.pt"),
        (write_old, "net.bin"),
        (write_safetensors, "net.safetensors"),
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_the_weights_of_a_resnet_are_loaded_from_a_file(write, name, kind, tmp_path):
    path = tmp_path / name
    write(net().state_dict(), path)
    teacher = load_backbone(kind(path))
    same(teacher(images(3, size=32)), net()(normalized(images(3, size=32))))
    assert not any(values.requires_grad for values in teacher.parameters())


def test_a_path_may_begin_with_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_torch(net().state_dict(), tmp_path / "net.pth")
    assert isinstance(load_backbone("~/net.pth"), Teacher)


def test_weights_do_not_change_with_the_file_that_they_were_loaded_from(tmp_path):
    path = tmp_path / "net.safetensors"
    write_safetensors(net().state_dict(), path)
    teacher = load_backbone(path)
    before = checksum(teacher)
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert checksum(teacher) == before


class Evil:
    def __reduce__(self):
        return os.system, ("exit",)


def whole_module(path):
    torch.save(nn.Linear(2, 2), path)


def evil(path):
    torch.save({"conv1.weight": Evil()}, path)


def text(path):
    path.write_text("no weights\nat all")


def empty(path):
    path.touch()


def damaged(path):
    torch.save({"conv1.weight": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def script(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (whole_module, r"holds torch\.nn\.modules\.linear\.Linear, and .* could run"),
        (evil, r"holds \w+\.system, and loading that could run anything"),
        (text, r"torch\.save did not write it, or it is damaged"),
        (empty, r"torch\.save did not write it"),
        (damaged, r"torch\.save did not write it"),
        (script, "it is a TorchScript archive"),
    ],
)
def test_a_file_that_holds_no_weights_is_refused_with_the_reason(
    write, reason, tmp_path
):
    path = tmp_path / "net.pth"
    write(path)
    with pytest.raises(ValueError, match=rf"^backbone '.*net\.pth' cannot .* {reason}"):
        load_backbone(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".pth", ".pt"]))
def test_no_bytes_lead_to_another_error(content, suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    # Some are the pickle of a number or of a text.
    try:
        read_weights(path)
    except ValueError as error:
        assert "cannot be read" in str(error)


def test_a_file_that_is_none_of_safetensors_is_refused(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "net.safetensors"
    text(path)
    with pytest.raises(ValueError, match=r"^backbone '.*' cannot be read"):
        load_backbone(path)


def test_the_weights_of_something_else_are_refused(tmp_path):
    path = tmp_path / "net.pth"
    write_torch(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ValueError, match=r"^backbone '.*net\.pth' does not hold"):
        load_backbone(path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    path = tmp_path / "net.safetensors"
    text(path)
    with pytest.raises(ImportError, match=r'pip install "skad\[vision\]"'):
        load_backbone(path)


@pytest.mark.parametrize("make", [Pyramid, partial(Pyramid, pack=tuple), lambda: net()])
def test_a_function_makes_the_net(make):
    teacher = load_backbone(make)
    assert len(teacher(images())) == len(make()(images()))


def test_a_module_is_used_as_it_is():
    pyramid = Pyramid()
    teacher = load_backbone(pyramid)
    assert teacher.pyramid is pyramid
    assert all(flags(pyramid))
    assert all(values.requires_grad for values in pyramid.parameters())


def test_a_module_may_say_how_its_images_are_normalised():
    module = nn.Identity()
    module.mean = (0.5, 0.4, 0.3)
    module.register_buffer("std", torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1))
    x = images()
    expected = normalized(x, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    same(load_backbone(module)(x), [expected])


def test_a_function_called_mean_is_no_mean():
    class Odd(nn.Identity):
        def mean(self):
            return 0

    x = images()
    same(load_backbone(Odd())(x), [normalized(x)])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mean", (0.5, 0.5)),
        ("mean", "grey"),
        ("mean", (0.1, 0.2, float("nan"))),
        ("std", (0.1, 0.0, 0.2)),
        ("std", (0.1, 0.2, float("inf"))),
    ],
)
def test_numbers_that_normalise_nothing_are_refused(name, values):
    module = nn.Identity()
    setattr(module, name, values)
    with pytest.raises(ValueError, match=f"^{name} of backbone is .*; expected three"):
        load_backbone(module)


@pytest.mark.parametrize(
    ("backbone", "error", "message"),
    [
        (3, TypeError, "^backbone is 3; expected a module"),
        (None, TypeError, "^backbone is None; expected"),
        (lambda size: size, TypeError, "^backbone .* without arguments: .*'size'"),
        (dict, TypeError, "^backbone .* without arguments: no signature"),
        (lambda: 3, TypeError, "^backbone .* made an object of type int"),
        (Path("no/such/file.pth"), ValueError, "^backbone is 'no/such/file.pth', but"),
        ("no-such-net", ValueError, "^backbone is 'no-such-net', but there is no such"),
    ],
)
def test_anything_else_is_refused(backbone, error, message):
    with pytest.raises(error, match=message):
        load_backbone(backbone)


def test_a_checksum_tells_weights_apart():
    def changed(name):
        other = net()
        with torch.no_grad():
            other.state_dict()[name].view(-1)[0] += 1
        return checksum(other)

    names = list(net().state_dict())
    found = {checksum(net()), *(changed(name) for name in names)}
    assert len(found) == 1 + len(names)
    assert checksum(net()) == checksum(net())


def test_a_checksum_depends_on_shapes_and_types():
    def holding(values):
        module = nn.Module()
        module.register_buffer("x", values)
        return checksum(module)

    zeros = torch.zeros(2, 3)
    others = [zeros.T, zeros.flatten(), zeros.int(), zeros.half(), torch.zeros(())]
    assert len({holding(values) for values in [zeros, *others]}) == 6
    rows = torch.arange(6.0).reshape(2, 3)
    assert holding(rows) == holding(rows.T.contiguous().T)
