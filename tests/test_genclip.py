import pickle

import numpy as np
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skad import GenCLIP, _clip_backbone
from skad._nets._small_clip import SmallCLIP
from skad.metrics import get_scorer, pixel_roc_auc_score, roc_auc_score
from skad.vision import train_clip

ANGLES = {"flat": 0.0, "steep": np.pi / 2, "falling": 3 * np.pi / 4}
UNSEEN = {"slanted": np.pi / 4}
RANGE = (-1.3, 1.3)


def stripes(n_images, angles=ANGLES, seed=0):
    """Return stripes of about some angles; every other image has a place without."""
    rng = np.random.default_rng(seed)
    names = np.array([list(angles)[i % len(angles)] for i in range(n_images)])
    y, x = np.indices((32, 32))
    images = []
    for name in names:
        angle = angles[name] + rng.uniform(-0.35, 0.35)
        along = np.cos(angle) * y + np.sin(angle) * x
        images.append(np.sin(rng.uniform(0.7, 0.9) * along + rng.uniform(0, 2 * np.pi)))
    masks = np.zeros((n_images, 32, 32), dtype=bool)
    for mask in masks[::2]:
        row, column = rng.integers(2, 18, size=2)
        mask[row : row + 12, column : column + 12] = True
    X = np.where(masks, 0, images) + 0.1 * rng.normal(size=masks.shape)
    return X, np.where(masks.any(axis=(1, 2)), -1, 1), masks, names


def tiny(max_epochs=1):
    """Return a CLIP of stripes, trained for a few epochs."""
    X, y, _, names = stripes(300)
    states = np.where(y == 1, "good", "damaged")
    captions = [
        f"a photo of a {state} {name if i % 3 else 'object'}"
        for i, (state, name) in enumerate(zip(states, names, strict=True))
    ]
    return train_clip(
        X,
        captions,
        image_size=32,
        patch_size=4,
        width=32,
        text_width=32,
        n_layers=3,
        n_text_layers=1,
        n_dims=32,
        pixel_range=RANGE,
        max_epochs=max_epochs,
        batch_size=32,
        lr=0.003,
        device="cpu",
        random_state=0,
    )


CLIP = tiny()
X, Y, MASKS, NAMES = stripes(40, seed=1)


def quick(X=X, y=Y, masks=MASKS, names=NAMES, backbone=CLIP, **params):
    """Return a detector that learned little."""
    params = {"n_query_tokens": 3, "max_epochs": 2, "pixel_range": RANGE} | params
    detector = GenCLIP(backbone, random_state=0, **params)
    return detector.fit(X, y, masks=masks, class_names=names)


@pytest.fixture(scope="module")
def fitted():
    return quick()


@pytest.fixture(scope="module")
def written():
    return quick(y=None, masks=None)


def test_defects_are_found_and_shown_on_a_kind_that_was_not_seen():
    clip = tiny(max_epochs=16)
    X, y, masks, names = stripes(100, seed=1)
    learned = GenCLIP(clip, pixel_range=RANGE, max_epochs=15, lr=0.005, random_state=0)
    learned.fit(X, y, masks=masks, class_names=names)
    by_hand = GenCLIP(clip, pixel_range=RANGE).fit(X)
    X, y, masks, names = stripes(100, seed=3)
    scores = learned.score_samples(X, class_names=names)
    assert roc_auc_score(y, scores) > 0.8
    maps = learned.anomaly_map(X, class_names=names)
    assert pixel_roc_auc_score(masks, maps) > 0.85
    X, y, masks, _ = stripes(100, UNSEEN, seed=2)
    pixels = [
        pixel_roc_auc_score(masks, detector.anomaly_map(X, class_names="slanted"))
        for detector in (learned, by_hand)
    ]
    assert pixels[0] > max(0.75, pixels[1] + 0.1)


def test_what_is_fitted(fitted):
    assert fitted.layers_ == (1, 2, 3)
    assert fitted.image_size_ == (32, 32)
    assert fitted.image_shape_ == (32, 32, 1)
    assert fitted.n_iter_ == len(fitted.history_) == 2
    assert fitted.query_prompts_.shape == (2, 3, 32)
    assert fitted.anomaly_map(X[:3]).shape == (3, 32, 32)
    scores = fitted.score_samples(X)
    assert scores.dtype == np.float64 and (scores <= 0).all() and (scores >= -1).all()


def test_without_labels_nothing_is_learned(written):
    assert written.n_iter_ == 0 and written.history_ == []
    assert written.query_prompts_ is None
    assert not list(written.net_.module_.parameters())
    with pytest.warns(UserWarning, match="no image with a defect: nothing is learned"):
        again = quick(y=np.ones(40), masks=None)
    assert_array_equal(again.score_samples(X), written.score_samples(X))


def test_labels_and_masks_say_the_same_in_several_ways(fitted):
    expected = fitted.score_samples(X)
    zero_one = (Y == -1).astype(int)
    for y in (zero_one, zero_one.astype(bool), zero_one * np.arange(1, 41), None):
        assert_array_equal(quick(y=y).score_samples(X), expected)
    for masks in (MASKS.astype(int), MASKS.astype(float)):
        assert_array_equal(quick(masks=masks).score_samples(X), expected)
    assert not np.allclose(quick(masks=None).score_samples(X), expected)


def test_the_threshold_is_that_of_images_without_a_defect():
    detector = quick(contamination=0.2)
    scores = detector.score_samples(X, class_names=NAMES)
    assert detector.offset_ == np.percentile(scores[Y == 1], 20)
    labels = detector.predict(X, class_names=NAMES)
    assert np.sum(labels[Y == 1] == -1) == 4
    again = clone(detector).fit_predict(X, Y, masks=MASKS, class_names=NAMES)
    assert_array_equal(again, labels)
    unlabelled = quick(y=None, masks=None, contamination=0.2)
    assert np.sum(unlabelled.predict(X, class_names=NAMES) == -1) == 8


@given(st.permutations(range(12)), st.data())
@settings(max_examples=10, deadline=None)
def test_a_score_depends_on_an_image_and_its_name_alone(fitted, order, data):
    known = st.sampled_from(["flat", "steep", "falling", "object", "never heard"])
    names = np.array(data.draw(st.lists(known, min_size=12, max_size=12)))
    scores = fitted.score_samples(X[:12], class_names=names)
    turned = fitted.score_samples(X[order], class_names=names[order])
    assert_allclose(turned, scores[order], rtol=1e-5)
    alone = fitted.score_samples(X[:1], class_names=str(names[0]))
    assert_allclose(alone, scores[:1], rtol=1e-5)


@given(st.floats(-2, 2), st.floats(0, 1), st.sampled_from(["hard", "soft"]))
@settings(max_examples=10, deadline=None)
def test_names_count_less_where_more_is_asked_of_them(margin, more, kind):
    def weights(margin):
        detector = GenCLIP(
            CLIP, class_name_filter=kind, class_name_margin=min(margin, 2)
        )
        return detector.fit(X).class_name_weights(X, class_names=NAMES)

    low, high = weights(margin), weights(margin + more)
    assert (high <= low).all() and (low <= 1).all() and (high >= 0).all()


def test_names_that_do_not_count_change_nothing(written):
    assert_array_equal(written.class_name_weights(X, class_names="object"), 0)
    always = quick(y=None, masks=None, class_name_filter=None)
    assert_array_equal(always.class_name_weights(X, class_names=NAMES), 1)
    never = quick(class_name_margin=2.0)
    assert_array_equal(never.class_name_weights(X, class_names=NAMES), 0)
    assert_array_equal(
        never.score_samples(X, class_names=NAMES), never.score_samples(X)
    )
    counted = quick(class_name_filter=None)
    named = counted.score_samples(X, class_names=NAMES)
    assert not np.allclose(named, counted.score_samples(X))


@pytest.mark.parametrize("kind", ["hard", "soft", None])
@pytest.mark.parametrize("prompts", ["layerwise", "joint"])
@pytest.mark.parametrize("n_vision", [0, 2])
def test_all_ways_give_scores(kind, prompts, n_vision):
    detector = quick(
        class_name_filter=kind, vision_prompts=prompts, n_vision_tokens=n_vision
    )
    scores = detector.score_samples(X, class_names=NAMES)
    assert np.ptp(scores) > 0
    maps = detector.anomaly_map(X, class_names=NAMES)
    assert (maps >= 0).all() and (maps <= 1).all()


def test_maps_are_means_of_both_branches():
    vision, query, both = (
        quick(branch_weight=weight).anomaly_map(X) for weight in (1, 0, 0.25)
    )
    assert not np.allclose(vision, query)
    assert_allclose(both, 0.25 * vision + 0.75 * query, rtol=1e-5)


def test_scores_are_means_of_the_image_and_of_its_worst_pixels():
    maps = quick().anomaly_map(X)
    worst = np.sort(maps.reshape(40, -1))[:, -10:].mean(axis=1)
    top, whole, both = (
        -quick(map_weight=weight).score_samples(X) for weight in (1, 0, 0.25)
    )
    assert_allclose(top, worst, rtol=1e-5)
    assert_allclose(both, 0.25 * top + 0.75 * whole, rtol=1e-5)


@pytest.mark.parametrize("cache_size", [0, 0.3])
def test_what_is_kept_changes_nothing(cache_size, fitted):
    scores = quick(cache_size=cache_size).score_samples(X)
    assert_allclose(scores, fitted.score_samples(X), rtol=1e-3)


def test_images_of_bytes_have_a_range_of_their_own():
    images = np.clip((X - RANGE[0]) / (RANGE[1] - RANGE[0]), 0, 1)
    as_bytes = np.rint(255 * images).astype(np.uint8)
    expected = quick(as_bytes / 255, pixel_range=(0, 1))
    found = quick(as_bytes, pixel_range=None)
    assert_allclose(
        found.score_samples(as_bytes), expected.score_samples(as_bytes / 255), rtol=1e-5
    )


def test_flattened_and_coloured_images_are_taken(fitted):
    flat = X.reshape(40, -1)
    assert_array_equal(fitted.score_samples(flat), fitted.score_samples(X))
    coloured = np.repeat(X[..., np.newaxis], 3, axis=3)
    scores = quick(coloured).score_samples(coloured)
    assert_allclose(scores, fitted.score_samples(X), rtol=1e-4)


def test_images_may_be_seen_larger_or_smaller():
    for size in (16, 48):
        detector = quick(image_size=size)
        assert detector.image_size_ == (size, size)
        assert detector.anomaly_map(X[:2]).shape == (2, 32, 32)


def test_images_in_a_file_are_read_from_there(tmp_path, fitted):
    np.save(tmp_path / "X.npy", X)
    in_file = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(quick(in_file).score_samples(in_file), fitted.score_samples(X))


def test_the_clip_stays_as_it_is(fitted):
    before = {name: part.clone() for name, part in CLIP.state_dict().items()}
    CLIP.requires_grad_(True).train()
    try:
        again = quick()
        assert all(p.requires_grad and p.grad is None for p in CLIP.parameters())
        assert all(module.training for module in CLIP.modules())
    finally:
        CLIP.requires_grad_(False).eval()
    after = CLIP.state_dict()
    assert all(torch.equal(part, after[name]) for name, part in before.items())
    assert_array_equal(again.score_samples(X), fitted.score_samples(X))


def test_training_goes_on():
    detector = quick(warm_start=True)
    first = detector.query_prompts_.copy()
    detector = pickle.loads(pickle.dumps(detector))
    detector.fit(X, Y, masks=MASKS, class_names=NAMES)
    assert detector.n_iter_ == 4
    assert not np.allclose(detector.query_prompts_, first)
    # Prompts that are written by hand are nothing to go on from.
    begun = quick(y=None, masks=None, warm_start=True)
    begun.fit(X, Y, masks=MASKS, class_names=NAMES)
    assert begun.n_iter_ == 2
    assert_array_equal(begun.query_prompts_, first)


def test_what_is_set_after_a_fit_is_obeyed_or_waits():
    expected = {
        kind: quick(class_name_filter=kind).class_name_weights(X, class_names=NAMES)
        for kind in ("hard", "soft")
    }
    for before, after in (("hard", "soft"), ("soft", "hard"), ("soft", None)):
        detector = quick(class_name_filter=before)
        detector.set_params(class_name_filter=after, n_query_tokens=60)
        scores = detector.score_samples(X, class_names=NAMES)
        assert np.isfinite(scores).all()
        weights = detector.class_name_weights(X, class_names=NAMES)
        assert_array_equal(weights, expected.get(after, 1.0))


def test_prompts_that_were_read_stay_when_training_goes_on():
    detector = quick(warm_start=True)
    before = detector.query_prompts_
    kept = before.copy()
    detector.fit(X, Y, masks=MASKS)
    assert_array_equal(before, kept)
    assert not np.array_equal(detector.query_prompts_, kept)


def test_training_in_lower_precision_is_possible():
    for masks in (MASKS, None):
        detector = quick(masks=masks, net_params={"autocast": torch.bfloat16})
        assert np.isfinite(detector.score_samples(X)).all()


def test_a_clip_in_half_precision_is_refused():
    with pytest.raises(ValueError, match="expected float32|cannot take images"):
        quick(backbone=tiny().double())


def test_the_clip_sees_images_once_and_what_it_saw_is_not_kept(monkeypatch):
    seen = []
    encode = SmallCLIP.encode_image

    def counted(clip, images, layers):
        seen.append(len(images))
        return encode(clip, images, layers)

    monkeypatch.setattr(SmallCLIP, "encode_image", counted)
    detector = quick()
    # Each image once, and twice one that sizes are learned from.
    assert sum(seen) == 42
    large = quick(np.tile(X, (4, 1, 1)), np.tile(Y, 4), np.tile(MASKS, (4, 1, 1)), "a")
    assert len(pickle.dumps(large)) == pytest.approx(
        len(pickle.dumps(detector)), rel=0.1
    )


def test_training_stops_early():
    detector = quick(n_iter_no_change=1, max_epochs=30, lr=0.3)
    assert detector.n_iter_ < 30
    assert "valid_loss" in detector.history_[0]


def test_clones_and_pickles_share_what_can_be_made_again():
    detector = quick(backbone=make_clip)
    assert clone(detector).backbone is make_clip
    assert clone(quick()).backbone is CLIP
    stored = pickle.dumps(detector)
    assert len(stored) < len(pickle.dumps(quick()))
    again = pickle.loads(stored)
    assert_array_equal(again.score_samples(X), detector.score_samples(X))
    again = pickle.loads(stored).set_params(backbone=make_other_clip)
    with pytest.raises(ValueError, match="weights of backbone=.* are not those"):
        again.score_samples(X)


def make_clip():
    return CLIP


def make_other_clip():
    clip = pickle.loads(pickle.dumps(CLIP))
    with torch.no_grad():
        clip.first.add_(1)
    return clip


def test_a_clip_is_trained_where_none_is_given(monkeypatch):
    monkeypatch.setattr(_clip_backbone, "_N_CAPTIONED", 20)
    params = {"backbone": None, "backbone_epochs": 1, "max_epochs": 1}
    detector, again = quick(**params), quick(**params)
    assert detector.image_size_ == (64, 64)
    scores = detector.score_samples(X)
    assert_array_equal(again.score_samples(X), scores)
    stored = pickle.loads(pickle.dumps(detector))
    assert_array_equal(stored.score_samples(X), scores)
    with pytest.raises(ValueError, match="belong to a CLIP that was trained in fit"):
        detector.save_prompts("prompts.safetensors")
    with pytest.raises(ValueError, match="^backbone is None; expected the CLIP"):
        detector.load_prompts("prompts.safetensors")


def test_it_is_searched_with_masks_and_names():
    pipeline = make_pipeline(FunctionTransformer(), GenCLIP(CLIP, max_epochs=1))
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline[-1].set_fit_request(masks=True, class_names=True)
        search = GridSearchCV(
            pipeline,
            {"genclip__n_query_tokens": [2, 4]},
            scoring=get_scorer("roc_auc"),
            cv=folds,
        ).fit(X.reshape(40, -1), Y, masks=MASKS, class_names=NAMES)
    assert search.best_params_["genclip__n_query_tokens"] in (2, 4)
    assert search.best_estimator_[-1].n_iter_ == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"image_size": 30}, "^image_size is 30; expected a multiple of 4"),
        ({"layers": (1, 2)}, r"^layers is \(1, 2\); expected different numbers from 1"),
        ({"layers": (0, 3)}, "^layers is .* from 1 to 3, and 3, the last layer"),
        ({"layers": (3, 3)}, "^layers is "),
        ({"layers": (1.0, 3)}, "^layers is "),
        ({"n_query_tokens": 60}, "make prompts of 62 tokens before names"),
        (
            {"n_vision_tokens": 14, "vision_prompts": "joint"},
            "make prompts of 45 tokens before names",
        ),
        ({"pixel_range": (1, 0)}, "^pixel_range is"),
        ({"names": ["a"]}, r"^class_names has shape \(1,\)"),
        ({"names": "long " * 60}, "is a text of .* tokens; .* Shorten class_names"),
        ({"layers": 4}, "'layers' parameter"),
        ({"layers": np.array(4)}, r"^layers is array\(4\); expected"),
        ({"y": -np.ones(40), "masks": None}, "^y or masks say that all images"),
        ({"y": Y[::-1]}, "^y and masks do not go together: image 0"),
        ({"masks": MASKS[:, :16]}, r"^masks has shape \(40, 16, 32\); expected"),
        ({"X": np.zeros((40, 32, 32, 2))}, "^X holds images of 2 channels; GenCLIP"),
        ({"backbone": 5}, "'backbone' parameter"),
        ({"backbone": torch.nn.Identity()}, "Identity without encode_image"),
    ],
)
def test_wrong_input_is_named(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        quick(**params)


def test_it_has_to_be_fitted():
    for method in ("score_samples", "anomaly_map", "set_references"):
        with pytest.raises(NotFittedError):
            getattr(GenCLIP(CLIP), method)(X)


def test_images_of_another_shape_are_refused(fitted):
    with pytest.raises(ValueError, match="has 256 features"):
        fitted.score_samples(X[:, :16, :16])
