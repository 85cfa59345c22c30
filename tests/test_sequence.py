"""SequenceMixin by itself: what every detector of series gets."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn_checks import MORE_CHECKS, in_full, missing_checks
from test_common import OWN_CHECKS
from torch import nn

from skad._base import BaseDetector
from skad._deep import BaseDeepDetector
from skad._nets._windows import LastWindows, Windows, row_means
from skad._sequence import SequenceMixin
from skad._series import rows_from_windows
from skad.metrics import get_scorer
from skad.model_selection import TimeOrderedSplit


class NearestWindow(SequenceMixin, BaseDetector):
    """The distance of windows from the mean window of the training data."""

    _parameter_constraints: dict = {
        **BaseDetector._parameter_constraints,
        **SequenceMixin._parameter_constraints,
    }

    def __init__(self, *, window_size=4, missing="raise", contamination=0.1):
        self.window_size = window_size
        self.missing = missing
        self.contamination = contamination

    def _fit(self, series):
        starts = series.window_starts(self.window_size_)
        self._center = series.windows(self.window_size_)[starts].mean(axis=0)

    def _score_samples(self, series):
        def errors(windows):
            return (windows - self._center) ** 2

        errors = rows_from_windows(errors, series, self.window_size_)
        return -series.channel_shares(errors).sum(axis=1)


class Net(nn.Module):
    """Compresses a window to half."""

    def __init__(self, n_channels, window_size):
        super().__init__()
        n = n_channels * window_size
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(n, (n + 1) // 2),
            nn.Linear((n + 1) // 2, n),
            nn.Unflatten(1, (window_size, n_channels)),
        )

    def forward(self, x):
        return self.layers(x)

    def errors(self, x):
        return (self(x) - x).square()


class WindowAutoencoder(SequenceMixin, BaseDeepDetector):
    """The least that a deep detector of series can be."""

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        **SequenceMixin._parameter_constraints,
    }
    _criterion = nn.MSELoss

    def __init__(
        self,
        *,
        window_size=4,
        missing="raise",
        max_epochs=2,
        batch_size=32,
        lr=0.01,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.window_size = window_size
        self.missing = missing
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params
        self.contamination = contamination

    def _prepare(self, series):
        self._mean = series.values.mean(axis=0)
        self._scale = series.values.std(axis=0) + 1e-9

    def _net_input(self, rows):
        return (rows - self._mean) / self._scale

    def _make_module(self, series):
        return Net(series.values.shape[1], self.window_size_)

    def _rows(self, series):
        return Windows(series, self.window_size_, self._net_input)

    def _valid_split(self, seed):
        return LastWindows(self.validation_fraction)

    def _score_samples(self, series):
        errors = row_means(self.net_, self._rows(series), "errors")
        return -series.channel_shares(errors).sum(axis=1)


CONTEXT = "the score of a time step depends on the steps around it"
IN_CONTEXT = [
    "check_methods_subset_invariance",
    "check_methods_sample_order_invariance",
    "check_scores_stay_in_other_batches",
    "check_scores_stay_in_another_order",
]
DETECTORS = [
    NearestWindow(window_size=1),
    NearestWindow(),
    NearestWindow(missing="interpolate"),
    WindowAutoencoder(window_size=1, random_state=0),
    WindowAutoencoder(random_state=0),
    WindowAutoencoder(missing="mask", random_state=0),
]


def expected_failed_checks(estimator):
    return dict.fromkeys(IN_CONTEXT, CONTEXT) if estimator.window_size > 1 else {}


@parametrize_with_checks(
    DETECTORS, expected_failed_checks=expected_failed_checks, xfail_strict=True
)
def test_all_checks_of_sklearn_but_the_two_of_context(estimator, check):
    in_full(check, estimator)


@pytest.mark.parametrize("name", MORE_CHECKS)
@pytest.mark.parametrize("estimator", DETECTORS, ids=str)
def test_more_checks_of_sklearn(estimator, name):
    in_full(getattr(estimator_checks, name), type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", DETECTORS, ids=str)
def test_no_check_is_missing(estimator):
    assert missing_checks(estimator) == []


@pytest.mark.parametrize("check", OWN_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", DETECTORS, ids=str)
def test_our_checks_but_the_two_of_context(estimator, check, request):
    if estimator.window_size > 1 and check.__name__ in IN_CONTEXT:
        request.applymarker(pytest.mark.xfail(reason=CONTEXT, strict=True))
    check(clone(estimator))


rng = np.random.default_rng(0)
STEPS = np.arange(90)
X = np.c_[np.sin(STEPS / 3), np.cos(STEPS / 3), rng.normal(size=90)]
GROUPS = np.repeat(["b", "c", "a"], [20, 40, 30])
BOTH = [NearestWindow(), WindowAutoencoder(random_state=0)]


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_scores_of_a_series_do_not_depend_on_other_series(detector):
    detector = clone(detector).fit(X, groups=GROUPS)
    scores = detector.score_samples(X, groups=GROUPS)
    for group in "abc":
        is_in = GROUPS == group
        assert_array_equal(detector.score_samples(X[is_in]), scores[is_in])
    assert np.any(detector.score_samples(X) != scores)


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_series_may_stand_in_any_order(detector):
    detector = clone(detector).fit(X, groups=GROUPS)
    scores = detector.score_samples(X, groups=GROUPS)
    order = np.argsort(GROUPS, kind="stable")
    assert_array_equal(
        detector.score_samples(X[order], groups=GROUPS[order]), scores[order]
    )


@pytest.mark.parametrize("detector", BOTH, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_rows_of_series_may_alternate(detector, seed):
    labels = np.random.default_rng(seed).permutation(GROUPS)
    # Sorted by their first appearance, as the rows of the alternating series are.
    order = np.argsort(
        [list(dict.fromkeys(labels)).index(x) for x in labels], kind="stable"
    )
    mixed = clone(detector).fit(X, groups=labels)
    apart = clone(detector).fit(X[order], groups=labels[order])
    assert mixed.offset_ == apart.offset_
    scores = mixed.score_samples(X, groups=labels)
    assert_array_equal(
        apart.score_samples(X[order], groups=labels[order]), scores[order]
    )
    for method in ("decision_function", "predict"):
        found = getattr(mixed, method)(X, groups=labels)
        assert_array_equal(
            getattr(apart, method)(X[order], groups=labels[order]), found[order]
        )
    assert_array_equal(
        clone(detector).fit_predict(X, groups=labels), mixed.predict(X, groups=labels)
    )


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_a_stream_in_pieces_with_margins_gets_the_same_scores(detector):
    detector = clone(detector).fit(X)
    scores, margin = detector.score_samples(X), detector.window_size_ - 1
    for start in range(0, 90, 15):
        first, last = max(start - margin, 0), start + 15 + margin
        piece = detector.score_samples(X[first:last])
        assert_array_equal(piece[start - first :][:15], scores[start : start + 15])


def test_training_windows_cross_no_boundary():
    both = np.r_[np.zeros((10, 1)), np.ones((10, 1))]
    detector = NearestWindow(window_size=4).fit(both, groups=np.repeat([0, 1], 10))
    assert_allclose(detector._center, 0.5)  # as many windows of zeros as of ones
    seen = []
    detector._center = 0.0
    detector._score_samples = lambda series: seen.append(series) or np.zeros(20)
    detector.score_samples(both, groups=np.repeat([0, 1], 10))
    windows = seen[0].windows(4)[seen[0].window_starts(4)]
    assert len(windows) == 14
    assert np.all(windows == windows[:, :1])


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_wrong_groups_are_named(method):
    for groups in (GROUPS[1:], GROUPS[:, np.newaxis], np.r_[np.nan, np.ones(89)]):
        with pytest.raises(ValueError, match="groups has"):
            getattr(NearestWindow(), method)(X, groups=groups)
    detector = NearestWindow().fit(X)
    for method in ("score_samples", "decision_function", "predict"):
        with pytest.raises(ValueError, match=r"groups has shape \(89,\)"):
            getattr(detector, method)(X, groups=GROUPS[1:])


def test_scoring_before_fitting_is_an_error():
    with pytest.raises(NotFittedError):
        NearestWindow().score_samples(X, groups=GROUPS)


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_a_window_is_no_longer_than_the_shortest_series(detector):
    detector = clone(detector).set_params(window_size=25)
    message = r"window_size \(25\) is greater .* \(20, of group 'b'\); windows of 20"
    with pytest.warns(UserWarning, match=message):
        detector.fit(X, groups=GROUPS)
    assert detector.window_size_ == 20
    assert detector.window_size == 25
    assert detector.fit(X).window_size_ == 25
    with pytest.warns(UserWarning, match=r"\(9\); windows of 9 are used"):
        assert detector.fit(X[:9]).window_size_ == 9


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_a_series_too_short_for_a_window_is_scored_after_repeated_rows(detector):
    detector = clone(detector).fit(X)
    repeated = detector.score_samples(X[[0, 0, 0, 1]])
    with pytest.warns(UserWarning, match=r"1 of 2 series .* a window \(4\)"):
        scores = detector.score_samples(X[:7], groups=[0, 0, 1, 1, 1, 1, 1])
    assert_array_equal(scores[:2], repeated[2:])
    assert_array_equal(scores[2:], detector.score_samples(X[2:7]))
    with pytest.warns(UserWarning, match="1 of 1 series"):
        assert detector.predict(X[:1]).shape == (1,)


def with_gaps(rows=(3, 40, 41, 60), columns=(0, 2, 2, 1)):
    gaps = X.copy()
    gaps[list(rows), list(columns)] = np.nan
    return gaps


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_missing_values_are_refused_with_the_way_out(detector):
    message = r"contains NaN in 4 of 90 rows.*missing='interpolate' or missing='mask'"
    with pytest.raises(ValueError, match=message):
        clone(detector).fit(with_gaps())
    with pytest.raises(ValueError, match=message):
        clone(detector).fit(X).score_samples(with_gaps())


@pytest.mark.parametrize("missing", ["raise", "interpolate", "mask"])
def test_infinite_values_are_always_refused(missing):
    wrong = X.copy()
    wrong[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        NearestWindow(missing=missing).fit(wrong)
    with pytest.raises(ValueError, match="infinity"):
        NearestWindow(missing=missing).fit(X).predict(wrong)


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_gaps_are_interpolated_inside_each_series(detector):
    gaps = with_gaps(rows=(19, 20, 40, 41, 89), columns=(0, 0, 2, 2, 1))
    whole = gaps.copy()
    whole[19, 0], whole[20, 0] = X[18, 0], X[21, 0]  # at an end: the nearest
    whole[40:42, 2] = np.interp([40, 41], [39, 42], X[[39, 42], 2])
    whole[89, 1] = X[88, 1]
    detector = clone(detector).set_params(missing="interpolate")
    expected = clone(detector).fit(whole, groups=GROUPS)
    detector.fit(gaps, groups=GROUPS)
    assert detector.offset_ == expected.offset_
    assert_array_equal(
        detector.score_samples(gaps, groups=GROUPS),
        expected.score_samples(whole, groups=GROUPS),
    )


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
def test_a_channel_without_a_value_gets_the_mean_of_the_training_data(missing):
    train = with_gaps()
    detector = NearestWindow(missing=missing).fit(train, groups=GROUPS)
    empty = X[:20].copy()
    empty[:, 0] = np.nan
    series = detector._validate(empty, reset=False)
    assert_allclose(series.values[:, 0], np.nanmean(train[:, 0]))
    assert_array_equal(series.values[:, 1:], X[:20, 1:])
    complete = NearestWindow(missing=missing).fit(X)
    assert_allclose(complete._validate(empty, reset=False).values[:, 0], X[:, 0].mean())


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
def test_a_column_without_a_value_in_the_training_data_is_named(missing):
    empty = X.copy()
    empty[:, 1] = np.nan
    with pytest.raises(ValueError, match="Column 1 of X has no value"):
        NearestWindow(missing=missing).fit(empty)
    table = pd.DataFrame(empty, columns=["flow", "valve", "heat"])
    with pytest.raises(ValueError, match="Column 'valve' of X has no value"):
        NearestWindow(missing=missing).fit(table)


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_masked_values_add_nothing(detector):
    masked = clone(detector).set_params(missing="mask").fit(X)
    filled = clone(detector).set_params(missing="interpolate").fit(X)
    gaps = with_gaps(rows=(40, 50), columns=(2, 0))
    series = filled._validate(gaps, reset=False)
    terms = []
    series.channel_shares = lambda errors: terms.append(errors) or errors
    filled._score_samples(series)
    scores, complete = masked.score_samples(gaps), filled.score_samples(gaps)
    assert_allclose(scores[40], -terms[0][40, :2].mean(), rtol=1e-12)
    assert_allclose(scores[50], -terms[0][50, 1:].mean(), rtol=1e-12)
    others = np.setdiff1d(STEPS, [40, 50])
    assert_array_equal(scores[others], complete[others])


@pytest.mark.parametrize("detector", BOTH, ids=str)
def test_rows_without_a_value_get_the_score_between_their_neighbours(detector):
    detector = clone(detector).set_params(missing="mask").fit(X, groups=GROUPS)
    gaps = X.copy()
    gaps[[19, 20, 21, 40, 41]] = np.nan
    scores = detector.score_samples(gaps, groups=GROUPS)
    assert scores[19] == scores[18]
    assert_array_equal(scores[20:22], scores[22])
    assert_allclose(scores[40:42], np.interp([40, 41], [39, 42], scores[[39, 42]]))


def test_masked_series_have_a_value():
    gaps = X.copy()
    gaps[GROUPS == "c"] = np.nan
    with pytest.raises(ValueError, match="series of group 'c' has no value but NaN"):
        NearestWindow(missing="mask").fit(gaps, groups=GROUPS)
    detector = NearestWindow(missing="mask").fit(X)
    with pytest.raises(ValueError, match="The series has no value but NaN"):
        detector.score_samples(gaps[20:30])
    interpolated = NearestWindow(missing="interpolate").fit(X)
    assert np.isfinite(interpolated.score_samples(gaps, groups=GROUPS)).all()


def test_data_that_are_refused_change_nothing():
    detector = NearestWindow(missing="mask").fit(X)
    expected = detector.score_samples(with_gaps())
    wrong = X[:60] + 9
    wrong[GROUPS[:60] == "c"] = np.nan
    with pytest.raises(ValueError, match="no value but NaN"):
        detector.fit(wrong, groups=GROUPS[:60])
    assert_array_equal(detector.score_samples(with_gaps()), expected)


def test_the_callers_data_stay_as_they_are():
    gaps = with_gaps()
    before = gaps.copy()
    NearestWindow(missing="mask").fit(gaps).predict(gaps)
    assert_array_equal(gaps, before)
    assert gaps.flags.writeable


def test_warm_start_keeps_window_and_means():
    detector = WindowAutoencoder(warm_start=True, missing="mask", random_state=0)
    detector.fit(X, groups=GROUPS)
    net, fill = detector.net_, detector._fill
    with pytest.warns(UserWarning, match="1 of 1 series"):
        detector.set_params(window_size=9).fit(X[:3] + 5)
    assert detector.net_ is net
    assert detector.n_iter_ == 4
    assert detector.window_size_ == 4
    assert_array_equal(detector._fill, fill)
    assert detector.set_params(warm_start=False).fit(X).window_size_ == 9


def test_early_stopping_holds_out_the_ends_of_series():
    detector = WindowAutoencoder(n_iter_no_change=2, max_epochs=30, random_state=0)
    detector.fit(X, groups=GROUPS)
    assert "valid_loss" in detector.history_[0]
    far = X.copy()
    ends = np.r_[16:20, 56:60, 86:90]
    far[ends] *= -1
    detector.set_params(n_iter_no_change=9, max_epochs=1, lr=0.1)
    detector._prepare = lambda series: None
    weights = []
    for data in (X, far):
        net = detector.fit(data, groups=GROUPS).net_
        weights.append(net.module_.layers[1].weight.detach().numpy())
    assert_array_equal(*weights)


def test_groups_are_routed_through_a_pipeline():
    detector = NearestWindow(window_size=5)
    scaled = StandardScaler().fit_transform(X)
    expected = clone(detector).fit(scaled, groups=GROUPS)
    with config_context(enable_metadata_routing=True):
        detector.set_fit_request(groups=True)
        detector.set_predict_request(groups=True)
        detector.set_decision_function_request(groups=True)
        pipeline = make_pipeline(StandardScaler(), detector).fit(X, groups=GROUPS)
        for method in ("decision_function", "predict"):
            assert_array_equal(
                getattr(pipeline, method)(X, groups=GROUPS),
                getattr(expected, method)(scaled, groups=GROUPS),
            )
        assert_array_equal(
            clone(pipeline).fit_predict(X, groups=GROUPS),
            expected.predict(scaled, groups=GROUPS),
        )
        assert (
            pipeline[-1].offset_
            == expected.offset_
            != clone(detector).fit(scaled).offset_
        )


def test_groups_that_nobody_asked_for_are_an_error():
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), NearestWindow())
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            pipeline.fit(X, groups=GROUPS)


@pytest.mark.parametrize("cv", [TimeOrderedSplit(2), GroupKFold(3)], ids=str)
def test_groups_are_routed_through_a_search(cv):
    y = np.where(STEPS % 7 == 3, -1, 1)
    far = X + 5 * (y == -1)[:, np.newaxis]
    fitted = []

    class Watched(NearestWindow):
        """Remembers the series that it is fitted on."""

        def _fit(self, series):
            fitted.append(series.lengths.tolist())
            super()._fit(series)

    with config_context(enable_metadata_routing=True):
        detector = Watched().set_fit_request(groups=True)
        search = GridSearchCV(
            make_pipeline(StandardScaler(), detector),
            {"watched__window_size": [1, 5]},
            scoring=get_scorer("roc_auc"),
            cv=cv,
        ).fit(far, y, groups=GROUPS)
    assert search.best_params_ == {"watched__window_size": 1}
    assert search.best_score_ > 0.9
    assert fitted[-1] == [20, 40, 30]
    folds = [far[train] for train, _ in cv.split(far, y, GROUPS)]
    n_series = [len(set(GROUPS[train])) for train, _ in cv.split(far, y, GROUPS)]
    assert [len(lengths) for lengths in fitted[: len(folds)]] == n_series
    assert [sum(lengths) for lengths in fitted[: len(folds)]] == list(map(len, folds))
