import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skad._nets._clip import load_clip
from skad._nets._small_clip import SmallCLIP
from skad.vision import train_clip

SMALL = {
    "image_size": 16,
    "patch_size": 4,
    "width": 16,
    "text_width": 16,
    "n_layers": 2,
    "n_text_layers": 1,
    "n_dims": 8,
    "device": "cpu",
    "random_state": 0,
}


TEXTS = ["one bar that stands", "a lying bar"]


def bars(n_images, seed=0):
    """Return images of bars that lie or stand, from 0 to 1, and captions."""
    rng = np.random.default_rng(seed)
    X = np.zeros((n_images, 16, 16))
    for i, image in enumerate(X):
        place = rng.integers(2, 12)
        lying = image if i % 2 else image.T
        lying[place : place + 3, 2:14] = 1
    captions = [
        "a lying bar" if i % 2 else "one bar that stands" for i in range(n_images)
    ]
    return np.clip(X + 0.05 * rng.normal(size=X.shape), 0, 1), captions


X, CAPTIONS = bars(24)


def train(images=X, captions=CAPTIONS, **params):
    return train_clip(images, captions, **{**SMALL, "max_epochs": 1, **params})


def seen(clip, images=X):
    frozen = load_clip(clip)
    pixels = torch.tensor(images, dtype=torch.float32)[:, None]
    return frozen.encode_image(pixels, ())[0].numpy()


def test_captions_are_told_from_one_another():
    clip = train(*bars(64), max_epochs=30, batch_size=16, lr=0.003)
    images, captions = bars(20, seed=1)
    with torch.no_grad():
        read = clip.encode_text(*map_tokens(clip, TEXTS)).numpy()
    read /= np.linalg.norm(read, axis=1, keepdims=True)
    found = (seen(clip, images) @ read.T).argmax(axis=1)
    assert [TEXTS[i] for i in found] == captions


def map_tokens(clip, texts):
    ids, ends = clip.tokenize(texts)
    return clip.embed_tokens(ids), ends


def test_the_clip_is_ready_to_be_used():
    clip = train()
    assert isinstance(clip, SmallCLIP)
    assert not clip.training
    for parameter in clip.parameters():
        assert not parameter.requires_grad and parameter.grad is None
    assert set(clip.ids) == {"a", "lying", "bar", "one", "that", "stands"}
    assert_allclose(clip.mean, X.mean(), rtol=1e-4)
    assert_allclose(clip.std, X.std(), rtol=1e-4)


def test_a_seed_makes_the_same_clip():
    expected = seen(train())
    assert_allclose(seen(train()), expected, rtol=1e-6)
    assert not np.allclose(seen(train(random_state=1)), expected)


def test_the_global_generator_stays():
    before = torch.get_rng_state()
    train()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pickled_clip_is_the_same():
    clip = train()
    assert_allclose(seen(pickle.loads(pickle.dumps(clip))), seen(clip))


@pytest.mark.parametrize(
    ("images", "params"),
    [
        (np.rint(255 * X).astype(np.uint8), {}),
        (2 * np.rint(255 * X) / 255 - 1, {"pixel_range": (-1, 1)}),
        (np.repeat(np.rint(255 * X)[..., None], 3, axis=3).astype(np.uint8), {}),
    ],
    ids=["bytes", "range", "colour"],
)
def test_pixels_are_read_by_their_range(images, params):
    rounded = np.rint(255 * X) / 255
    expected = seen(train(rounded, pixel_range=(0, 1)), rounded)
    assert_allclose(
        seen(train(images, **params), rounded), expected, rtol=1e-2, atol=1e-3
    )


def test_images_of_another_size_are_resized():
    clip = train(np.kron(X, np.ones((1, 2, 2))), pixel_range=(0, 1))
    expected = train(pixel_range=(0, 1))
    assert clip.image_size == 16
    assert_allclose(seen(clip), seen(expected), rtol=0.1, atol=0.02)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"images": X[0]}, r"^X has shape \(16, 16\); expected"),
        ({"images": np.zeros((24, 16, 16, 2))}, "^X holds images of 2 channels"),
        ({"images": np.full((24, 16, 16), np.nan)}, "contains NaN"),
        ({"captions": CAPTIONS[:3]}, "inconsistent numbers of samples"),
        ({"captions": [*CAPTIONS[:23], " "]}, "^captions is or holds ' '"),
        ({"captions": list(range(24))}, "^captions is or holds 0"),
        ({"captions": [[c] for c in CAPTIONS]}, "^captions is or holds"),
        ({"context": 5}, "^captions holds one of 6 tokens, 'one bar that stands'"),
        ({"patch_size": 6}, "^patch_size is 6; expected a power of two"),
        ({"image_size": 18}, "^image_size is 18; expected a multiple of patch_size"),
        ({"width": 18}, "^width is 18; expected a multiple of 4"),
        ({"text_width": 2}, "^text_width is 2; expected a multiple of 4"),
        ({"n_layers": 0}, "^n_layers == 0"),
        ({"max_epochs": 0}, "^max_epochs == 0"),
        ({"batch_size": 1}, "^batch_size == 1"),
        ({"captions": ["a bar"] * 24}, "^captions are all the same"),
        ({"captions": [*CAPTIONS[:23], 3]}, "^captions is or holds 3"),
        ({"captions": [*CAPTIONS[:23], np.nan]}, "^captions is or holds nan"),
        ({"lr": 0.0}, "^lr == 0.0"),
        ({"pixel_range": (1, 0)}, "^pixel_range is"),
        ({"device": "nowhere"}, "^device is 'nowhere'"),
    ],
)
def test_wrong_input_is_named(params, message):
    with pytest.raises(ValueError, match=message):
        train(**params)


@pytest.mark.parametrize(
    "params", [{"n_dims": 2.5}, {"augment": "no"}, {"verbose": "x"}]
)
def test_a_value_of_another_type_is_named(params):
    with pytest.raises(
        TypeError, match=f"^{next(iter(params))} must be an instance of"
    ):
        train(**params)
