"""CLIPs that stay as they are, and what one can be found from."""

import copy
import pickle
import socket

import pytest
import torch
from torch import nn

from skad._nets._clip import FrozenCLIP, Widths, load_clip
from skad._nets._small_clip import SmallCLIP

WORDS = ["a", "cat", "hat", "photo"]
# Those of the CLIPs that OpenAI published.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def made(**changes):
    sizes = {
        "image_size": 16,
        "patch_size": 4,
        "width": 8,
        "text_width": 12,
        "n_layers": 2,
        "n_text_layers": 1,
        "n_dims": 6,
        "context": 9,
        **changes,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SmallCLIP(WORDS, **sizes)


def images(n_channels=3, height=16, width=16):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, n_channels, height, width, generator=generator)


def normalized(x, mean, std):
    parts = [(x[:, min(c, x.shape[1] - 1)] - mean[c]) / std[c] for c in range(3)]
    return torch.stack(parts, dim=1)


class Dropping(SmallCLIP):
    """A CLIP that is another in training mode, with buffers."""

    def __init__(self):
        super().__init__(WORDS, image_size=16, patch_size=4, width=8, n_layers=1)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("shift", torch.ones(3, 1, 1))

    def encode_image(self, images, layers):
        return super().encode_image(self.drop(images) + self.shift, layers)


class Other(nn.Module):
    """A CLIP that gives what it is told to."""

    image_size = patch_size = 4
    n_layers, context, logit_scale = 1, 5, 1.0

    def __init__(self, embedding=(1, 6), tokens=(1, 2, 8), text=(1, 6), n_tokens=3):
        super().__init__()
        self.shapes = embedding, tokens, text
        self.n_tokens = n_tokens

    def encode_image(self, images, layers):
        return torch.zeros(self.shapes[0]), [torch.zeros(self.shapes[1])]

    def project(self, tokens):
        return tokens

    def tokenize(self, texts):
        return torch.ones(len(texts), self.n_tokens).long(), torch.ones(len(texts))

    def embed_tokens(self, ids):
        return torch.zeros(*ids.shape, 7)

    def encode_text(self, embeddings, ends):
        return torch.zeros(self.shapes[2])


def test_weights_are_shared_and_not_copied():
    model = Dropping()
    clip = FrozenCLIP(model)
    own = dict(clip.model.state_dict(keep_vars=True))
    for name, value in model.state_dict().items():
        assert own[name].data_ptr() == value.data_ptr(), name
    assert len(own) == len(model.state_dict())
    with torch.no_grad():
        model.projection.weight.fill_(0)
        model.shift.fill_(7)
    assert not clip.model.projection.weight.any()
    assert (clip.model.shift == 7).all()


def test_weights_that_are_one_stay_one():
    model = made()
    model.text_projection = model.projection
    clip = FrozenCLIP(model)
    assert clip.model.text_projection is clip.model.projection
    assert clip.model.projection is not model.projection


def test_the_module_of_the_caller_is_left_alone():
    model = Dropping().train()
    model.drop.eval()
    model.norm.weight.requires_grad_(False)
    model.projection.weight.grad = torch.ones_like(model.projection.weight)
    modes = [part.training for part in model.modules()]
    needed = {name: part.requires_grad for name, part in model.named_parameters()}
    clip = load_clip(model).train()
    words, ends = clip.embed(["a cat"])
    clip.encode_image(images(), (1,))
    clip.encode_text(words.requires_grad_(), ends).sum().backward()
    assert [part.training for part in model.modules()] == modes
    assert not all(modes)
    for name, part in model.named_parameters():
        assert part.requires_grad == needed[name], name
        if name == "projection.weight":
            assert (part.grad == 1).all()
        else:
            assert part.grad is None, name


def test_nothing_moves_a_frozen_clip():
    model = Dropping().train()
    clip = FrozenCLIP(model)
    outer = nn.Sequential(clip).train()
    assert outer.training
    assert not any(part.training for part in clip.modules())
    assert not any(part.requires_grad for part in clip.parameters())
    x = images()
    for one, other in zip(
        clip.encode_image(x, (1,)), clip.encode_image(x, (1,)), strict=True
    ):
        torch.testing.assert_close(one, other)
    clip.requires_grad_(False)
    assert model.projection.weight.requires_grad


def test_gradients_reach_the_vectors_of_tokens_and_nothing_else():
    clip = FrozenCLIP(made())
    words, ends = clip.embed(["a cat", "hat"])
    assert not words.requires_grad
    words.requires_grad_()
    clip.encode_text(words, ends).square().sum().backward()
    assert words.grad.any()
    assert all(part.grad is None for part in clip.parameters())
    x = images().requires_grad_()
    embedding, (tokens,) = clip.encode_image(x, (2,))
    assert not embedding.requires_grad and not tokens.requires_grad
    assert not clip.project(tokens).requires_grad


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("scale", [((0.1, 0.2, 0.3), (1.0, 2.0, 4.0)), (None, None)])
def test_pixels_are_normalised(scale, n_channels):
    model = made(mean=scale[0], std=scale[1]).eval()
    mean, std = (MEAN, STD) if scale == (None, None) else scale
    x = images(n_channels)
    found = FrozenCLIP(model).encode_image(x, (1, 2))
    expected = model.encode_image(normalized(x, mean, std), (1, 2))
    torch.testing.assert_close(found[0], expected[0])
    for part, tokens in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(part, tokens)


def test_grey_images_are_coloured_ones_with_equal_channels():
    clip = FrozenCLIP(made())
    grey = images(1)
    coloured = clip.encode_image(grey.expand(-1, 3, -1, -1), ())[0]
    torch.testing.assert_close(clip.encode_image(grey, ())[0], coloured)


class WithFunctions(Other):
    def mean(self):
        return 0

    def std(self):
        return 1


def test_functions_of_the_names_mean_and_std_are_no_numbers():
    clip = FrozenCLIP(WithFunctions())
    assert clip.mean.shape == clip.std.shape == (3, 1, 1)
    assert clip.mean.flatten().tolist() == pytest.approx(MEAN)
    assert clip.std.flatten().tolist() == pytest.approx(STD)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": (0.5, 0.5)}, r"^mean of backbone is \(0\.5, 0\.5\); expected three"),
        ({"mean": "grey"}, "^mean of backbone is 'grey'; expected three numbers"),
        ({"std": (1, 0, 1)}, "^std of backbone is .*; expected three positive numbers"),
    ],
)
def test_a_wrong_mean_or_deviation_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        load_clip(made(**changes))


def test_texts_are_those_of_the_model():
    model = made().eval()
    clip = FrozenCLIP(model)
    words, ends = clip.embed(iter(["a cat", "hat"]))
    ids, expected = model.tokenize(["a cat", "hat"])
    assert torch.equal(ends, expected)
    assert torch.equal(words, model.embed_tokens(ids))
    text = model.encode_text(words, ends)
    torch.testing.assert_close(clip.encode_text(words, ends), text)


def test_numbers_are_those_of_the_model():
    model = made()
    clip = FrozenCLIP(model)
    assert (clip.image_size, clip.patch_size) == (16, 4)
    assert (clip.n_layers, clip.context) == (2, 9)
    assert clip.logit_scale == pytest.approx(1 / 0.07)
    nn.init.constant_(model.log_scale, 1.0)
    assert clip.logit_scale == pytest.approx(2.718282)
    with pytest.raises(AttributeError, match="n_words"):
        clip.n_words  # noqa: B018


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda clip: pickle.loads(pickle.dumps(clip))]
)
def test_copies_see_the_same(copied):
    clip = FrozenCLIP(made())
    other = copied(clip)
    own, its = clip.model.projection.weight, other.model.projection.weight
    assert own.data_ptr() != its.data_ptr()
    x = images()
    for one, two in zip(
        clip.encode_image(x, (1,))[1], other.encode_image(x, (1,))[1], strict=True
    ):
        torch.testing.assert_close(one, two)
    assert other.patch_size == 4
    assert not any(part.requires_grad for part in other.parameters())


def test_a_text_that_is_too_long_is_refused():
    clip = FrozenCLIP(made())
    clip.embed(["a " * 7])
    message = "^'a a .*' is a text of 10 tokens; backbone takes 9. Shorten class_names"
    with pytest.raises(ValueError, match=message):
        clip.embed(["a", "a " * 8])


def test_widths_are_those_of_tokens_and_of_the_space_of_both():
    clip = FrozenCLIP(made())
    assert clip.widths((16, 16)) == clip.widths((8, 24)) == Widths(8, 12, 6)
    assert FrozenCLIP(Other()).widths((4, 4)) == Widths(image=8, text=7, both=6)


@pytest.mark.parametrize(
    ("shapes", "name", "found", "expected"),
    [
        ({"tokens": (1, 1, 8)}, "tokens", "(1, 1, 8)", "(1, 2, 8)"),
        ({"tokens": (2, 2, 8)}, "tokens", "(2, 2, 8)", "(1, 2, 8)"),
        ({"tokens": (8, 2)}, "tokens", "(8, 2)", "(1, 2, 2)"),
        ({"embedding": (1, 5)}, "image embeddings", "(1, 5)", "(1, 6)"),
        ({"embedding": (6,)}, "image embeddings", "(6,)", "(1, 6)"),
        ({"text": (1, 1, 6)}, "text embeddings", "(1, 1, 6)", "(1, 6)"),
    ],
)
def test_what_has_a_wrong_shape_is_refused(shapes, name, found, expected):
    with pytest.raises(ValueError) as error:
        FrozenCLIP(Other(**shapes)).widths((4, 4))
    assert str(error.value) == (
        f"backbone returned {name} of shape {found} for an image of 4 x 4 pixels; "
        f"expected {expected}."
    )


def too_many(images, layers):
    return torch.zeros(1, 6), [torch.zeros(1, 2, 8)] * 2


def nothing(images, layers):
    return None


def failing(images, layers):
    raise RuntimeError("no such kernel")


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (too_many, "too many values"),
        (nothing, "cannot unpack"),
        (failing, "no such kernel"),
    ],
)
def test_what_fails_at_a_try_is_refused(encode, message):
    model = Other()
    model.encode_image = encode
    match = f"^backbone cannot take images of 4 x 8 pixels and texts: .*{message}"
    with pytest.raises(ValueError, match=match):
        FrozenCLIP(model).widths((4, 8))


def test_a_context_of_almost_nothing_is_refused():
    match = "pixels and texts: .* of 6 tokens; backbone takes 5"
    with pytest.raises(ValueError, match=match):
        FrozenCLIP(Other(n_tokens=6)).widths((4, 4))


def test_a_module_or_what_makes_one_is_taken():
    model = made()
    for clip in (load_clip(model), load_clip(lambda: model)):
        assert isinstance(clip, FrozenCLIP)
        weight = clip.model.projection.weight
        assert weight.data_ptr() == model.projection.weight.data_ptr()


def test_a_module_that_lacks_something_is_refused():
    class Partial(nn.Module):
        patch_size = 4

        def encode_image(self, images, layers):
            return None

    message = (
        "^backbone is a Partial without project, tokenize, embed_tokens, encode_text, "
        "image_size, n_layers, context, logit_scale, which a CLIP has to have"
    )
    for backbone in (Partial(), Partial):
        with pytest.raises(TypeError, match=message):
            load_clip(backbone)
    with pytest.raises(TypeError, match="^backbone is a Linear without encode_image,"):
        load_clip(lambda: nn.Linear(1, 1))


@pytest.mark.parametrize("backbone", [3, None, ["a/b"], b"a/b", torch.zeros(3)])
def test_what_is_no_clip_is_refused(backbone):
    with pytest.raises(TypeError, match="^backbone is .*; expected a CLIP, a function"):
        load_clip(backbone)


def test_what_cannot_be_called_or_makes_something_else_is_refused():
    with pytest.raises(TypeError, match="cannot be called without arguments.*words"):
        load_clip(SmallCLIP)
    with pytest.raises(TypeError, match="made an object of type int; expected an nn"):
        load_clip(lambda: 3)


def test_a_directory_without_a_model_is_refused(tmp_path):
    for path in (tmp_path, str(tmp_path)):
        with pytest.raises(ValueError, match="^backbone is the directory .*config"):
            load_clip(path)


@pytest.mark.parametrize("name", ["clip", "a/b/c", "./clip", "owner/clip.pt"])
def test_what_is_no_name_is_not_looked_for(name, monkeypatch, tmp_path):
    def connect(*args):
        raise AssertionError("a test has used the network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^backbone is .*, but there is no such file"):
        load_clip(name)
