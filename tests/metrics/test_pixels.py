"""Metrics of anomaly maps: by hand, by brute force, and at the edges."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics
from sklearn.exceptions import UndefinedMetricWarning

from skad.metrics import (
    per_region_overlap_score,
    pixel_average_precision_score,
    pixel_roc_auc_score,
)

METRICS = [
    per_region_overlap_score,
    pixel_average_precision_score,
    pixel_roc_auc_score,
]
few = settings(max_examples=60)
max_fprs = st.sampled_from([0.01, 0.3, 0.5, 1]) | st.floats(0.001, 1)

# Two images of 4 x 5: a region of four pixels, one of two that touch at a corner and,
# in the second image, a single pixel. The other 33 pixels are normal.
MASKS = np.zeros((2, 4, 5), dtype=bool)
MASKS[0, :2, :2] = MASKS[0, 3, 3] = MASKS[0, 2, 4] = MASKS[1, 3, 0] = True


@st.composite
def pixels(draw, n_values=6):
    """Draw masks with both classes, and maps with ties."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)))
    masks = draw(arrays(bool, shape))
    assume(0 < masks.sum() < masks.size)
    maps = draw(arrays(np.float64, shape, elements=st.integers(-n_values, n_values)))
    return masks, maps


def regions_of(masks):
    """Collect the regions as lists of pixels, going from pixel to pixel."""
    left, regions = {tuple(pixel) for pixel in np.argwhere(masks)}, []
    while left:
        region, edge = [], [left.pop()]
        while edge:
            i, row, column = edge.pop()
            region.append((i, row, column))
            around = {(i, row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)}
            edge += around & left
            left -= around
        regions.append(region)
    return regions


def brute_force_overlap(masks, maps, max_fpr):
    """Measure all regions at each distinct threshold, and integrate the points."""
    regions = regions_of(masks)
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        found = maps >= threshold
        rates.append(found[~masks].mean())
        shares = [np.mean([found[pixel] for pixel in region]) for region in regions]
        overlaps.append(np.mean(shares))
    return area_up_to(max_fpr, rates, overlaps)


def area_up_to(limit, rates, values):
    rates, values = np.array(rates), np.array(values)
    last = np.interp(limit, rates, values)
    # np.interp takes the last of several points at the same rate, as it should: the
    # curve rises on a vertical line there.
    inside = rates <= limit
    rates, values = np.append(rates[inside], limit), np.append(values[inside], last)
    return np.trapezoid(values, rates) / limit


@few
@given(pixels(), max_fprs)
def test_overlap_is_that_of_all_thresholds(drawn, max_fpr):
    expected = brute_force_overlap(*drawn, max_fpr)
    found = per_region_overlap_score(*drawn, max_fpr=max_fpr)
    assert found == pytest.approx(expected, abs=1e-12)


@few
@given(pixels())
def test_pixel_metrics_are_sklearns_for_all_pixels(drawn):
    y, scores = drawn[0].ravel(), drawn[1].ravel()
    expected = sklearn_metrics.roc_auc_score(y, scores)
    assert pixel_roc_auc_score(*drawn) == pytest.approx(expected)
    expected = sklearn_metrics.average_precision_score(y, scores)
    assert pixel_average_precision_score(*drawn) == pytest.approx(expected)


def test_many_values_without_ties_agree_as_well():
    rng = np.random.default_rng(0)
    masks = np.zeros((5, 20, 30), dtype=bool)
    masks[1, 3:9, 4:20] = masks[1, 15, 2] = masks[3, 10:13, 25:] = True
    maps = rng.lognormal(size=masks.shape) + masks
    y, scores = masks.ravel(), maps.ravel()
    expected = sklearn_metrics.roc_auc_score(y, scores)
    assert pixel_roc_auc_score(masks, maps) == pytest.approx(expected, rel=1e-13)
    expected = sklearn_metrics.average_precision_score(y, scores)
    assert pixel_average_precision_score(masks, maps) == pytest.approx(expected)
    expected = brute_force_overlap(masks, maps, 0.3)
    assert per_region_overlap_score(masks, maps) == pytest.approx(expected)


@few
@given(pixels(), max_fprs)
def test_overlap_of_single_pixels_is_the_area_under_the_roc_curve(drawn, max_fpr):
    masks, maps = drawn
    apart = np.zeros_like(masks)
    apart[:, ::2, ::2] = masks[:, ::2, ::2]
    assume(0 < apart.sum() < apart.size)
    rates, found, _ = sklearn_metrics.roc_curve(
        apart.ravel(), maps.ravel(), drop_intermediate=False
    )
    expected = area_up_to(max_fpr, rates, found)
    overlap = per_region_overlap_score(apart, maps, max_fpr=max_fpr)
    assert overlap == pytest.approx(expected, abs=1e-12)
    overlap = per_region_overlap_score(apart, maps, max_fpr=1)
    assert overlap == pytest.approx(pixel_roc_auc_score(apart, maps))


@pytest.mark.parametrize("metric", METRICS)
@few
@given(pixels())
def test_only_the_order_of_values_counts(metric, drawn):
    masks, maps = drawn
    expected = metric(masks, maps)
    assert metric(masks, np.exp(maps)) == expected
    assert metric(masks, 3 * maps - 7) == expected
    assert metric(masks, maps**3) == expected


@pytest.mark.parametrize("metric", METRICS)
@few
@given(pixels(), st.randoms(use_true_random=False))
def test_order_and_orientation_of_images_do_not_count(metric, drawn, random):
    masks, maps = drawn
    order = random.sample(range(len(masks)), len(masks))
    expected = pytest.approx(metric(masks, maps))
    assert metric(masks[order], maps[order]) == expected
    assert metric(masks[:, ::-1], maps[:, ::-1]) == expected
    assert metric(masks.swapaxes(1, 2), maps.swapaxes(1, 2)) == expected


@pytest.mark.parametrize("metric", METRICS)
@few
@given(pixels(), st.randoms(use_true_random=False))
def test_places_of_normal_pixels_do_not_count(metric, drawn, random):
    masks, maps = drawn
    moved = maps.copy()
    normal = maps[~masks].tolist()
    moved[~masks] = random.sample(normal, len(normal))
    assert metric(masks, moved) == metric(masks, maps)


@few
@given(pixels(), max_fprs)
def test_metrics_lie_between_zero_and_one(drawn, max_fpr):
    assert 0 <= pixel_roc_auc_score(*drawn) <= 1
    assert 0 < pixel_average_precision_score(*drawn) <= 1
    assert 0 <= per_region_overlap_score(*drawn, max_fpr=max_fpr) <= 1


@few
@given(pixels(), max_fprs)
def test_more_at_an_anomalous_pixel_is_never_worse(drawn, max_fpr):
    masks, maps = drawn
    raised = maps + masks * np.arange(masks.size).reshape(masks.shape) % 3
    before = per_region_overlap_score(masks, maps, max_fpr=max_fpr)
    after = per_region_overlap_score(masks, raised, max_fpr=max_fpr)
    assert after >= before - 1e-12


@few
@given(pixels(), max_fprs)
def test_repeated_images_change_nothing(drawn, max_fpr):
    masks, maps = drawn
    twice = np.tile(masks, (2, 1, 1)), np.tile(maps, (2, 1, 1))
    for metric in METRICS:
        assert metric(*twice) == pytest.approx(metric(masks, maps))
    overlap = per_region_overlap_score(*twice, max_fpr=max_fpr)
    expected = per_region_overlap_score(masks, maps, max_fpr=max_fpr)
    assert overlap == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_perfect_map_gets_one_and_its_opposite_little(metric):
    assert metric(MASKS, MASKS) == 1
    rng = np.random.default_rng(0)
    maps = MASKS + 0.9 * rng.random(MASKS.shape)
    assert metric(MASKS, maps) == 1
    assert metric(MASKS, -maps) < 0.2


def test_constant_map_gets_the_level_of_chance():
    maps = np.full(MASKS.shape, 0.1)
    assert pixel_roc_auc_score(MASKS, maps) == 0.5
    assert pixel_average_precision_score(MASKS, maps) == 7 / 40
    assert per_region_overlap_score(MASKS, maps) == pytest.approx(0.15)
    assert per_region_overlap_score(MASKS, maps, max_fpr=1) == 0.5


def test_regions_weigh_the_same_whatever_their_size():
    maps = np.zeros(MASKS.shape)
    maps[1, 3, 0] = 2  # the single pixel is one of three regions, and is found
    # The others tie with all 33 normal pixels: on a straight line, 0.5 of [0, 1].
    assert per_region_overlap_score(MASKS, maps, max_fpr=1) == pytest.approx(2 / 3)
    # ... and at 0.3 that line has come to 0.3, on average to 0.15.
    assert per_region_overlap_score(MASKS, maps) == pytest.approx((1 + 2 * 0.15) / 3)
    assert pixel_roc_auc_score(MASKS, maps) == pytest.approx((1 + 6 * 0.5) / 7)


def test_values_worked_out_by_hand():
    masks = np.array([[[1, 1, 0, 0, 0, 1]], [[0, 0, 0, 0, 0, 0]]])
    maps = np.array([[[9, 5, 7, 5, 0, 6]], [[1, 2, 3, 3, 5, 0]]])
    # Normal pixels, from the highest: 7, 5, 5, 3, 3, 2, 1, 0, 0. The anomalous 9 has
    # 9 of 9 below it; 6 has 8; and 5 has 6, and two halves.
    assert pixel_roc_auc_score(masks, maps) == pytest.approx((9 + 8 + 7) / 27)
    # Precision is 1 / 1 at 9, 2 / 3 at 6, and 3 / 6 at 5.
    precision = pixel_average_precision_score(masks, maps)
    assert precision == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    # The regions are {9, 5} and {6}. The mean overlap is 1/4 from 0 to 1/9, where it
    # jumps to 3/4, and rises to 1 from 1/9 to 3/9. At 2/9 it is 7/8.
    overlap = per_region_overlap_score(masks, maps, max_fpr=1)
    assert overlap == pytest.approx((1 / 4 + 2 * 7 / 8 + 6) / 9)
    overlap = per_region_overlap_score(masks, maps, max_fpr=3 / 9)
    assert overlap == pytest.approx((1 / 4 + 2 * 7 / 8) / 3)
    overlap = per_region_overlap_score(masks, maps, max_fpr=2 / 9)
    assert overlap == pytest.approx((1 / 4 + (3 / 4 + 7 / 8) / 2) / 2)
    overlap = per_region_overlap_score(masks, maps, max_fpr=0.5 / 9)
    assert overlap == pytest.approx(1 / 4)


def test_pixels_that_touch_at_a_corner_are_one_region():
    masks = np.zeros((1, 6, 6), dtype=bool)
    masks[0, [0, 1, 2], [0, 1, 2]] = True
    masks[0, 5, 5] = True
    maps = np.zeros(masks.shape)
    maps[0, 5, 5] = 1
    # Two regions, one of them found: were there four, it would be one of four.
    overlap = per_region_overlap_score(masks, maps, max_fpr=1)
    assert overlap == pytest.approx((1 + 0.5) / 2)


def test_regions_do_not_reach_into_the_next_image():
    masks = np.zeros((3, 3, 3), dtype=bool)
    masks[:, 1, 1] = True
    masks[0, 2, 2] = True
    maps = np.zeros(masks.shape)
    maps[0, [1, 2], [1, 2]] = 1
    # Three regions, of which the one of two pixels is found.
    overlap = per_region_overlap_score(masks, maps, max_fpr=1)
    assert overlap == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_smaller_limit_looks_at_fewer_false_positives():
    maps = np.zeros(MASKS.shape)
    maps[1, 0, :4] = 2  # 4 of 33 normal pixels come first
    maps[MASKS] = 1
    for limit in (0.05, 4 / 33):
        assert per_region_overlap_score(MASKS, maps, max_fpr=limit) == 0
    expected = 1 - 4 / 33 / 0.3
    assert per_region_overlap_score(MASKS, maps) == pytest.approx(expected)
    overlap = per_region_overlap_score(MASKS, maps, max_fpr=1)
    assert overlap == pytest.approx(29 / 33)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "dtype", [bool, "u1", "i2", "i8", "u8", "f2", "f4", "f8", ">f4", np.longdouble]
)
def test_type_of_numbers_does_not_count(metric, dtype):
    rng = np.random.default_rng(0)
    top = 2 if dtype is bool else 9
    maps = rng.integers(0, top, size=MASKS.shape)
    expected = metric(MASKS, maps)
    assert type(expected) is float
    assert metric(MASKS, maps.astype(dtype)) == expected
    assert metric(MASKS.astype(dtype), maps) == expected
    assert metric(MASKS.tolist(), maps.tolist()) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_integers_that_no_float_tells_apart_are_told_apart(metric):
    maps = np.where(MASKS, 2**60 + 1, 2**60)
    assert metric(MASKS, maps) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_input_is_left_as_it_was(metric):
    rng = np.random.default_rng(0)
    masks, maps = MASKS.astype(float), rng.normal(size=MASKS.shape)
    before = masks.copy(), maps.copy()
    expected = metric(masks, maps)
    masks.flags.writeable = maps.flags.writeable = False
    assert metric(masks, maps) == expected
    assert np.array_equal(masks, before[0])
    assert np.array_equal(maps, before[1])


@pytest.mark.parametrize("metric", METRICS)
def test_memory_mapped_arrays_and_other_layouts(metric, tmp_path):
    maps = np.random.default_rng(0).normal(size=MASKS.shape)
    np.save(tmp_path / "masks.npy", MASKS)
    np.save(tmp_path / "maps.npy", maps)
    stored = [np.load(tmp_path / f"{x}.npy", mmap_mode="r") for x in ("masks", "maps")]
    assert metric(*stored) == metric(MASKS, maps)
    assert metric(np.asfortranarray(MASKS), maps) == metric(MASKS, maps)
    wide = np.repeat(maps, 2, axis=2)[:, :, ::2]
    assert metric(MASKS, wide) == metric(MASKS, maps)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("anomalous", [False, True])
def test_single_class_is_undefined(metric, anomalous):
    masks = np.full((2, 3, 3), anomalous)
    message = f"masks has a single class: {metric.__name__} is not defined"
    with pytest.warns(UndefinedMetricWarning, match=message) as caught:
        assert np.isnan(metric(masks, np.zeros(masks.shape)))
    assert caught[0].filename == __file__


def changed(array, value):
    array = np.array(array, dtype=np.result_type(array, value))
    array[0, 1, 1] = value
    return array


ZEROS = np.zeros(MASKS.shape)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("masks", "maps", "message"),
    [
        (MASKS, changed(ZEROS, np.nan), "Input maps contains NaN"),
        (MASKS, changed(ZEROS, -np.inf), "maps contains infinity"),
        (MASKS, changed(ZEROS, 1j), "maps has dtype complex128; expected real"),
        (MASKS, ZEROS.astype(str), "maps has dtype <U32; expected real numbers"),
        (MASKS, ZEROS.astype(object), "maps has dtype object; expected real numbers"),
        (MASKS, ZEROS[:1], r"maps has shape \(1, 4, 5\); expected that of masks, \(2,"),
        (MASKS, ZEROS[..., None], r"maps has shape \(2, 4, 5, 1\)"),
        (MASKS, None, r"maps has shape \(\)"),
        (MASKS[0], ZEROS[0], r"masks has shape \(4, 5\); expected \(n_samples, height"),
        (MASKS[..., None], ZEROS, r"masks has shape \(2, 4, 5, 1\)"),
        (MASKS[:0], ZEROS[:0], r"masks has shape \(0, 4, 5\)"),
        (MASKS[:, :0], ZEROS[:, :0], r"masks has shape \(2, 0, 5\)"),
        (changed(ZEROS, 2), ZEROS, "masks has values such as 2.0; expected bool, or"),
        (changed(ZEROS, 0.5), ZEROS, "masks has values such as 0.5"),
        (changed(ZEROS, np.nan), ZEROS, "masks has values such as nan"),
        (MASKS * np.uint8(255), ZEROS, "masks has values such as 255"),
        (np.where(MASKS, -1, 1), ZEROS, "masks has values such as -1"),
        (MASKS.astype(complex), ZEROS, "masks has dtype complex128; expected bool"),
        (MASKS.astype(str), ZEROS, "masks has dtype <U5; expected bool, or 0 and 1"),
    ],
)
def test_bad_input_raises(metric, masks, maps, message):
    with pytest.raises(ValueError, match=message):
        metric(masks, maps)


@pytest.mark.parametrize("max_fpr", [0, -0.3, 1.01, 30, np.nan, np.inf])
def test_bad_max_fpr_raises(max_fpr):
    with pytest.raises(ValueError, match=rf"max_fpr == {max_fpr}, must be in \(0, 1]"):
        per_region_overlap_score(MASKS, ZEROS, max_fpr=max_fpr)


def test_max_fpr_of_another_type_raises():
    with pytest.raises(TypeError, match="max_fpr must be an instance of"):
        per_region_overlap_score(MASKS, ZEROS, max_fpr="0.3")
