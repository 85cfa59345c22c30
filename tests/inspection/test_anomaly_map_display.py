"""Images with their anomaly maps: what is drawn is what was given."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skad import BayesianVAE
from skad.datasets import make_surfaces
from skad.inspection import AnomalyMapDisplay

X, Y, MASKS, _ = make_surfaces(4, 2, size=16, random_state=0)
X_COLOR = make_surfaces(4, 2, size=16, color=True, random_state=0)[0]
MAPS = np.random.default_rng(0).gamma(1, size=X.shape) + 3 * MASKS


@pytest.fixture(scope="module")
def detector():
    return BayesianVAE(max_epochs=1, channels=(4, 8), n_passes=2, random_state=0).fit(X)


def drawn(artists):
    return np.array([artist.get_array() for artist in artists])


def titles(display):
    return [ax.get_title() for ax in display.axes_]


def test_images_and_maps_are_those_of_the_detector(detector):
    display = AnomalyMapDisplay.from_estimator(detector, X[3:], masks=MASKS[3:])
    assert len(display.axes_) == 3
    assert_allclose(drawn(display.maps_), detector.anomaly_map(X[3:]))
    # In the same proportions, black being black.
    ratio = drawn(display.images_) / np.maximum(X[3:], 1)
    assert_allclose(ratio[X[3:] > 0], ratio.max())
    assert display.images_[0].get_clim() == (0, 1)
    assert [line is not None for line in display.outlines_] == [False, True, True]


def test_titles_are_scores_and_whether_they_are_flagged(detector):
    display = AnomalyMapDisplay.from_estimator(detector, X)
    scores, flagged = detector.score_samples(X), detector.predict(X) == -1
    assert 0 < flagged.sum() < len(X)
    assert titles(display) == [
        f"score {score:.3g}, flagged" if flag else f"score {score:.3g}"
        for score, flag in zip(scores, flagged, strict=True)
    ]
    named = AnomalyMapDisplay.from_estimator(detector, X, titles=Y)
    assert titles(named) == [str(label) for label in Y]


def test_detector_without_scores_has_no_titles():
    class Maps:
        def anomaly_map(self, X):
            return np.asarray(X, dtype=float)

    display = AnomalyMapDisplay.from_estimator(Maps(), X)
    assert titles(display) == [""] * len(X)


def test_pipeline_shows_what_its_detector_sees(detector):
    rows = X.reshape(len(X), -1)
    half = FunctionTransformer(lambda rows: rows // 2)
    pipeline = make_pipeline(half, detector)
    display = AnomalyMapDisplay.from_estimator(pipeline, rows)
    assert_allclose(drawn(display.maps_), detector.anomaly_map(X // 2))
    direct = AnomalyMapDisplay.from_estimator(detector, X // 2)
    assert_array_equal(drawn(display.images_), drawn(direct.images_))
    assert titles(display) == titles(direct)


@pytest.mark.parametrize("images", [X, X_COLOR])
def test_shapes_and_types_of_the_same_images_look_the_same(images):
    expected = drawn(AnomalyMapDisplay.from_maps(images, MAPS).images_)
    assert expected.shape == images.shape
    same = [images.reshape(len(X), -1), images / 255, (images / 255).tolist()]
    if images.ndim == 3:
        same.append(images[..., np.newaxis])
    for other in same:
        assert_allclose(
            drawn(AnomalyMapDisplay.from_maps(other, MAPS).images_), expected
        )


@given(
    st.floats(-1e4, 1e4),
    st.floats(1e-3, 1e4),
    st.integers(1, 5),
    st.booleans(),
)
@settings(max_examples=10)
def test_images_in_any_units_are_drawn_from_black_to_white(
    low, contrast, n_channels, integer
):
    images = np.random.default_rng(0).normal(low, contrast, size=(2, 4, 5, n_channels))
    if integer:
        images = images.astype(np.int16)
    display = AnomalyMapDisplay.from_maps(images, np.zeros((2, 4, 5)))
    values = drawn(display.images_)
    plt.close(display.figure_)
    assert values.shape == (2, 4, 5, 3)[: 3 + (n_channels == 3)]
    assert values.min() >= 0 and values.max() <= 1
    grey = images if n_channels == 3 else images.mean(axis=-1)
    # Equal but for brightness and contrast.
    if grey.std() > 0:
        assert np.corrcoef(values.ravel(), grey.ravel())[0, 1] > 0.999


def test_all_maps_have_the_same_colours_clear_where_nothing_is_anomalous():
    display = AnomalyMapDisplay.from_maps(X, MAPS)
    limits = {shown.get_clim() for shown in display.maps_}
    assert len(limits) == 1
    low, high = limits.pop()
    assert np.mean(MAPS <= low) == pytest.approx(0.5, abs=0.01)
    assert np.quantile(MAPS, 0.99) < high <= MAPS.max()
    colors = display.maps_[0].to_rgba(np.linspace(low, high, 50))
    assert colors[0, 3] == 0 and colors[-1, 3] > 0.8
    assert (np.diff(colors[:, 3]) > 0).all()
    # Brighter and brighter: told apart in grey, and without seeing colours.
    assert (np.diff(colors[:, :3] @ [0.299, 0.587, 0.114]) > 0).all()
    assert display.colorbar_.mappable is display.maps_[0]


def test_more_normal_images_do_not_change_the_end_of_the_scale():
    few = AnomalyMapDisplay.from_maps(X, MAPS)
    many = AnomalyMapDisplay.from_maps(np.repeat(X, 2, 0), np.repeat(MAPS, 2, 0))
    assert few.maps_[0].get_clim() == many.maps_[0].get_clim()


def test_constant_maps_are_clear():
    display = AnomalyMapDisplay.from_maps(X, np.full(X.shape, 2.0))
    assert (display.maps_[0].to_rgba(display.maps[0])[..., 3] == 0).all()
    display.figure_.draw_without_rendering()


def test_scale_and_colours_can_be_given():
    display = AnomalyMapDisplay.from_maps(X, MAPS, vmin=1, vmax=9, cmap="cividis")
    assert display.maps_[3].get_clim() == (1, 9)
    assert display.maps_[3].get_cmap().name == "cividis"


def test_outline_is_closed_around_the_mask_also_at_the_border():
    mask = np.zeros((1, 6, 8), dtype=bool)
    mask[0, :3, 5:] = True
    display = AnomalyMapDisplay.from_maps(np.zeros(mask.shape), mask * 1.0, masks=mask)
    paths = display.outlines_[0].get_paths()
    points = np.concatenate([path.vertices for path in paths])
    assert_array_equal(points.min(axis=0), [4.5, -0.5])
    assert_array_equal(points.max(axis=0), [7.5, 2.5])
    assert display.axes_[0].get_xlim() == (-0.5, 7.5)
    assert display.axes_[0].get_ylim() == (5.5, -0.5)
    assert "known anomaly" in display.colorbar_.ax.get_ylabel()


def test_without_a_mask_nothing_is_said_of_one():
    for masks in (None, np.zeros(X.shape)):
        display = AnomalyMapDisplay.from_maps(X, MAPS, masks=masks)
        assert display.colorbar_.ax.get_ylabel() == "anomaly map"
        assert not any(line is not None for line in display.outlines_)


@pytest.mark.parametrize(
    ("n_images", "n_columns", "grid"),
    [(1, 5, (1, 1)), (4, 5, (1, 4)), (5, 2, (3, 2)), (3, 1, (3, 1))],
)
def test_images_stand_in_a_grid(n_images, n_columns, grid):
    display = AnomalyMapDisplay.from_maps(
        X[:n_images], MAPS[:n_images], n_columns=n_columns
    )
    shape = display.axes_[0].get_subplotspec().get_gridspec().get_geometry()
    assert shape == grid
    # And the one of the colour bar.
    assert len(display.figure_.axes) == n_images + 1


@pytest.mark.parametrize("shape", [(16, 16), (40, 10), (10, 40)])
@pytest.mark.parametrize("n_images", [1, 7])
def test_texts_neither_overlap_nor_leave_the_figure(shape, n_images):
    maps = np.random.default_rng(0).gamma(1, size=(n_images, *shape))
    display = AnomalyMapDisplay.from_maps(
        maps, maps, masks=maps > 3, titles=["score -10.4, flagged"] * n_images
    )
    display.figure_.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in display.axes_]
    boxes.append(display.colorbar_.ax.get_tightbbox())
    images = [image.get_window_extent() for image in display.images_]
    width, height = display.figure_.bbox.size
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
        assert not any(box.overlaps(other) for other in boxes[:i] + images)


def test_given_axes_are_drawn_on():
    figure, axes = plt.subplots(2, 3)
    display = AnomalyMapDisplay.from_maps(X[:3], MAPS[:3], axes=axes[1])
    assert display.figure_ is figure
    assert [ax.has_data() for ax in axes.ravel()] == [False] * 3 + [True] * 3
    assert plt.get_fignums() == [figure.number]
    again = display.plot()
    assert again is display
    assert display.figure_ is not figure


def test_style_of_other_figures_stays_as_it_is():
    style = mpl.rcParams.copy()
    AnomalyMapDisplay.from_maps(X, MAPS, masks=MASKS).figure_.draw_without_rendering()
    assert mpl.rcParams == style


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": MAPS[0]}, r"maps has the shape \(16, 16\); expected \(n_samples"),
        ({"maps": np.full(X.shape, np.nan)}, "maps contains NaN"),
        ({"X": X[:3]}, r"X has the shape \(3, 16, 16\), which does not go with maps"),
        ({"X": X[:, 1:]}, r"X has the shape \(6, 15, 16\)"),
        ({"X": X.reshape(6, -1)[:, 1:]}, r"X has the shape \(6, 255\)"),
        ({"X": X.reshape(12, -1)}, r"X has the shape \(12, 128\)"),
        ({"masks": MASKS[:, 1:]}, r"masks has the shape \(6, 15, 16\); expected that"),
        ({"titles": ["a", "b"]}, "titles holds 2 texts for 6 images"),
        ({"n_columns": 0}, "n_columns == 0, must be >= 1"),
        ({"axes": [None] * 3}, "axes holds 3 matplotlib Axes for 6 images"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        AnomalyMapDisplay.from_maps(**{"X": X, "maps": MAPS, **changes})


def test_detector_without_maps_is_refused():
    with pytest.raises(TypeError, match="must have a method anomaly_map; IsolationF"):
        AnomalyMapDisplay.from_estimator(IsolationForest(), X)


def test_without_matplotlib_it_is_asked_for_before_anything_else(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = r"AnomalyMapDisplay\.from_estimator requires matplotlib"
    with pytest.raises(ImportError, match=message):
        AnomalyMapDisplay.from_estimator(None, None)
