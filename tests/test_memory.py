"""The memory of normal codes, against plain loops and planted clusters."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad._nets._memory import ClassMemory

SEEDS = st.integers(0, 1000)
FEW = settings(max_examples=40)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def seeded(function, *args, seed=0):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args)


def made(n_classes=3, size=4, width=5, seed=0, unused=True):
    """A memory that is filled with anything, in which a slot or two are not used."""
    memory = seeded(ClassMemory, n_classes, size, width).double()
    memory.prototypes.copy_(normal(n_classes, size, width, seed=seed))
    memory.usage.copy_(1 + normal(n_classes, size, seed=seed + 1).abs())
    if unused:
        memory.usage[0, -1] = memory.usage[-1, 0] = 0
    return memory


def planted(n_images=12, n_places=20, width=6, seed=0):
    """Codes of three categories, each in two clusters of its own."""
    centres = 4 * torch.eye(width, dtype=torch.float64).view(3, 2, width)
    classes = torch.arange(n_images) % 3
    which = torch.arange(n_places) % 2
    codes = centres[classes][:, which] + 0.05 * normal(
        n_images, n_places, width, seed=seed
    )
    return codes, classes, centres


def as_maps(codes):
    """Codes of places as a code, of height 4."""
    return codes.transpose(1, 2).unflatten(2, (4, -1))


def state(memory):
    return memory.prototypes.clone(), memory.usage.clone()


def unchanged(memory, before):
    return all(map(torch.equal, state(memory), before))


def cosines(codes, prototypes):
    lengths = (
        np.linalg.norm(codes, axis=-1)[..., None],
        np.linalg.norm(prototypes, axis=-1),
    )
    return codes @ prototypes.T / lengths[0] / lengths[1]


def plain_weights(memory, code):
    """A softmax over the used prototypes, for a code of one place."""
    prototypes, usage = (part.numpy() for part in state(memory))
    weights = np.zeros(usage.shape)
    for c, k in np.ndindex(usage.shape):
        if usage[c, k]:
            weights[c, k] = np.exp(cosines(code, prototypes[c, k][None])[0] / 0.1)
    return weights / weights.sum()


@FEW
@given(SEEDS, st.integers(1, 3), st.integers(1, 3))
def test_weights_are_a_softmax_over_the_used_prototypes(seed, height, width):
    memory = made(seed=seed)
    codes = normal(2, 5, height, width, seed=seed + 2)
    weights = memory.weights(codes)
    assert weights.shape == (2, height * width, 3, 4)
    assert_allclose(weights.sum((2, 3)), 1)
    assert (weights[..., 0, -1] == 0).all() and (weights[..., -1, 0] == 0).all()
    for image in range(2):
        for place, found in enumerate(weights[image]):
            code = codes[image].flatten(1)[:, place].numpy()
            assert_allclose(found, plain_weights(memory, code), atol=1e-12)


@FEW
@given(SEEDS)
def test_the_posterior_is_the_mean_weight_of_a_category(seed):
    memory = made(seed=seed)
    codes = normal(3, 5, 2, 4, seed=seed)
    posterior = memory.posterior(codes)
    assert_allclose(posterior.sum(1), 1)
    expected = memory.weights(codes).numpy().mean(1).sum(2)
    assert_allclose(posterior, expected, atol=1e-12)


def test_codes_of_nothing_weigh_all_the_same():
    memory = made(unused=False)
    assert_allclose(memory.weights(torch.zeros(1, 5, 1, 1).double()), 1 / 12)


def test_what_is_read_is_merged_with_the_code():
    memory = made()
    codes = normal(2, 5, 2, 3, seed=4)
    read = np.einsum("npck,ckd->ndp", memory.weights(codes), memory.prototypes)
    both = torch.cat([codes, torch.tensor(read).view_as(codes)], dim=1)
    torch.testing.assert_close(memory(codes), memory.merge(both))


def test_an_empty_memory_remembers_everything_and_learns_nothing():
    memory = seeded(ClassMemory, 2, 3, 5).double()
    codes = normal(2, 5, 2, 3)
    assert not memory.is_filled()
    expected = memory.merge(torch.cat([codes, codes], dim=1))
    torch.testing.assert_close(memory(codes), expected)
    assert memory.learn(codes, torch.tensor([0, 1])) == 0
    assert not memory.is_filled()
    assert [part.shape for part in memory.kept()] == [(0, 5), (0, 5)]


def test_it_is_filled_with_the_centres_of_clusters():
    codes, classes, centres = planted()
    memory = seeded(ClassMemory, 3, 2, 6).double()
    seeded(memory.fill, codes, classes)
    assert memory.is_filled()
    for label, kept in enumerate(memory.kept()):
        order = np.argsort(kept[:, 2 * label])[::-1]
        assert_allclose(kept[order], centres[label], atol=0.05)
        # Four images of 20 places, half of them in each cluster.
        assert memory.usage[label].tolist() == [40, 40]


def test_filling_follows_the_seed():
    codes, classes = normal(6, 10, 5), torch.arange(6) % 2
    found = []
    for seed in (0, 0, 1):
        memory = ClassMemory(2, 4, 5).double()
        seeded(memory.fill, codes, classes, seed=seed)
        found.append(memory.prototypes)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_slots_that_no_distinct_code_is_left_for_are_never_chosen():
    two = normal(2, 5)
    codes = two[torch.arange(8) % 2].view(2, 4, 5)
    memory = seeded(ClassMemory, 1, 6, 5).double().train()
    classes = torch.zeros(2, dtype=torch.int64)
    seeded(memory.fill, codes, classes)
    for _ in range(3):
        assert (memory.usage[0] > 0).tolist() == [True] * 2 + [False] * 4
        assert (memory.weights(as_maps(codes))[..., 2:] == 0).all()
        others = normal(2, 4, 5, seed=7)
        seeded(memory.follow, others, classes)
    assert (memory.prototypes[0, 2:] == 0).all()
    memory.forget_unused(codes, classes)
    assert len(memory.kept()[0]) <= 2


def test_many_codes_are_filled_in_from_a_sample():
    codes, classes, centres = planted(n_images=30, n_places=1000)
    memory = seeded(ClassMemory, 3, 2, 6).double()
    seeded(memory.fill, codes, classes)
    assert memory.usage.sum(1).max() < 10_000
    for label, kept in enumerate(memory.kept()):
        order = np.argsort(kept[:, 2 * label])[::-1]
        assert_allclose(kept[order], centres[label], atol=0.05)


def plain_follow(memory, codes, classes):
    """Moving means of the codes that are nearest to each prototype, by loops."""
    prototypes, usage = (part.numpy() for part in state(memory))
    for label in range(len(usage)):
        own = codes[classes == label].numpy().reshape(-1, codes.shape[2])
        if not len(own):
            continue
        used = np.flatnonzero(usage[label])
        nearest = used[cosines(own, prototypes[label, used]).argmax(1)]
        for slot in used:
            mine = own[nearest == slot]
            total = 0.95 * usage[label, slot] * prototypes[label, slot]
            total += 0.05 * mine.sum(0)
            usage[label, slot] = 0.95 * usage[label, slot] + 0.05 * len(mine)
            prototypes[label, slot] = total / usage[label, slot]
    return prototypes, usage


@FEW
@given(SEEDS, st.integers(1, 5))
def test_prototypes_follow_the_means_of_their_codes(seed, n_images):
    memory = made(seed=seed)
    codes = normal(n_images, 7, 5, seed=seed)
    classes = torch.randint(
        3, (n_images,), generator=torch.Generator().manual_seed(seed)
    )
    prototypes, usage = plain_follow(memory, codes, classes)
    memory.follow(codes, classes)
    assert_allclose(memory.prototypes, prototypes, atol=1e-12)
    assert_allclose(memory.usage, usage, atol=1e-12)


def test_prototypes_get_to_where_codes_have_gone():
    codes, classes, centres = planted()
    memory = seeded(ClassMemory, 3, 2, 6).double()
    seeded(memory.fill, codes, classes)
    for _ in range(100):
        memory.follow(codes + 1, classes)
    for label, kept in enumerate(memory.kept()):
        order = np.argsort(kept[:, 2 * label])[::-1]
        assert_allclose(kept[order], centres[label] + 1, atol=0.1)


def test_a_prototype_without_codes_begins_anew_at_one_of_them():
    codes, classes, _ = planted()
    memory = seeded(ClassMemory, 3, 4, 6).double()
    seeded(memory.fill, codes, classes)
    memory.prototypes[1, 2] = -100
    before = memory.usage[1, 2].item()
    for _ in range(100):
        seeded(memory.follow, codes, classes)
        if memory.prototypes[1, 2, 0] > -90:
            break
        assert memory.usage[1, 2] < before
        before = memory.usage[1, 2].item()
    own = codes[classes == 1].flatten(0, 1)
    assert (own == memory.prototypes[1, 2]).all(1).any()
    # It counts as much as any other now, and is not replaced at once.
    assert memory.usage[1, 2] > 0.2 * memory.usage[1].sum()
    assert (memory.usage > 0).all()


def test_only_normal_codes_in_training_move_prototypes():
    codes, classes, _ = planted()
    memory = made(width=6)
    before = state(memory)
    memory.train()(as_maps(codes))
    memory.posterior(as_maps(codes))
    assert unchanged(memory, before)
    memory.eval().learn(as_maps(codes), classes)
    assert unchanged(memory, before)
    own = classes == 1
    memory.train().learn(as_maps(codes[own]), classes[own])
    moved = (memory.prototypes != before[0]).flatten(1).any(1)
    assert moved.tolist() == [False, True, False]


def test_learning_does_what_following_does_with_the_same_codes():
    codes, classes, _ = planted()
    one, other = made(width=6), made(width=6)
    seeded(one.train().learn, as_maps(codes), classes)
    seeded(other.follow, codes, classes)
    assert unchanged(one, state(other))


def test_the_loss_is_the_cross_entropy_of_the_posterior():
    memory = made().eval()
    codes, classes = normal(4, 5, 2, 2), torch.tensor([0, 2, 1, 1])
    posterior = memory.posterior(codes).numpy()
    expected = -np.log(posterior[np.arange(4), classes]).mean()
    assert_allclose(memory.learn(codes, classes), expected)


def test_the_loss_of_a_category_that_is_out_of_question_is_finite():
    memory = made(n_classes=2, size=1, width=2, unused=False).eval()
    memory.prototypes.copy_(torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]]]))
    codes = torch.tensor([1.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1)
    loss = memory.learn(codes, torch.tensor([1]))
    assert_allclose(loss, -np.log(1e-6))


def test_categories_of_planted_codes_are_told():
    codes, classes, _ = planted()
    memory = seeded(ClassMemory, 3, 2, 6).double()
    seeded(memory.fill, codes, classes)
    new, _, _ = planted(seed=9)
    posterior = memory.posterior(as_maps(new))
    assert torch.equal(posterior.argmax(1), classes)
    assert posterior.max(1)[0].min() > 0.99
    assert memory.eval().learn(as_maps(new), classes) < 0.01
    assert memory.learn(as_maps(new), (classes + 1) % 3) > 4


def test_no_gradient_reaches_prototypes_but_codes_and_weights_get_one():
    codes, classes, _ = planted()
    codes = (as_maps(codes) + 1).requires_grad_()
    memory = made(width=6).train()
    (memory.learn(codes, classes) + memory(codes).square().sum()).backward()
    assert {name for name, _ in memory.named_parameters()} == {
        "merge.weight",
        "merge.bias",
    }
    assert not memory.prototypes.requires_grad and memory.prototypes.grad is None
    assert codes.grad.abs().sum() > 0 and memory.merge.weight.grad.abs().sum() > 0


def test_a_step_by_the_loss_makes_categories_easier_to_tell():
    memory = made().eval()
    codes, classes = normal(4, 5, 2, 2).requires_grad_(), torch.tensor([0, 2, 1, 1])
    loss = memory.learn(codes, classes)
    (gradient,) = torch.autograd.grad(loss, codes)
    assert memory.learn(codes - 0.1 * gradient, classes) < loss


@FEW
@given(SEEDS)
def test_what_is_not_forgotten_is_nearest_to_a_code(seed):
    memory = made(size=8, seed=seed)
    codes, classes = normal(4, 5, 5, seed=seed), torch.tensor([0, 1, 2, 2])
    prototypes = memory.prototypes.clone()
    memory.forget_unused(codes, classes)
    assert torch.equal(memory.prototypes, prototypes)
    for label, kept in enumerate(memory.kept()):
        own = codes[classes == label].numpy().reshape(-1, 5)
        nearest = cosines(own, kept).argmax(1)
        assert_array_equal(np.unique(nearest), np.arange(len(kept)))
        counts = memory.usage[label][memory.usage[label] > 0]
        assert_array_equal(counts, np.bincount(nearest))


def test_categories_that_are_not_there_are_not_forgotten():
    memory = made()
    usage = memory.usage.clone()
    memory.forget_unused(normal(2, 5, 5), torch.tensor([1, 1]))
    assert torch.equal(memory.usage[[0, 2]], usage[[0, 2]])
    assert memory.usage[1].sum() == 10


def test_what_is_kept_are_arrays_of_the_used_prototypes():
    memory = made().float()
    kept = memory.kept()
    assert [part.shape for part in kept] == [(3, 5), (4, 5), (3, 5)]
    assert {part.dtype for part in kept} == {np.dtype("float64")}
    assert_array_equal(kept[2], memory.prototypes[2, 1:])


def test_prototypes_are_part_of_the_weights():
    memory = made()
    other = ClassMemory(3, 4, 5).double()
    other.load_state_dict(memory.state_dict())
    assert other.is_filled()
    codes = normal(2, 5, 2, 2)
    assert torch.equal(other(codes), memory(codes))


@pytest.mark.parametrize("n_places", [1, 3])
def test_one_image_is_enough(n_places):
    memory = seeded(ClassMemory, 1, 4, 5).double().train()
    codes, classes = normal(1, n_places, 5), torch.tensor([0])
    seeded(memory.fill, codes, classes)
    assert len(memory.kept()[0]) == n_places
    maps = codes.transpose(1, 2)[..., None]
    assert_allclose(memory.posterior(maps), 1)
    assert_allclose(memory.learn(maps, classes), 0, atol=1e-12)
