"""The small CLIP: images and texts in a space, and how they find each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import nn

from skad._nets._small_clip import SmallCLIP, n_tokens, words_of

WORDS = ["a", "blue", "cat", "hat", "red"]
SIZES = {
    "image_size": 16,
    "patch_size": 4,
    "width": 8,
    "text_width": 12,
    "n_layers": 3,
    "n_text_layers": 2,
    "n_dims": 6,
    "context": 9,
}
START, END, PADDING, UNKNOWN = 1, 2, 0, 3


def made(**changes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        clip = SmallCLIP(WORDS, **{**SIZES, **changes})
        # So large that they matter beside what they are added to.
        for part in (clip.places, clip.order, clip.first):
            nn.init.normal_(part)
    return clip


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cosines(one, other):
    one = one / np.linalg.norm(one, axis=1, keepdims=True)
    return one @ (other / np.linalg.norm(other, axis=1, keepdims=True)).T


@pytest.fixture(params=[True, False], ids=["gradients", "none"])
def gradients(request):
    """Layers of torch take another way without gradients."""
    with torch.set_grad_enabled(request.param):
        yield request.param


@pytest.mark.parametrize("patch_size", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(16, 16), (8, 24)])
def test_images_give_an_embedding_and_tokens_of_the_layers_asked_for(patch_size, size):
    clip = made(patch_size=patch_size)
    embedding, tokens = clip.encode_image(normal(2, 3, *size), (1, 3))
    n_patches = size[0] * size[1] // patch_size**2
    assert embedding.shape == (2, 6)
    assert [part.shape for part in tokens] == [(2, 1 + n_patches, 8)] * 2
    assert not torch.allclose(*tokens)


def test_layers_come_in_the_order_asked_for():
    clip, x = made(), normal(2, 3, 16, 16)
    first, last = clip.encode_image(x, (1, 3))[1]
    found = clip.encode_image(x, (3, 1))[1]
    assert torch.equal(found[0], last) and torch.equal(found[1], first)
    assert clip.encode_image(x, ())[1] == []


def test_an_image_is_the_mean_of_its_tokens_in_the_space_of_texts():
    clip = made()
    embedding, (tokens,) = clip.encode_image(normal(2, 3, 16, 24), (3,))
    x = tokens.detach().numpy().astype(float)
    mean, std = x.mean(-1, keepdims=True), x.std(-1, keepdims=True)
    weight = clip.projection.weight.detach().numpy().astype(float)
    projected = (x - mean) / np.sqrt(std**2 + clip.norm.eps) @ weight.T
    assert_allclose(clip.project(tokens).detach(), projected, rtol=1e-4, atol=1e-5)
    assert_allclose(embedding.detach(), projected.mean(1), rtol=1e-4, atol=1e-5)


def test_an_image_does_not_depend_on_its_company(gradients):
    clip, x = made().eval(), normal(3, 3, 16, 16)
    together, (tokens,) = clip.encode_image(x, (2,))
    for i in range(3):
        alone, (own,) = clip.encode_image(x[i : i + 1], (2,))
        torch.testing.assert_close(alone[0], together[i])
        torch.testing.assert_close(own[0], tokens[i])


def without_content(clip):
    """Let tokens be what their places add."""
    nn.init.zeros_(clip.patches[-1].weight)
    nn.init.zeros_(clip.patches[-1].bias)
    clip.blocks = nn.ModuleList([nn.Identity()])
    return clip


def test_places_are_added_row_by_row_after_the_token_of_the_image():
    clip = without_content(made())
    tokens = clip.encode_image(normal(1, 3, 16, 16), (1,))[1][0][0]
    assert torch.equal(tokens[0], clip.first)
    for row in range(4):
        for column in range(4):
            assert torch.equal(tokens[1 + 4 * row + column], clip.places[row, column])


def test_places_are_stretched_to_other_sizes():
    clip = without_content(made())
    with torch.no_grad():
        # The first channel grows from left to right, the second from top to bottom.
        clip.places[..., 0] = torch.arange(4.0)
        clip.places[..., 1] = torch.arange(4.0)[:, None]
    tokens = clip.encode_image(normal(1, 3, 32, 24), (1,))[1][0][0, 1:]
    places = tokens.unflatten(0, (8, 6)).detach()
    for channel, along, across in ((0, 1, 0), (1, 0, 1)):
        ramp = places[..., channel]
        assert (ramp.diff(dim=along) > 0).all()
        assert_allclose(ramp.diff(dim=across), 0, atol=1e-5)
        assert_allclose(ramp.mean(), 1.5, atol=1e-5)


def test_what_changes_in_an_image_changes_its_tokens_there():
    clip = made()
    clip.blocks = nn.ModuleList([nn.Identity()])
    for i, layer in enumerate(clip.patches):
        if isinstance(layer, nn.GroupNorm):  # which looks at all of an image
            clip.patches[i] = nn.Identity()
    x = normal(1, 3, 16, 32)
    other = x.clone()
    other[:, :, :8, 16:] += 3 * normal(3, 8, 16, seed=1)
    before, after = (clip.encode_image(part, (1,))[1][0][0] for part in (x, other))
    change = (after - before).square().sum(1)
    assert change[0] == 0
    places = change[1:].unflatten(0, (4, 8))
    assert (places[:2, 4:] > 0).all()
    # The nearest ones see a part of it.
    assert (places[:, :3] == 0).all() and (places[3:] == 0).all()


@pytest.mark.parametrize("patch_size", [2, 4, 8])
def test_a_token_sees_what_lies_around_the_middle_of_its_patch(patch_size):
    stem = made(patch_size=patch_size).patches
    for i, layer in enumerate(stem):
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
        else:
            stem[i] = nn.Identity()
    x = normal(1, 3, 9 * patch_size, 9 * patch_size).requires_grad_()
    stem(x)[0, 0, 4, 4].backward()
    weights = x.grad[0, 0]
    for axis in (0, 1):
        share = weights.sum(axis) / weights.sum()
        middle = (share * torch.arange(9.0 * patch_size)).sum().item()
        assert middle == pytest.approx(4 * patch_size + (patch_size - 1) / 2)


def test_texts_are_read_word_by_word():
    ids, ends = made().tokenize(["A cat!", "a blue, red HAT", ""])
    a, blue, cat, hat, red = range(4, 9)
    assert ids.tolist() == [
        [START, a, cat, END, PADDING, PADDING],
        [START, a, blue, red, hat, END],
        [START, END, PADDING, PADDING, PADDING, PADDING],
    ]
    assert ends.tolist() == [3, 5, 1]


def test_words_that_are_unknown_are_all_the_same():
    clip = made()
    ids, ends = clip.tokenize(["a zorp cat", "a green cat", "a red cat"])
    assert ids[0].tolist() == ids[1].tolist() == [START, 4, UNKNOWN, 6, END]
    text = clip.encode_text(clip.embed_tokens(ids), ends)
    assert torch.equal(text[0], text[1])
    assert not torch.allclose(text[0], text[2])


TEXTS = st.lists(st.sampled_from([*WORDS, "Red", "zorp", "?", ","]), max_size=6)


@given(st.lists(TEXTS.map(" ".join), min_size=1, max_size=4))
def test_texts_end_where_their_tokens_do(texts):
    ids, ends = made().tokenize(texts)
    assert ids.shape == (len(texts), max(map(n_tokens, texts)))
    for text, row, end in zip(texts, ids.tolist(), ends.tolist(), strict=True):
        assert end + 1 == n_tokens(text)
        assert row[0] == START and row[end] == END
        assert set(row[1:end]).isdisjoint({START, END, PADDING})
        assert set(row[end + 1 :]) <= {PADDING}


def test_words_of_texts_are_listed_once_and_in_order():
    assert words_of(["A red hat.", "a blue HAT", ""]) == ["a", "blue", "hat", "red"]


def test_what_follows_the_end_of_a_text_has_no_influence(gradients):
    clip = made().eval()
    words, ends = normal(3, 7, 12), torch.tensor([2, 6, 4])
    texts = clip.encode_text(words, ends)
    other = words.clone()
    for row, end in zip(other, ends, strict=True):
        row[end + 1 :] = 100.0
    torch.testing.assert_close(clip.encode_text(other, ends), texts)
    for i, end in enumerate(ends):
        alone = clip.encode_text(words[i : i + 1, : end + 1], ends[i : i + 1])
        torch.testing.assert_close(alone[0], texts[i])


def test_every_token_up_to_the_end_has_an_influence():
    words = normal(2, 6, 12).requires_grad_()
    made().encode_text(words, torch.tensor([3, 5])).square().sum().backward()
    moves = words.grad.abs().sum(2) > 0
    assert moves.tolist() == [[True] * 4 + [False] * 2, [True] * 6]


def test_the_order_of_words_counts():
    clip = made()
    ids, ends = clip.tokenize(["red cat blue hat", "blue cat red hat"])
    one, other = clip.encode_text(clip.embed_tokens(ids), ends)
    assert not torch.allclose(one, other)


def brute_force(images, texts, scale):
    logits = scale * cosines(images, texts)
    total = 0.0
    for table in (logits, logits.T):
        for i, row in enumerate(table):
            total -= row[i] - row.max() - np.log(np.exp(row - row.max()).sum())
    return total / (2 * len(images))


@pytest.mark.parametrize("log_scale", [0.0, 2.0, 9.0])
@pytest.mark.parametrize("texts", [[0, 1, 2, 3], [0, 1, 0, 0], [2, 2, 2, 2]])
def test_the_loss_is_that_of_own_captions_among_all(texts, log_scale):
    clip = made()
    nn.init.constant_(clip.log_scale, log_scale)
    x = normal(4, 3, 16, 16)
    ids, ends = clip.tokenize(["a cat", "a red hat", "blue", "hat"])
    loss = clip(x, ids[texts], ends[texts])
    read = clip.encode_text(clip.embed_tokens(ids), ends)[texts].detach().numpy()
    seen = clip.encode_image(x, ())[0].detach().numpy()
    # No more than a hundred, as in CLIP.
    scale = min(np.exp(log_scale), 100.0)
    assert clip.logit_scale == pytest.approx(scale)
    assert loss.item() == pytest.approx(brute_force(seen, read, scale), rel=1e-4)


def test_the_loss_reaches_all_that_is_learned():
    clip = made()
    ids, ends = clip.tokenize(["a cat", "a red hat", "zorp blue"])
    clip(normal(3, 3, 16, 16), ids, ends).backward()
    for name, values in clip.named_parameters():
        assert values.grad is not None and values.grad.any(), name


def test_the_loss_falls_when_captions_are_learned():
    clip, x = made(), normal(4, 3, 16, 16)
    ids, ends = clip.tokenize(["a cat", "a red hat", "blue", "hat"])
    optimizer = torch.optim.Adam(clip.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = clip(x, ids, ends)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


def test_sizes_are_what_it_was_made_with():
    clip = made(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert (clip.image_size, clip.patch_size) == (16, 4)
    assert (clip.n_layers, clip.context) == (3, 9)
    assert clip.mean == (0.1, 0.2, 0.3) and clip.std == (0.4, 0.5, 0.6)
    assert made(image_size=12).places.shape == (3, 3, 8)
