"""Teacher's maps as rows, cached or not, and what batches are taken from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.utils.data import Subset

from skad._deep import BaseDeepDetector, chosen_device
from skad._nets import _feature_rows
from skad._nets._backbones import Teacher
from skad._nets._defects import with_defects
from skad._nets._feature_rows import DefectRows, FeatureRows, normal_batches, pooled
from skad._nets._net import DetectorNet
from skad._nets._pyramids import SmallPyramid
from skad._nets._rows import Batches, Rows

CPU = torch.device("cpu")
N = 11
CODES = torch.arange(N) % 3


class Counting(Teacher):
    """A teacher that notes how many images it has seen at once."""

    def forward(self, images):
        self.seen = [*getattr(self, "seen", []), len(images)]
        return super().forward(images)


def seeded(function, *args, seed=0):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args)


def teacher():
    return Counting(seeded(SmallPyramid, (4, 6)))


def images(n_images=N, n_channels=3, size=(9, 8)):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(n_images, n_channels, *size, generator=generator)
    return Rows(pixels.numpy(), lambda block: block)


def feature_rows():
    return FeatureRows(images(), teacher(), CPU)


def defect_rows(probability=0.8, augment=False):
    return DefectRows(images(), teacher(), CPU, CODES, probability, augment)


def plain(rows, index):
    """The maps of images as they are."""
    index = torch.arange(N)[index]
    return rows.normal(index, torch.zeros_like(index))


def close(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "index",
    [slice(2, 5), torch.tensor([4, 0, 4]), np.array([7]), slice(9, 20)],
    ids=["slice", "tensor", "array", "end"],
)
def test_rows_are_the_maps_of_their_images(index):
    rows = feature_rows()
    assert len(rows) == N
    expected = rows.teacher(images()[:][index])
    assert len(expected) == 2
    close(rows[index], expected)


def test_images_in_a_file_are_read_when_they_are_needed(tmp_path):
    np.save(tmp_path / "images.npy", images()[:].numpy())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    read = []

    def noted(block):
        read.append(len(block))
        return block

    rows = DefectRows(Rows(mapped, noted), teacher(), CPU, CODES, 0.0, False)
    assert read == []
    close(plain(rows, torch.tensor([5, 1])), feature_rows()[torch.tensor([5, 1])])
    close(plain(rows.cache(4), slice(3, 6)), feature_rows()[3:6])
    # Two for the first line, one to see how large maps are, then all, once.
    assert read == [2, 1, 4, 4, 3]


def test_what_a_net_learns_from_are_maps_with_and_without_defects():
    rows = defect_rows()
    index = torch.tensor([3, 10, 0, 5])
    found = seeded(rows.__getitem__, index)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.randint(1, (4,))
        damaged, masks = with_defects(rows.read(index), 0.8)
    assert set(found) == {"normal", "damaged", "masks", "codes"}
    close(found["normal"], rows.teacher(rows.read(index)))
    close(found["damaged"], rows.teacher(damaged))
    assert torch.equal(found["masks"], masks) and masks.any()
    assert found["codes"].tolist() == [0, 1, 0, 2]


def test_defects_are_new_every_time_and_never_without_probability():
    rows = defect_rows()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one, other = rows[:], rows[:]
    assert not torch.equal(one["masks"], other["masks"])
    close(one["normal"], other["normal"])
    whole = defect_rows(0.0)[:]
    assert not whole["masks"].any()
    close(whole["normal"], whole["damaged"])


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_cached_maps_are_those_of_the_teacher_and_need_it_no_more(batch_size):
    rows = defect_rows()
    assert rows.cache(batch_size) is rows
    # One image tells how large maps are.
    assert sum(rows.teacher.seen) == N + 1
    assert max(rows.teacher.seen) == min(batch_size, N)
    rows.teacher.seen.clear()
    for index in (slice(2, 7), torch.tensor([10, 2, 2]), slice(8, 30)):
        close(plain(rows, index), feature_rows()[index])
    assert rows.teacher.seen == []
    seeded(rows.__getitem__, slice(0, 3))
    assert rows.teacher.seen == [3]
    cached, fresh = (seeded(r.__getitem__, slice(1, 9)) for r in (rows, defect_rows()))
    for name in ("normal", "damaged"):
        close(cached[name], fresh[name])
    assert torch.equal(cached["masks"], fresh["masks"])


@pytest.mark.parametrize("spare", [0, -1])
@pytest.mark.parametrize("augment", [False, True])
def test_maps_that_are_too_large_are_not_kept(monkeypatch, spare, augment):
    # Floats of four bytes, at half and a quarter of the size.
    n_bytes = N * 4 * (4 * 5 * 4 + 6 * 3 * 2) * (4 if augment else 1)
    monkeypatch.setattr(_feature_rows, "_MOST_BYTES", n_bytes + spare)
    rows = defect_rows(augment=augment).cache(4)
    rows.teacher.seen.clear()
    close(plain(rows, slice(0, 5)), feature_rows()[:5])
    assert rows.teacher.seen == ([] if spare == 0 else [5])


def in_one_way(pixels, way):
    """Mirror by plain indexing."""
    pixels = pixels[..., ::-1] if way in (1, 3) else pixels
    return pixels[..., ::-1, :] if way in (2, 3) else pixels


@pytest.mark.parametrize("cached", [False, True])
def test_maps_are_those_of_mirrored_images(cached):
    rows = defect_rows(augment=True)
    if cached:
        rows.cache(4)
        rows.teacher.seen.clear()
    index, ways = torch.tensor([4, 4, 9, 0, 4]), torch.tensor([0, 1, 2, 3, 3])
    found = rows.normal(index, ways)
    assert rows.teacher.seen == ([] if cached else [5])
    pixels = images()[index].numpy()
    pixels = [in_one_way(p, way) for p, way in zip(pixels, ways.tolist(), strict=True)]
    close(found, teacher()(torch.tensor(np.stack(pixels))))


@pytest.mark.parametrize("augment", [False, True])
def test_defects_and_maps_without_them_are_mirrored_alike(augment):
    rows = defect_rows(0.0, augment).cache(4)
    index = torch.zeros(60, dtype=torch.int64)
    found = seeded(rows.__getitem__, index)
    close(found["normal"], found["damaged"])
    distinct = len(found["normal"][0].unique(dim=0))
    assert distinct == (4 if augment else 1)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_normal_batches_hold_every_image_once_with_its_category(cached, batch_size):
    rows = defect_rows()
    if cached:
        rows.cache(3)
    batches = list(normal_batches(rows, batch_size))
    sizes = [len(codes) for _, codes in batches]
    assert max(sizes) <= batch_size and min(sizes) > 0
    found = [torch.cat(level) for level in zip(*[m for m, _ in batches], strict=True)]
    close(found, feature_rows()[:])
    assert torch.equal(torch.cat([codes for _, codes in batches]), CODES)


def test_training_takes_batches_of_a_part_of_the_rows():
    rows = defect_rows(0.0).cache(4)
    batches = [batch for batch, _ in Batches(Subset(rows, [8, 1, 4, 6, 10]), 3)]
    assert [len(batch["codes"]) for batch in batches] == [3, 2]
    assert torch.cat([b["codes"] for b in batches]).tolist() == [2, 1, 1, 0, 1]
    normal = torch.cat([batch["normal"][0] for batch in batches])
    index = torch.tensor([8, 1, 4, 6, 10])
    torch.testing.assert_close(normal, feature_rows()[index][0])


@settings(max_examples=20)
@given(st.integers(1, N), st.integers(1, 20))
def test_images_are_pooled_to_means_and_deviations_of_channels(n_images, batch_size):
    rows = FeatureRows(images(n_images), teacher(), CPU)
    found = pooled(rows, batch_size)
    maps = [part.double().numpy() for part in teacher()(images(n_images)[:])]
    expected = [f(part, axis=(2, 3)) for part in maps for f in (np.mean, np.std)]
    assert found.shape == (n_images, 20) and found.dtype == np.float64
    assert_allclose(found, np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-6)


class Ask(nn.Module):
    """Notes how many rows it is asked for at once, and returns means of the maps."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.weight = nn.Parameter(torch.ones(1))

    def anomaly_score(self, maps):
        self.asked.append(len(maps[0]))
        return maps[0].mean((1, 2, 3))


def asking():
    return DetectorNet(Ask(), nn.Identity, batch_size=5, device="cpu").initialize()


@pytest.mark.parametrize(
    ("size", "batches"), [(4, [4, 4, 4]), (11, [11]), (16, [16]), (None, [16])]
)
def test_the_last_batch_of_scores_has_as_many_rows_as_any(size, batches):
    rows = feature_rows()
    net = asking()
    scores = net.evaluate(rows, size=size)
    assert net.module_.asked == rows.teacher.seen == batches
    assert_allclose(scores, feature_rows()[:][0].mean((1, 2, 3)), rtol=1e-5)


def test_scores_do_not_depend_on_the_rows_beside():
    rows = feature_rows()
    net = asking()
    whole = net.evaluate(rows)
    for n_rows in (1, 3, 10):
        part = FeatureRows(Rows(images()[:n_rows].numpy(), lambda b: b), teacher(), CPU)
        assert_array_equal(net.evaluate(part), whole[:n_rows])


class Asked(FeatureRows):
    """Notes what it is asked for."""

    def __getitem__(self, index):
        self.indices = [*getattr(self, "indices", []), index]
        return super().__getitem__(index)


def test_rows_are_asked_for_the_last_one_again_and_again():
    rows = Asked(images(), teacher(), CPU)
    found = list(asking().evaluate_batches(rows, size=4))
    assert [start for start, _ in found] == [0, 4, 8]
    assert rows.indices[:2] == [slice(0, 4), slice(4, 8)]
    assert rows.indices[2].tolist() == [8, 9, 10, 10]
    assert [len(scores) for _, scores in found] == [4, 4, 4]
    assert_array_equal(found[2][1][2], found[2][1][3])


class Constant(nn.Module):
    """Learns one number, and takes what is above it to be anomalous."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.level.expand_as(x)

    def anomaly_score(self, x):
        return x[:, 0] - self.level


class Shifted(BaseDeepDetector):
    """Learns from other rows than those it scores."""

    _criterion = nn.MSELoss
    max_epochs, batch_size, lr, n_iter_no_change = 100, 8, 0.2, None
    device, random_state, verbose, net_params = "cpu", 0, 0, None
    warm_start, contamination = False, 0.1

    def _make_module(self, X):
        return Constant()

    def _training_rows(self, X):
        return Rows(X + 5, self._net_input)


def test_training_may_take_other_rows_than_scoring():
    X = np.linspace(-1, 1, 16)[:, np.newaxis]
    scores = Shifted().fit(X).score_samples(X)
    assert_allclose(scores, 5 - X[:, 0], atol=0.1)


def test_without_other_rows_training_takes_those_of_scores():
    class Same(Shifted):
        _training_rows = BaseDeepDetector._training_rows

    X = 2 + np.linspace(-1, 1, 16)[:, np.newaxis]
    assert_allclose(Same().fit(X).score_samples(X), 2 - X[:, 0], atol=0.1)


def test_a_device_is_chosen_by_its_name():
    assert chosen_device("cpu") == chosen_device(torch.device("cpu")) == CPU
    assert chosen_device("auto").type in {"cpu", "cuda", "mps"}
    for wrong in ("gpu", "meta", torch.device("meta")):
        with pytest.raises(ValueError, match=f"device is '{wrong}'; here .*'cpu'"):
            chosen_device(wrong)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no GPU.")
def test_maps_are_where_they_are_wanted():
    device = chosen_device("auto")
    rows = DefectRows(images(), teacher(), device, CODES, 0.0, True).cache(4)
    found = rows[torch.tensor([3, 1])]
    parts = [*found["normal"], *found["damaged"], found["masks"], found["codes"]]
    assert {part.device.type for part in parts} == {"cuda"}
    found, expected = plain(rows, [3, 1]), feature_rows()[torch.tensor([3, 1])]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-2, atol=1e-2)
