import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skad.datasets import make_captioned_surfaces
from skad.datasets._captioned_surfaces import _DAMAGED, _GENERAL, _GOOD, NAMES


def states(captions):
    """Tell which captions speak of a defect; all have to say whether there is one."""
    words = [set(caption.split()) for caption in captions]
    damaged = np.array([bool(w & set(_DAMAGED)) for w in words])
    assert_array_equal(damaged, [not w & set(_GOOD) for w in words])
    return damaged


@pytest.mark.parametrize("color", [False, True])
def test_images_come_with_captions(color):
    X, captions = make_captioned_surfaces(50, size=16, color=color, random_state=0)
    assert X.shape == ((50, 16, 16, 3) if color else (50, 16, 16))
    assert X.dtype == np.uint8
    assert captions.shape == (50,) and captions.dtype.kind == "U"
    assert states(captions).sum() == 25


def test_captions_name_the_kind_or_no_kind():
    _, captions = make_captioned_surfaces(400, size=16, random_state=0)
    last = np.array([caption.split()[-1] for caption in captions])
    general = np.isin(last, _GENERAL)
    assert 0.15 < general.mean() < 0.35
    assert set(last[~general]) == set(NAMES)
    _, few = make_captioned_surfaces(60, n_classes=2, size=16, random_state=0)
    assert {c.split()[-1] for c in few} <= {*NAMES[:2], *_GENERAL}


def test_a_caption_is_of_its_image():
    params = {"size": 48, "n_classes": 2, "defect_contrast": (0.6, 0.8)}
    X, captions = make_captioned_surfaces(300, random_state=0, **params)
    kinds = np.array([caption.split()[-1] for caption in captions])
    # Cloth is woven finely, and metal is brushed along a direction.
    rows, columns = (
        np.abs(np.diff(X.astype(float), axis=a)).mean((1, 2)) for a in (1, 2)
    )
    isotropy = np.minimum(rows, columns) / np.maximum(rows, columns)
    assert isotropy[kinds == "cloth"].min() > isotropy[kinds == "metal"].max()


@pytest.mark.parametrize(("share", "n_damaged"), [(0.0, 0), (0.3, 6), (1.0, 20)])
def test_so_many_have_a_defect(share, n_damaged):
    _, captions = make_captioned_surfaces(
        20, size=16, damaged_share=share, random_state=0
    )
    assert states(captions).sum() == n_damaged


def test_a_seed_makes_the_same_images_and_captions():
    one, same, other = (
        make_captioned_surfaces(10, size=16, random_state=seed) for seed in (0, 0, 1)
    )
    for part, again in zip(one, same, strict=True):
        assert_array_equal(part, again)
    assert (one[0] != other[0]).any()


def test_none_are_made_where_none_are_wanted():
    X, captions = make_captioned_surfaces(0, size=16)
    assert X.shape == (0, 16, 16) and captions.shape == (0,)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_samples": -1}, "n_samples == -1"),
        ({"damaged_share": 1.5}, "damaged_share == 1.5"),
        ({"n_classes": 6}, "n_classes == 6"),
        ({"size": 8}, "size == 8"),
        ({"defect_size": (0.5, 0.2)}, "defect_size"),
    ],
)
def test_wrong_input_is_named(params, message):
    with pytest.raises(ValueError, match=message):
        make_captioned_surfaces(**params)
