import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from test_genclip import NAMES, UNSEEN, X, Y, quick, stripes

from skad.metrics import pixel_roc_auc_score

NORMAL, NORMAL_NAMES = X[Y == 1][:12], NAMES[Y == 1][:12]


@pytest.fixture
def fitted():
    return quick()


def test_patches_that_are_known_add_nothing(fitted):
    before = fitted.anomaly_map(X)
    fitted.set_references(NORMAL)
    assert_allclose(fitted.anomaly_map(NORMAL), before[Y == 1][:12], atol=1e-6)
    added = fitted.anomaly_map(X) - before
    assert (added > -1e-6).all() and added[Y == -1].max() > 0.01


def test_references_show_defects_of_a_kind_that_is_new(fitted):
    X, y, masks, _ = stripes(60, UNSEEN, seed=2)
    before = pixel_roc_auc_score(masks, fitted.anomaly_map(X))
    known = X[y == 1][:6]
    after = fitted.set_references(known).anomaly_map(X)
    assert pixel_roc_auc_score(masks, after) > before + 0.1


def test_the_threshold_is_that_of_each_among_the_others(fitted):
    fitted.set_params(contamination=0.25).set_references(NORMAL)
    scores = []
    for i in range(12):
        alone = quick().set_references(np.delete(NORMAL, i, axis=0))
        scores.append(alone.score_samples(NORMAL[i : i + 1])[0])
    assert fitted.offset_ == pytest.approx(np.percentile(scores, 25), rel=1e-5)


def test_images_are_compared_with_those_of_their_name(fitted):
    fitted.set_references(NORMAL, class_names=NORMAL_NAMES)
    scores = fitted.score_samples(X, class_names=NAMES)
    for name in np.unique(NAMES):
        alone = quick().set_references(NORMAL[NORMAL_NAMES == name])
        chosen = name == NAMES
        expected = alone.score_samples(X[chosen], class_names=str(name))
        assert_allclose(scores[chosen], expected, rtol=1e-5)
    for names in (None, "slanted"):
        with pytest.raises(ValueError, match="of which set_references got no images"):
            fitted.score_samples(X, class_names=names)


def test_one_image_of_a_name_is_too_few(fitted):
    before, offset = fitted.score_samples(X), fitted.offset_
    with pytest.raises(ValueError, match="one image of the class 'object'"):
        fitted.set_references(NORMAL[:1])
    names = np.r_[["lonely"], NORMAL_NAMES[1:]]
    with pytest.raises(ValueError, match="one image of the class 'lonely'"):
        fitted.set_references(NORMAL, class_names=names)
    with pytest.raises(ValueError, match="or the same again"):
        fitted.set_references(np.repeat(NORMAL[:1], 3, axis=0))
    assert_array_equal(fitted.score_samples(X), before)
    assert fitted.offset_ == offset


def test_references_of_another_name_replace_those_before(fitted):
    fitted.set_references(NORMAL[:4], class_names="a")
    weights = fitted.class_name_weights(X, class_names="b")
    assert weights.shape == (40,)
    expected = quick().set_references(NORMAL[4:8], class_names="b")
    fitted.set_references(NORMAL[4:8], class_names="b")
    assert fitted.offset_ == expected.offset_
    scores = fitted.score_samples(X, class_names="b")
    assert_array_equal(scores, expected.score_samples(X, class_names="b"))


def test_the_same_image_twice_changes_no_threshold(fitted):
    offset = fitted.set_references(NORMAL).offset_
    again = fitted.set_references(np.concatenate([NORMAL, NORMAL])).offset_
    assert again == pytest.approx(offset, rel=1e-2)


def test_references_are_forgotten_where_they_should(fitted):
    before, offset = fitted.score_samples(X), fitted.offset_
    fitted.set_references(NORMAL).set_references(NORMAL[:5])
    assert fitted.offset_ != offset
    stored = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(stored.score_samples(X), fitted.score_samples(X))
    fitted.set_references(None)
    assert_array_equal(fitted.score_samples(X), before)
    assert fitted.offset_ == offset
    again = clone(stored).fit(X[:20], Y[:20])
    assert not np.array_equal(again.score_samples(X), stored.score_samples(X))
    refitted = stored.fit(X[:20], Y[:20])
    assert_array_equal(refitted.score_samples(X), again.score_samples(X))
