"""The prompts of GenCLIP, and the maps and scores that they give."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skad._nets._clip import FrozenCLIP
from skad._nets._clip_rows import NameTexts
from skad._nets._genclip import LearnedPrompts, PromptNet, WrittenPrompts
from skad._nets._mddnet import smoothed
from skad._nets._prompts import Prompts
from skad._nets._pyramids import Given
from skad._nets._small_clip import SmallCLIP

# Widths of the tokens of images and texts, and of the space of both.
IMAGE, TEXT, BOTH = 8, 12, 6
N_LAYERS, N_QUERY, N_VISION = 3, 4, 2
PATCH, SIZE, GRID = 4, (12, 8), (3, 2)
N_PATCHES = 6
TEMPERATURE = 0.1


def seeded(function, *args, seed=0, **kwargs):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args, **kwargs)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def array(x):
    return x.detach().numpy().astype(float)


CLIP = FrozenCLIP(
    seeded(
        SmallCLIP,
        ["a", "damaged", "good", "metal", "object", "of", "photo", "wood"],
        image_size=8,
        patch_size=PATCH,
        width=IMAGE,
        text_width=TEXT,
        n_layers=N_LAYERS,
        n_text_layers=2,
        n_dims=BOTH,
        context=20,
    )
)
# Texts of several lengths.
NAMES, BY_HAND = (
    NameTexts(CLIP, ["metal", "old wood"], by_hand) for by_hand in (False, True)
)


def batch_of(codes=(1, 0, 2, 1), weights=None, seed=0, mixed=False):
    """What `ClipRows` gives, of tokens drawn at random."""
    codes = torch.tensor(codes)
    general = torch.zeros_like(codes)
    shape = (len(codes), 1 + N_PATCHES, IMAGE)
    image = normal(len(codes), BOTH, seed=seed)
    batch = {
        "image": image / image.norm(dim=1, keepdim=True),
        "tokens": [normal(*shape, seed=seed + i + 1) for i in range(N_LAYERS)],
        "weights": torch.ones(len(codes)) if weights is None else weights,
        "named": NAMES.about(codes) | BY_HAND.about(codes),
    }
    if mixed:
        batch["general"] = NAMES.about(general) | BY_HAND.about(general)
    return batch


def layer_maps(net, batch):
    """How likely pixels are damaged by each layer, before layers become one map."""
    return net._layer_maps(batch, net._branches(batch))


def rows_of(batch, rows):
    if isinstance(batch, dict):
        return {name: rows_of(part, rows) for name, part in batch.items()}
    if isinstance(batch, list):
        return [part[rows] for part in batch]
    return batch[rows]


def prompts_of(n_vision=N_VISION, joint=False):
    prompts = seeded(Prompts, TEXT, IMAGE, N_LAYERS, N_QUERY, n_vision, joint)
    # So large that texts of both states differ.
    torch.nn.init.normal_(prompts.query, generator=torch.Generator().manual_seed(1))
    return prompts


def params_of(**changes):
    return {
        "temperature": TEMPERATURE,
        "smoothing": 0.0,
        "top_fraction": 0.1,
        "map_weight": 0.5,
        **changes,
    }


def made(n_vision=N_VISION, joint=False, **changes):
    params = {
        "branch_weight": 0.5,
        "query_loss_weight": 1.0,
        "image_loss_weight": 1.0,
        "size": SIZE,
        "patch_size": PATCH,
        **params_of(**changes),
    }
    prompts = prompts_of(n_vision, joint)
    net = seeded(LearnedPrompts, prompts, IMAGE, BOTH, N_LAYERS, seed=1, **params)
    net.hold(CLIP)
    return net


def written(**changes):
    net = WrittenPrompts(size=SIZE, patch_size=PATCH, **params_of(**changes))
    net.hold(CLIP)
    return net


class Echo:
    """A CLIP that returns the texts that it gets, in one row, and keeps their ends."""

    def encode_text(self, embeddings, ends):
        self.ends = ends
        return embeddings.flatten(1)


def words_and_ends():
    words = normal(2, 2, 5, TEXT)
    return words, torch.tensor([[3, 4], [2, 4]])


def sequence(words, parts):
    """Put tokens after the first of some words."""
    rows = [array(words[0]), *(array(row) for part in parts for row in part)]
    return unit(np.stack([*rows, *(array(row) for row in words[1:])]).ravel())


def seen_by(prompts, layer, token):
    return prompts.vision[layer](token).view(N_VISION, TEXT)


@pytest.mark.parametrize("joint", [False, True])
def test_tokens_of_images_come_after_the_query_and_before_the_words(joint):
    prompts, clip = prompts_of(joint=joint), Echo()
    words, ends = words_and_ends()
    tokens = [normal(2, IMAGE, seed=i) for i in range(N_LAYERS)]
    found = prompts(clip, words, ends, tokens)
    added = [
        [[seen_by(prompts, k, tokens[k][i])] for k in range(N_LAYERS)] for i in (0, 1)
    ]
    if joint:
        added = [[[part for parts in one for part in parts]] for one in added]
    n_texts = 1 if joint else N_LAYERS
    assert len(found) == n_texts
    for k in range(n_texts):
        for i in (0, 1):
            for state in (0, 1):
                parts = [prompts.query[state], *added[i][k]]
                expected = sequence(words[i, state], parts)
                assert_allclose(array(found[k, i, state]), expected, atol=1e-6)
    n_added = N_QUERY + N_VISION * (N_LAYERS if joint else 1)
    assert (
        clip.ends.view(n_texts, 2, 2).tolist() == [(ends + n_added).tolist()] * n_texts
    )


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("n_vision", [0, N_VISION])
def test_without_tokens_of_images_there_is_one_prompt_of_the_query(joint, n_vision):
    prompts, clip = prompts_of(n_vision, joint), Echo()
    words, ends = words_and_ends()
    found = prompts(clip, words, ends)
    assert len(found) == 1
    for i in (0, 1):
        for state in (0, 1):
            expected = sequence(words[i, state], [prompts.query[state]])
            assert_allclose(array(found[0, i, state]), expected, atol=1e-6)
    assert clip.ends.tolist() == (ends + N_QUERY).flatten().tolist()


def test_prompts_are_small_at_first_and_differ():
    prompts = seeded(Prompts, TEXT, IMAGE, N_LAYERS, 50, N_VISION, False)
    assert prompts.query.shape == (2, 50, TEXT)
    assert prompts.query.std().item() == pytest.approx(0.02, rel=0.1)
    assert not torch.isclose(*prompts.query).all()
    assert len(prompts.vision) == N_LAYERS
    assert len(prompts_of(n_vision=0).vision) == 0


def stretched(n_from, n_to):
    """Return the matrix that puts pixels between the middles of others."""
    matrix = np.zeros((n_to, n_from))
    for i in range(n_to):
        place = np.clip((i + 0.5) * n_from / n_to - 0.5, 0, n_from - 1)
        low = int(place)
        high = min(low + 1, n_from - 1)
        matrix[i, low] += 1 - (place - low)
        matrix[i, high] += place - low
    return matrix


def brute_logits(patches, texts):
    """Return logits for each layer, image, state and pixel."""
    down, across = (stretched(a, b) for a, b in zip(GRID, SIZE, strict=True))
    layers = []
    for i, layer in enumerate(patches):
        text = texts[i if len(texts) > 1 else 0]
        cosines = np.einsum("npd,nsd->nsp", unit(layer), text) / TEMPERATURE
        layers.append(down @ cosines.reshape(-1, 2, *GRID) @ across.T)
    return np.stack(layers)


def damaged_share(logits, axis):
    good, damaged = np.moveaxis(logits, axis, 0)
    return 1 / (1 + np.exp(good - damaged))


def brute_branches(net, batch):
    """Return texts with and without tokens of the images, row by row."""
    about = batch["named"]
    tokens = [part[:, 0] for part in batch["tokens"]]
    asked = [None] if not net.prompts.vision else [tokens, None]
    return [
        array(net.prompts(CLIP, about["words"], about["ends"], part)) for part in asked
    ]


def brute_patches(net, batch):
    pairs = zip(net.heads, batch["tokens"], strict=True)
    return [array(head(part[:, 1:])) for head, part in pairs]


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("n_vision", [0, N_VISION])
def test_maps_are_means_over_branches_of_each_layer(joint, n_vision):
    net, batch = made(n_vision, joint, branch_weight=0.3), batch_of()
    branches, patches = brute_branches(net, batch), brute_patches(net, batch)
    weights = [0.3, 0.7] if n_vision else [1.0]
    expected = sum(
        weight * damaged_share(brute_logits(patches, texts), 2)
        for weight, texts in zip(weights, branches, strict=True)
    )
    found = layer_maps(net, batch)
    assert found.shape == (4, N_LAYERS, *SIZE)
    assert_allclose(array(found), np.moveaxis(expected, 1, 0), rtol=1e-4, atol=1e-5)
    assert_allclose(
        array(net.anomaly_map(batch)), expected.mean(0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("map_weight", [0.0, 0.4, 1.0])
def test_scores_are_of_the_highest_pixels_and_of_images_as_wholes(map_weight):
    net, batch = made(map_weight=map_weight, branch_weight=0.3), batch_of()
    maps = np.sort(array(net.anomaly_map(batch)).reshape(4, -1), axis=1)
    # A tenth of 96 pixels.
    top = maps[:, -10:].mean(1)
    whole = 0
    for weight, texts in zip((0.3, 0.7), brute_branches(net, batch), strict=True):
        cosines = np.einsum("nd,lnsd->lns", array(batch["image"]), texts).mean(0)
        whole = whole + weight * damaged_share(cosines / TEMPERATURE, 1)
    expected = map_weight * top + (1 - map_weight) * whole
    assert_allclose(array(net.anomaly_score(batch)), expected, rtol=1e-4)


@pytest.mark.parametrize(("top_fraction", "n_top"), [(1e-6, 1), (0.5, 48), (1.0, 96)])
def test_at_least_one_pixel_counts(top_fraction, n_top):
    net, batch = made(map_weight=1.0, top_fraction=top_fraction), batch_of()
    maps = np.sort(array(net.anomaly_map(batch)).reshape(4, -1), axis=1)
    found = array(net.anomaly_score(batch))
    assert_allclose(found, maps[:, -n_top:].mean(1), rtol=1e-5)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("n_vision", [0, N_VISION])
def test_maps_of_different_layers_differ(joint, n_vision):
    maps = layer_maps(made(n_vision, joint), batch_of()).detach()
    for i in range(N_LAYERS):
        for j in range(i):
            assert (maps[:, i] - maps[:, j]).abs().amax((1, 2)).min() > 0.01


@pytest.mark.parametrize("layer", range(N_LAYERS))
@pytest.mark.parametrize("joint", [False, True])
def test_the_patches_of_a_layer_change_the_map_of_that_layer_only(joint, layer):
    net, batch = made(joint=joint), batch_of()
    before = layer_maps(net, batch)
    batch["tokens"][layer][:, 1:] = normal(4, N_PATCHES, IMAGE, seed=9)
    changed = (layer_maps(net, batch) != before).any(0).flatten(1).any(1)
    assert changed.tolist() == [i == layer for i in range(N_LAYERS)]


@pytest.mark.parametrize("layer", range(N_LAYERS))
@pytest.mark.parametrize("joint", [False, True])
def test_the_image_by_a_layer_is_in_the_prompt_of_that_layer_or_of_all(joint, layer):
    net, batch = made(joint=joint, branch_weight=1.0), batch_of()
    before = layer_maps(net, batch)
    batch["tokens"][layer][:, 0] = normal(4, IMAGE, seed=9)
    changed = (layer_maps(net, batch) != before).any(0).flatten(1).any(1)
    assert changed.tolist() == [joint or i == layer for i in range(N_LAYERS)]


def test_the_query_alone_does_not_see_images():
    net, batch = made(branch_weight=0.0), batch_of()
    before = layer_maps(net, batch)
    for part in batch["tokens"]:
        part[:, 0] = normal(4, IMAGE, seed=9)
    assert torch.equal(layer_maps(net, batch), before)


def test_the_map_of_a_patch_is_where_the_patch_is():
    net, batch = made(), batch_of(codes=(0,))
    before = layer_maps(net, batch)
    # The patch of the last row and the first column.
    batch["tokens"][0][:, 1 + 4] = normal(1, IMAGE, seed=9)
    change = (layer_maps(net, batch) - before).abs()[0, 0]
    assert change[8:, :4].mean() > 0 and change[9:, :2].min() > 0
    # What lies beyond the middles of those beside it.
    assert not change[:6].any() and not change[:, 6:].any()


@pytest.mark.parametrize(
    "method", [layer_maps, LearnedPrompts.anomaly_map, LearnedPrompts.anomaly_score]
)
def test_the_weight_of_a_branch_goes_from_one_to_the_other(method):
    maps = [
        array(method(made(branch_weight=weight, map_weight=0.0), batch_of()))
        for weight in (0.0, 0.5, 1.0)
    ]
    assert_allclose(maps[1], (maps[0] + maps[2]) / 2, rtol=1e-5)
    assert np.abs(maps[0] - maps[2]).max() > 0.01


def test_without_tokens_of_images_the_weight_of_their_branch_is_nothing():
    nets = [made(n_vision=0, branch_weight=weight) for weight in (0.0, 0.5, 1.0)]
    maps = [net.anomaly_map(batch_of()) for net in nets]
    assert torch.equal(maps[0], maps[1]) and torch.equal(maps[0], maps[2])


NETS = {
    "layerwise": made,
    "joint": lambda **changes: made(joint=True, **changes),
    "query": lambda **changes: made(n_vision=0, **changes),
    "written": written,
}


@pytest.fixture(params=NETS.values(), ids=NETS)
def make(request):
    return request.param


def test_an_image_does_not_depend_on_its_company(make):
    net, batch = make(smoothing=1.0), batch_of(codes=(1, 0, 2, 1, 1))
    maps, scores = net.anomaly_map(batch), net.anomaly_score(batch)
    for i in range(5):
        alone = rows_of(batch, slice(i, i + 1))
        torch.testing.assert_close(net.anomaly_map(alone)[0], maps[i])
        torch.testing.assert_close(net.anomaly_score(alone)[0], scores[i])


@settings(max_examples=20)
@given(
    st.sampled_from(list(NETS.values())),
    st.integers(0, 999),
    st.floats(0.01, 2),
    st.sampled_from([0.0, 0.2, 3.0]),
)
def test_maps_and_scores_are_probabilities(make, seed, temperature, smoothing):
    net, batch = make(temperature=temperature, smoothing=smoothing), batch_of(seed=seed)
    for values in (net.anomaly_map(batch), net.anomaly_score(batch)):
        assert values.min() >= 0 and values.max() <= 1 + 1e-6


def test_maps_are_smoothed(make):
    rough, smooth = make().anomaly_map(batch_of()), make(smoothing=1.5)
    expected = smoothed(rough, 1.5)
    torch.testing.assert_close(smooth.anomaly_map(batch_of()), expected)


def test_distances_from_a_memory_are_added_to_maps(make):
    batch = batch_of()
    without = array(make().anomaly_map(batch))
    batch["distances"] = normal(4, N_PATCHES).abs()
    down, across = (stretched(a, b) for a, b in zip(GRID, SIZE, strict=True))
    added = down @ array(batch["distances"]).reshape(4, *GRID) @ across.T
    found = array(make().anomaly_map(batch))
    assert_allclose(found, without + added, rtol=1e-4, atol=1e-5)
    layers = layer_maps(make(), batch).detach()
    assert layers.max() <= 1


def test_names_that_count_in_part_lie_between_them_and_any_object(make):
    codes, objects = (1, 2, 1, 2), (0, 0, 0, 0)
    net = make()
    named, general = (
        layer_maps(make(), batch_of(c)).detach() for c in (codes, objects)
    )
    assert not torch.isclose(named, general).all(3).any()
    weights = torch.tensor([1.0, 0.0, 1.0, 0.0])
    found = layer_maps(net, batch_of(codes, weights, mixed=True))
    torch.testing.assert_close(found[::2], named[::2])
    torch.testing.assert_close(found[1::2], general[1::2])
    half = torch.full((4,), 0.5)
    between = layer_maps(net, batch_of(codes, half, mixed=True))
    assert not torch.isclose(between, named).all(3).any()
    assert not torch.isclose(between, general).all(3).any()


def test_names_that_do_not_mix_count_in_full(make):
    one, other = (batch_of(weights=torch.full((4,), w)) for w in (1.0, 0.3))
    assert torch.equal(layer_maps(make(), one), layer_maps(make(), other))
    assert torch.equal(make().name_weights(other), other["weights"])


def test_written_texts_are_compared_with_patches_of_the_last_layer():
    batch = batch_of()
    patches = [array(CLIP.model.project(batch["tokens"][-1][:, 1:]))]
    texts = array(batch["named"]["written"])[None]
    expected = damaged_share(brute_logits(patches, texts), 2)
    found = layer_maps(written(), batch)
    assert found.shape == (4, 1, *SIZE)
    assert_allclose(array(found), np.moveaxis(expected, 1, 0), rtol=1e-4, atol=1e-5)
    whole = np.einsum("nd,nsd->ns", array(batch["image"]), texts[0]) / TEMPERATURE
    score = array(written(map_weight=0.0).anomaly_score(batch))
    assert_allclose(score, damaged_share(whole, 1), rtol=1e-4)


def test_the_clip_is_no_part_of_the_net(make):
    net, batch = make(), batch_of()
    names = {name.split(".")[0] for name in net.state_dict()}
    assert names <= {"prompts", "heads"}
    other = pickle.loads(pickle.dumps(net))
    assert net.clip is CLIP
    with pytest.raises(TypeError, match="NoneType"):
        other.clip  # noqa: B018
    other.hold(CLIP)
    assert torch.equal(other.anomaly_map(batch), net.anomaly_map(batch))


def test_a_net_may_have_nothing_to_learn():
    for module, learns in ((written(), False), (made(), True)):
        net = PromptNet(module, criterion=Given).initialize()
        assert hasattr(net, "optimizer_") == learns
