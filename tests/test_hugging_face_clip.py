"""CLIPs of Hugging Face; a tiny one, of random weights, with a tokenizer of letters."""

import json
import shutil

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

transformers = pytest.importorskip("transformers")

from skad import GenCLIP  # noqa: E402
from skad._nets._clip import FrozenCLIP, Widths, load_clip  # noqa: E402
from skad.vision import HuggingFaceCLIP  # noqa: E402

VISION = {
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 4,
}
LETTERS = "abcdefghijklmnopqrstuvwxyz-"
N_WORDS = 2 * len(LETTERS) + 2
TEXT = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": N_WORDS,
    # Each letter is a token, as no letters are merged.
    "max_position_embeddings": 64,
    "bos_token_id": N_WORDS - 2,
}
# With 2, older models find the end of a text as the token of the highest id.
EOS = {"legacy": 2, "own": N_WORDS - 1}
TEXTS = ["a photo of a cat", "d", "good-bad"]


def made(eos="own"):
    config = transformers.CLIPConfig(
        text_config={**TEXT, "eos_token_id": EOS[eos]},
        vision_config=VISION,
        projection_dim=6,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.CLIPModel(config).eval()
        # At first they hardly differ from 0.
        for part in model.parameters():
            if part.ndim:
                torch.nn.init.normal_(part, std=0.3)
    return model


def write_words(directory):
    words = [*LETTERS, *(letter + "</w>" for letter in LETTERS)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    ids = {word: i for i, word in enumerate(words)}
    (directory / "vocab.json").write_text(json.dumps(ids))
    (directory / "merges.txt").write_text("#version: 0.2\n")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    directory = tmp_path_factory.mktemp("words")
    write_words(directory)
    return transformers.CLIPTokenizer.from_pretrained(directory)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A directory as those that users have, for all tests that only read it."""
    directory = tmp_path_factory.mktemp("clip")
    made().save_pretrained(directory)
    write_words(directory)
    return directory


@pytest.fixture
def directory(stored, tmp_path):
    """One of its own for a test that breaks it."""
    return shutil.copytree(stored, tmp_path / "clip")


def images(height=16, width=16):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def features(output):
    """What the stock model returns, by itself or, in later versions, among others."""
    return getattr(output, "pooler_output", output)


@pytest.fixture(params=EOS)
def pair(request, tokenizer):
    model = made(request.param)
    return model, FrozenCLIP(HuggingFaceCLIP(model, tokenizer))


def test_texts_are_those_of_the_stock_model(pair, tokenizer):
    model, clip = pair
    found = clip.encode_text(*clip.embed(TEXTS))
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = features(model.get_text_features(**inputs))
    assert expected.shape == (3, 6)
    torch.testing.assert_close(found, expected)
    for i, text in enumerate(TEXTS):
        alone = clip.encode_text(*clip.embed([text]))
        torch.testing.assert_close(alone[0], expected[i])


def test_texts_begin_and_end_where_the_tokenizer_says(tokenizer):
    clip = HuggingFaceCLIP(made(), tokenizer)
    ids, ends = clip.tokenize(["ab c", "d"])
    first, last = N_WORDS - 2, N_WORDS - 1
    final = len(LETTERS)
    # What pads texts is what ends them.
    assert ids.tolist() == [
        [first, 0, 1 + final, 2 + final, last],
        [first, 3 + final, last, last, last],
    ]
    assert ends.tolist() == [4, 2]


def test_what_follows_the_end_of_a_text_has_no_influence(pair):
    _, clip = pair
    words, ends = clip.embed(TEXTS)
    expected = clip.encode_text(words, ends)
    other = words.clone()
    for row, end in zip(other, ends, strict=True):
        row[end + 1 :] = 9.0
    torch.testing.assert_close(clip.encode_text(other, ends), expected)
    words[:, 1] = 9.0
    assert not torch.isclose(clip.encode_text(words, ends), expected).all(1).any()


def test_tokens_may_be_put_into_texts(pair):
    _, clip = pair
    (long,), (end,) = clip.embed(["b a n d"])
    (short,), _ = clip.embed(["b d"])
    together = torch.cat([short[:2], long[2:4], short[2:]])
    text = clip.encode_text(torch.stack([together, long]), end.expand(2))
    torch.testing.assert_close(text[0], text[1])


def test_gradients_reach_the_vectors_of_tokens_up_to_the_end(pair):
    model, clip = pair
    words, ends = clip.embed(TEXTS)
    words.requires_grad_()
    clip.encode_text(words, ends).square().sum().backward()
    moves = words.grad.abs().sum(2) > 0
    expected = torch.arange(words.shape[1]) <= ends[:, None]
    assert torch.equal(moves, expected)
    assert all(part.grad is None for part in (*clip.parameters(), *model.parameters()))


@pytest.mark.parametrize("size", [(16, 16), (8, 24)])
def test_images_are_those_of_the_stock_model(pair, size):
    model, clip = pair
    x = images(*size)
    embedding, tokens = clip.encode_image(x, (3, 1, 2))
    pixels = (x - clip.mean) / clip.std
    arguments = {"pixel_values": pixels, "interpolate_pos_encoding": True}
    with torch.no_grad():
        expected = features(model.get_image_features(**arguments))
        states = model.vision_model(
            **arguments, output_hidden_states=True
        ).hidden_states
    torch.testing.assert_close(embedding, expected)
    for part, layer in zip(tokens, (3, 1, 2), strict=True):
        assert part.shape == (2, 1 + size[0] * size[1] // 16, 12)
        torch.testing.assert_close(part, states[layer])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert not torch.isclose(tokens[i], tokens[j]).all(2).any()


def test_the_token_of_the_image_becomes_its_embedding(pair):
    _, clip = pair
    embedding, (tokens,) = clip.encode_image(images(), (3,))
    projected = clip.project(tokens)
    assert projected.shape == (2, 17, 6)
    torch.testing.assert_close(projected[:, 0], embedding)


def test_patches_are_row_by_row(pair):
    _, clip = pair
    x = images(16, 24)
    other = x.clone()
    other[:, :, 8:12, 4:8] = 1 - other[:, :, 8:12, 4:8]
    before, after = (clip.encode_image(part, (1,))[1][0] for part in (x, other))
    change = (after - before).square().sum(2)[:, 1:]
    assert (change.argmax(1) == 2 * 6 + 1).all()


def test_numbers_are_those_of_the_model(pair):
    model, clip = pair
    assert (clip.image_size, clip.patch_size) == (16, 4)
    assert (clip.n_layers, clip.context) == (3, 64)
    assert clip.logit_scale == pytest.approx(np.exp(model.logit_scale.item()))
    assert clip.widths((16, 16)) == Widths(image=12, text=8, both=6)


def test_the_model_of_the_caller_is_left_alone(tokenizer):
    model = made().train()
    clip = load_clip(HuggingFaceCLIP(model, tokenizer))
    clip.encode_image(images(), (1,))
    clip.encode_text(*clip.embed(TEXTS))
    assert all(part.training for part in model.modules())
    assert not any(part.training for part in clip.modules())
    weights = dict(model.named_parameters())
    for name, part in clip.model.model.named_parameters():
        assert part.data_ptr() == weights[name].data_ptr(), name
        assert weights[name].requires_grad and not part.requires_grad, name


def test_a_directory_gives_the_clip_that_it_holds(stored, tokenizer):
    x, model = images(), FrozenCLIP(HuggingFaceCLIP(made(), tokenizer))
    for path in (stored, str(stored)):
        clip = load_clip(path)
        torch.testing.assert_close(
            clip.encode_image(x, ())[0], model.encode_image(x, ())[0]
        )
        found, expected = (c.encode_text(*c.embed(TEXTS)) for c in (clip, model))
        torch.testing.assert_close(found, expected)
        assert not any(part.requires_grad for part in clip.parameters())


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        (
            {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.3]},
            (0.5, 0.4, 0.3),
            (0.1, 0.2, 0.3),
        ),
        ({"do_normalize": False}, (0, 0, 0), (1, 1, 1)),
        (
            {},
            (0.48145466, 0.4578275, 0.40821073),
            (0.26862954, 0.26130258, 0.27577711),
        ),
    ],
)
def test_pixels_are_normalised_as_the_directory_says(settings, mean, std, directory):
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    clip = load_clip(directory)
    assert clip.mean.flatten().tolist() == pytest.approx(mean)
    assert clip.std.flatten().tolist() == pytest.approx(std)


def test_pixels_are_normalised_as_the_caller_says(tokenizer):
    wrapped = HuggingFaceCLIP(made(), tokenizer, mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    clip = load_clip(wrapped)
    assert clip.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert clip.std.flatten().tolist() == pytest.approx([1, 2, 3])


def surfaces():
    X = np.random.default_rng(0).random((6, 16, 16))
    masks = np.zeros(X.shape, dtype=bool)
    masks[:3, 4:8, 4:12] = True
    X[masks] = 1
    return X, np.where(masks.any(axis=(1, 2)), -1, 1), masks


@pytest.mark.parametrize("supervised", [False, True])
def test_a_detector_takes_a_directory(stored, supervised):
    X, y, masks = surfaces()
    detector = GenCLIP(
        str(stored), n_query_tokens=3, max_epochs=1, pixel_range=(0, 1), random_state=0
    )
    if supervised:
        detector.fit(X, y, masks=masks, class_names="pad")
    else:
        detector.fit(X)
    assert detector.layers_ == (1, 2, 3)
    assert detector.image_size_ == (16, 16)
    maps = detector.anomaly_map(X, class_names=["pad", "cup"] * 3)
    assert maps.shape == X.shape
    assert ((maps >= 0) & (maps <= 1)).all() and np.ptp(maps) > 0
    scores = detector.score_samples(X)
    model = GenCLIP(
        load_clip(stored).model,
        **{
            name: value
            for name, value in detector.get_params().items()
            if name != "backbone"
        },
    )
    model.fit(X, y, masks=masks, class_names="pad") if supervised else model.fit(X)
    assert_allclose(model.score_samples(X), scores, rtol=1e-5)


def test_a_model_without_its_tokenizer_is_refused():
    message = r"^backbone is a CLIPModel without the tok.*HuggingFaceCLIP\(model, token"
    for backbone in (made(), made):
        with pytest.raises(TypeError, match=message):
            load_clip(backbone)


def without_words(directory):
    (directory / "vocab.json").unlink()
    (directory / "merges.txt").unlink()


def broken_words(directory):
    (directory / "vocab.json").write_text("[")


@pytest.mark.parametrize(
    "damage",
    [
        without_words,
        broken_words,
    ],
)
def test_a_directory_without_a_tokenizer_is_refused(damage, directory):
    damage(directory)
    message = "^backbone '.*clip' has no tokenizer that can be loaded: "
    with pytest.raises(ValueError, match=message):
        load_clip(directory)


def test_a_directory_with_another_model_is_refused(tmp_path):
    config = transformers.ViTConfig(**VISION)
    transformers.ViTModel(config).save_pretrained(tmp_path)
    message = "^backbone '.*' is a ViTModel; expected a CLIPModel"
    with pytest.raises(ValueError, match=message):
        load_clip(tmp_path)


def test_a_directory_without_weights_is_refused(directory):
    (directory / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="^backbone '.*clip' cannot be loaded: "):
        load_clip(directory)
