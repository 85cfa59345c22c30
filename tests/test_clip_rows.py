"""Images as a frozen CLIP sees them: texts of names, filters, and what is kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch.nn.functional import normalize

from skad._nets._clip import FrozenCLIP
from skad._nets._clip_rows import (
    ClipRows,
    LearningRows,
    NameFilter,
    NameTexts,
    ReferenceTokens,
)
from skad._nets._small_clip import SmallCLIP

NAMES = ["metal", "wood"]
WORDS = "a broken close close-up damaged good metal object of photo the up wood".split()
LAYERS = (1, 3)
# More than one of the blocks that images are looked at in.
N_IMAGES = 37


def made():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FrozenCLIP(
            SmallCLIP(
                WORDS,
                image_size=8,
                patch_size=4,
                width=8,
                text_width=12,
                n_layers=3,
                n_text_layers=1,
                n_dims=6,
                context=12,
            )
        )


CLIP = made()
TEXTS = NameTexts(CLIP, NAMES, by_hand=False)
BY_HAND = NameTexts(CLIP, NAMES, by_hand=True)


def images(n_samples=N_IMAGES):
    return torch.rand(n_samples, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def codes(n_samples=N_IMAGES):
    return torch.arange(n_samples) % 3


def rows(kind="hard", margin=0.0, memory=None):
    name_filter = NameFilter(kind, margin)
    return ClipRows(images(), CLIP, LAYERS, TEXTS, codes(), name_filter, memory)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def read(texts):
    found = CLIP.encode_text(*CLIP.embed(texts))
    return found / found.norm(dim=1, keepdim=True)


def same(one, other):
    """Compare batches, part by part."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = one.values(), other.values()
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other)
    else:
        for a, b in zip(one, other, strict=True):
            same(a, b)


def test_names_come_after_that_of_any_object():
    words, ends = CLIP.embed(
        [f"{s} {n}" for n in ("object", *NAMES) for s in ("good", "damaged")]
    )
    assert torch.equal(TEXTS.words, words.view(3, 2, *words.shape[1:]))
    assert torch.equal(TEXTS.ends, ends.view(3, 2))
    plain = read([f"a photo of a {name}" for name in ("object", *NAMES)])
    torch.testing.assert_close(TEXTS.plain, plain)


def test_written_texts_are_means_of_several_ways_to_say_it():
    good = ["{}", "good {}", "flawless {}", "perfect {}"]
    damaged = ["damaged {}", "broken {}", "defective {}", "{} with a defect"]
    whole = ["a photo of a {}", "a photo of the {}", "a close-up photo of a {}"]
    assert BY_HAND.written.shape == (3, 2, 6)
    for i, name in enumerate(("object", *NAMES)):
        for j, states in enumerate((good, damaged)):
            texts = [part.format(s.format(name)) for part in whole for s in states]
            mean = read(texts).numpy().mean(0)
            expected = mean / np.linalg.norm(mean)
            assert_allclose(BY_HAND.written[i, j], expected, rtol=1e-5, atol=1e-6)


def test_what_is_known_about_names_is_found_by_their_numbers():
    chosen = torch.tensor([2, 0, 2])
    about = TEXTS.about(chosen) | BY_HAND.about(chosen)
    assert about["codes"].tolist() == [2, 0, 2]
    for name in ("words", "ends", "written"):
        for row, code in zip(about[name], (2, 0, 2), strict=True):
            texts = BY_HAND if name == "written" else TEXTS
            assert torch.equal(row, getattr(texts, name)[code])


def test_texts_take_no_gradients():
    parts = (TEXTS.words, TEXTS.plain, BY_HAND.written)
    assert not any(part.requires_grad for part in parts)


cosine = st.floats(-1, 1, width=32)
margins = st.floats(-2, 2, width=32)


def weigh(kind, margin, own, general, scale=10.0):
    """Weigh names, of images of given cosines with theirs and with "object"."""
    # "object" is along the second axis, the name of code 1 along the first.
    texts = SimpleNamespace(plain=torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    seen = torch.tensor([[own, general]])
    clip = SimpleNamespace(logit_scale=scale)
    weights = NameFilter(kind, margin).weights(clip, seen, torch.tensor([1]), texts)
    return weights.item()


@given(cosine, cosine, margins, margins, st.sampled_from(["hard", "soft"]))
def test_weights_fall_when_the_margin_grows(own, general, one, other, kind):
    low, high = sorted((one, other))
    assert weigh(kind, low, own, general) >= weigh(kind, high, own, general)


@given(cosine, cosine, cosine, margins, st.sampled_from(["hard", "soft"]))
def test_weights_rise_with_the_likeness_to_the_name(own, more, general, margin, kind):
    low, high = sorted((own, more))
    assert weigh(kind, margin, low, general) <= weigh(kind, margin, high, general)
    assert weigh(kind, margin, general, low) >= weigh(kind, margin, general, high)


@given(cosine, cosine, margins, st.floats(0.1, 100))
def test_names_count_in_full_where_they_count_for_more_than_half(
    own, general, margin, scale
):
    hard, soft = (weigh(k, margin, own, general, scale) for k in ("hard", "soft"))
    assert 0 <= soft <= 1
    assert hard in (0, 1)
    if soft != 0.5:
        assert hard == (soft > 0.5)
    more = np.float32(own) - np.float32(general) - np.float32(margin)
    assert soft == pytest.approx(1 / (1 + np.exp(-scale * float(more))), abs=1e-4)


def test_a_name_has_to_be_better_and_not_as_good():
    assert weigh("hard", 0.0, 0.5, 0.5) == 0
    assert weigh("soft", 0.0, 0.5, 0.5) == 0.5
    assert weigh("hard", -0.25, 0.5, 0.5) == 1


@pytest.mark.parametrize("kind", ["hard", "soft", None])
@pytest.mark.parametrize("margin", [-2.0, 0.0, 2.0])
def test_an_object_is_not_asked_about_by_a_name(kind, margin):
    seen = normalize(normal(9, 6), dim=1)
    weights = NameFilter(kind, margin).weights(CLIP, seen, codes(9), TEXTS)
    assert (weights[codes(9) == 0] == 0).all()
    if kind is None:
        assert (weights[codes(9) > 0] == 1).all()


def test_images_are_compared_with_their_own_names():
    seen = normalize(normal(12, 6), dim=1)
    weights = NameFilter("soft", 0.1).weights(CLIP, seen, codes(12), TEXTS)
    for i, code in enumerate(codes(12).tolist()):
        own, general = seen[i] @ TEXTS.plain[code], seen[i] @ TEXTS.plain[0]
        logit = CLIP.logit_scale * (own - general - 0.1)
        expected = logit.sigmoid().item() if code else 0.0
        assert weights[i].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_batch_holds_what_the_clip_sees():
    batch = rows(kind=None)[torch.tensor([5, 2, 30])]
    chosen = images()[[5, 2, 30]]
    image, tokens = CLIP.encode_image(chosen, LAYERS)
    torch.testing.assert_close(batch["image"], normalize(image, dim=1))
    same(batch["tokens"], tokens)
    assert batch["named"]["codes"].tolist() == [2, 2, 0]
    assert batch.keys() == {"image", "tokens", "weights", "named"}


def test_names_that_do_not_count_are_that_of_any_object():
    batch = rows("hard")[:]
    counts = batch["weights"] > 0
    assert counts.any() and not counts[codes() > 0].all()
    expected = torch.where(counts, codes(), 0)
    assert torch.equal(batch["named"]["codes"], expected)
    assert torch.equal(batch["named"]["words"], TEXTS.words[expected])
    assert (rows("hard", 2.0)[:]["named"]["codes"] == 0).all()
    assert torch.equal(rows("hard", -2.0)[:]["named"]["codes"], codes())


def test_names_that_count_in_part_stand_beside_that_of_any_object():
    batch = rows("soft")[3:6]
    assert torch.equal(batch["named"]["codes"], codes()[3:6])
    assert (batch["general"]["codes"] == 0).all()
    assert torch.equal(batch["general"]["words"], TEXTS.words[[0, 0, 0]])


# Bytes of an image's embedding of 6 numbers and of 5 tokens of 8 by each layer.
ONE = 4 * (6 + len(LAYERS) * 5 * 8)


class Counting:
    """Images that count how often each was read."""

    def __init__(self):
        self.images = images()
        self.read = np.zeros(N_IMAGES, dtype=int)

    def __len__(self):
        return N_IMAGES

    def __getitem__(self, index):
        self.read[index] += 1
        return self.images[index]


@pytest.mark.parametrize(
    ("n_bytes", "n_kept"),
    [
        (0, 0),
        (ONE - 1, 0),
        (ONE, 1),
        (16 * ONE, 16),
        (17.5 * ONE, 17),
        (36 * ONE, 36),
        (37 * ONE, 37),
        (1e9, 37),
    ],
)
def test_what_is_kept_changes_nothing(n_bytes, n_kept):
    source, expected = Counting(), rows()
    cached = ClipRows(
        source, CLIP, LAYERS, TEXTS, codes(), NameFilter("hard", 0.0)
    ).cache(n_bytes)
    source.read[:] = 0
    indices = [
        slice(None),
        slice(10, 20),
        slice(3, None, 7),
        np.array([36, 0, 17, 16, 5, 16]),
        torch.tensor([20, 1, 19, 0]),
        torch.tensor([4, 3]),
    ]
    for index in indices:
        same(cached[index], expected[index])
    assert (source.read[:n_kept] == 0).all()
    assert (source.read[n_kept:] >= 1).all()


SEEN = rows()[:]


@given(
    st.integers(0, N_IMAGES),
    st.lists(st.integers(0, N_IMAGES - 1), min_size=1, max_size=8),
)
def test_any_order_of_indices_is_kept(n_kept, index):
    index = torch.tensor(index)
    cached = rows().cache(n_kept * ONE)
    found = cached[index]
    torch.testing.assert_close(found["image"], SEEN["image"][index])
    same(found["tokens"], [part[index] for part in SEEN["tokens"]])


def test_a_memory_is_compared_with_the_images_asked_for():
    references = ReferenceTokens(
        [normalize(normal(4, 4, 8, seed=i), dim=2) for i in (1, 2)], None
    )
    allowed = normal(N_IMAGES, 4) > 0
    allowed[:, 0] = True
    index = torch.tensor([9, 30, 2])
    batch = rows(memory=(references, allowed))[index]
    expected = references.distances(batch["tokens"], allowed[index])
    assert torch.equal(batch["distances"], expected)
    assert batch["distances"].shape == (3, 4)


def test_patches_are_those_of_all_images_of_length_one():
    tokens = rows()[:]["tokens"]
    found = rows().patches()
    for part, layer in zip(found, tokens, strict=True):
        assert part.shape == (N_IMAGES, 4, 8)
        patches = layer[:, 1:].numpy()
        lengths = np.linalg.norm(patches, axis=2, keepdims=True)
        assert_allclose(part, patches / lengths, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("masks", [None, normal(N_IMAGES, 8, 8)])
def test_answers_go_with_their_images(masks):
    damaged = codes() == 1
    learning = LearningRows(
        images(),
        CLIP,
        LAYERS,
        TEXTS,
        codes(),
        NameFilter("soft", 0.0),
        damaged=damaged,
        masks=masks,
    )
    index = torch.tensor([7, 3, 36])
    batch = learning.cache(20 * ONE)[index]
    assert batch.pop("damaged").tolist() == [True, False, False]
    if masks is not None:
        assert torch.equal(batch.pop("masks"), masks[index])
    same(batch, rows("soft")[index])
    assert len(learning) == N_IMAGES


def far(tokens, references, allowed):
    """Look at one patch after the other."""
    n_samples, n_patches = len(tokens[0]), tokens[0].shape[1] - 1
    found = np.zeros((n_samples, n_patches))
    for layer, memory in zip(tokens, references, strict=True):
        layer, memory = (np.asarray(x, dtype=float) for x in (layer, memory))
        for i in range(n_samples):
            for j in range(n_patches):
                patch = layer[i, 1 + j] / np.linalg.norm(layer[i, 1 + j])
                bank = [p for k in np.flatnonzero(allowed[i]) for p in memory[k]]
                found[i, j] += 1 - max(patch @ p for p in bank)
    return found / len(tokens)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_distances_are_those_from_the_nearest_patches(n_samples, n_layers, seed):
    tokens = [normal(n_samples, 1 + 6, 5, seed=seed + i) for i in range(n_layers)]
    references = [
        normalize(normal(3, 6, 5, seed=1000 + seed + i), dim=2) for i in range(n_layers)
    ]
    allowed = normal(n_samples, 3, seed=seed) > 0
    allowed[:, seed % 3] = True
    found = ReferenceTokens(references, None).distances(tokens, allowed)
    expected = far(tokens, references, allowed.numpy())
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_reference_is_not_far_from_itself_unless_it_is_ruled_out():
    tokens = [normal(2, 7, 5, seed=i) for i in (0, 1)]
    memory = ReferenceTokens([normalize(t[:, 1:], dim=2) for t in tokens], None)
    everything = torch.ones(2, 2, dtype=torch.bool)
    assert_allclose(memory.distances(tokens, everything), 0, atol=1e-5)
    others = everything.clone().fill_diagonal_(False)
    assert (memory.distances(tokens, others) > 0.01).all()


def test_images_are_compared_with_references_of_their_name():
    tokens = [normalize(normal(3, 4, 5), dim=2)]
    names = np.array(["wood", "metal", "wood"])
    asked = np.array(["metal", "wood", "tile"])
    allowed = ReferenceTokens(tokens, names).allowed(asked)
    assert allowed.tolist() == [
        [False, True, False],
        [True, False, True],
        [False, False, False],
    ]
    allowed = ReferenceTokens(tokens, None).allowed(asked)
    assert allowed.shape == (3, 3) and allowed.all()
