import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.torch import save_file
from test_genclip import CLIP, MASKS, NAMES, RANGE, X, make_other_clip, quick

from skad import GenCLIP

PARAMS = {"n_query_tokens": 3, "pixel_range": RANGE}


@pytest.fixture(scope="module")
def fitted():
    return quick(contamination=0.3)


@pytest.fixture
def path(fitted, tmp_path):
    fitted.save_prompts(tmp_path / "prompts.safetensors")
    return tmp_path / "prompts.safetensors"


@pytest.mark.parametrize("as_text", [True, False])
def test_prompts_that_were_read_score_as_those_that_were_learned(fitted, path, as_text):
    loaded = GenCLIP(CLIP, **PARAMS).load_prompts(str(path) if as_text else path)
    for names in (None, NAMES):
        assert_array_equal(
            loaded.score_samples(X, class_names=names),
            fitted.score_samples(X, class_names=names),
        )
        assert_array_equal(
            loaded.anomaly_map(X, class_names=names),
            fitted.anomaly_map(X, class_names=names),
        )
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    for name in ("layers_", "image_size_", "image_shape_", "offset_"):
        assert getattr(loaded, name) == getattr(fitted, name)
    assert_array_equal(loaded.query_prompts_, fitted.query_prompts_)
    assert loaded.n_features_in_ == fitted.n_features_in_


def test_the_file_tells_how_prompts_were_learned(tmp_path):
    detector = quick(n_query_tokens=np.int64(2), temperature=np.float64(0.1))
    scores = detector.score_samples(X)
    detector.set_params(temperature=0.5, n_query_tokens=9)
    detector.save_prompts(tmp_path / "prompts.safetensors")
    params = PARAMS | {"n_query_tokens": 2, "temperature": 0.1, "layers": [3, 1, 2]}
    loaded = GenCLIP(CLIP, **params | {"pixel_range": np.array(RANGE)})
    before = torch.get_rng_state()
    loaded.load_prompts(tmp_path / "prompts.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(loaded.score_samples(X), scores)


def test_references_stay_behind(tmp_path):
    detector = quick()
    offset = detector.offset_
    detector.set_references(X[1::2])
    detector.save_prompts(tmp_path / "prompts.safetensors")
    loaded = GenCLIP(CLIP, **PARAMS).load_prompts(tmp_path / "prompts.safetensors")
    assert loaded.offset_ == offset
    assert_array_equal(loaded.score_samples(X), quick().score_samples(X))


def test_images_of_another_shape_are_scored_after_reading(path):
    loaded = GenCLIP(CLIP, image_shape=(24, 40, 3), **PARAMS).load_prompts(path)
    images = np.random.default_rng(0).normal(size=(3, 24, 40, 3))
    assert loaded.anomaly_map(images).shape == (3, 24, 40)
    larger = GenCLIP(CLIP, image_size=48, **PARAMS).load_prompts(path)
    assert larger.image_size_ == (48, 48)
    assert larger.score_samples(X).shape == (40,)


def test_what_was_read_goes_on_to_be_trained(path):
    loaded = GenCLIP(CLIP, max_epochs=1, warm_start=True, **PARAMS).load_prompts(path)
    before = loaded.query_prompts_.copy()
    loaded.fit(X, masks=MASKS)
    assert loaded.n_iter_ == 1
    assert np.abs(loaded.query_prompts_ - before).max() < 0.01
    assert not np.array_equal(loaded.query_prompts_, before)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_query_tokens": 4}, "learned with n_query_tokens=3; .* GenCLIP is 4"),
        ({"n_vision_tokens": 1}, "learned with n_vision_tokens=2; .* is 1"),
        ({"vision_prompts": "joint"}, "learned with vision_prompts=layerwise"),
        ({"temperature": 0.1}, "learned with temperature=0.07"),
        ({"layers": (2, 3)}, r"learned with layers=\(1, 2, 3\); .* \(2, 3\)"),
        ({"pixel_range": (255, 0)}, "^pixel_range is"),
        ({"pixel_range": (0, 1, 2)}, "^pixel_range is"),
        ({"backbone": make_other_clip}, "learned with another CLIP"),
        ({"image_shape": (4,)}, "^image_shape is"),
        ({"image_shape": (4, 4, 2)}, "^X holds images of 2 channels"),
        ({"n_query_tokens": 0}, "'n_query_tokens' parameter"),
    ],
)
def test_prompts_of_another_kind_are_refused(params, message, path):
    detector = GenCLIP(**{"backbone": CLIP, **PARAMS, **params})
    with pytest.raises(ValueError, match=message):
        detector.load_prompts(path)
    assert not detector.__sklearn_is_fitted__()


def test_files_of_another_kind_are_refused(tmp_path):
    detector = GenCLIP(CLIP)
    with pytest.raises(ValueError, match="there is no such file"):
        detector.load_prompts(tmp_path / "missing.safetensors")
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        detector.load_prompts(path)
    for metadata in (
        None,
        {"skad": '{"format": "other"}'},
        {"skad": "{"},
        {"skad": "[1]"},
    ):
        save_file({"a": torch.zeros(2)}, path, metadata=metadata)
        with pytest.raises(ValueError, match="holds no prompts|cannot be read"):
            detector.load_prompts(path)


def test_prompts_that_were_written_by_hand_are_not_stored(tmp_path):
    with pytest.raises(ValueError, match="written by hand; there are none to save"):
        quick(y=None, masks=None).save_prompts(tmp_path / "prompts.safetensors")
    assert not list(tmp_path.iterdir())
