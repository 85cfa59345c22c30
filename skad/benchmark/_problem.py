"""A data set as the benchmark sees it: checked, fingerprinted, split."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_scalar
from sklearn.utils.validation import _num_samples, column_or_1d

from skad.benchmark._metadata import fit_taken, score_taken
from skad.metrics import outlier_mask

TEST_SIZE = 0.3

# Four rows of a class are the fewest of which a split keeps one for the test.
MIN_CLASS_SIZE = 4


@dataclass(frozen=True, eq=False)
class FixedSplit:
    """Data in two parts that belong together: one to fit on, one to score.

    Series, videos and networks cannot be cut at random, and images or fleets often
    come with a part without anomalies to learn from. :func:`compare` takes such data as
    they are, the same for each seed.

    Parameters
    ----------
    X_train : array-like
        What detectors are fitted on, in any shape that they take.

    X_test : array-like
        What they score.

    y_test : array-like of shape (n_samples,)
        Labels of `X_test`: {-1, 1} with -1 for anomalies, or {0, 1} or bool with 1 for
        anomalies.

    fit_params : dict, default=None
        What ``fit`` gets besides `X_train`, by name: `y`, `groups`, `masks`. Each
        detector gets those that it takes; PyOD's get no `y`.

    score_params : dict, default=None
        What is handed over with `X_test` when it is scored, such as `groups`; each
        detector gets those that it takes.

    masks : array-like of shape (n_samples, height, width), default=None
        Where the images of `X_test` are anomalous. With them, the anomaly maps of
        detectors that have some are measured.

    buffer : int, default=None
        Only for rows in the order of time: how many of them around an event count in
        part, see :func:`skad.metrics.vus_pr_score`. If None, rows have no order.

    See Also
    --------
    compare : Takes it as a data set.

    Examples
    --------
    >>> from skad import TransDe
    >>> from skad.benchmark import FixedSplit, compare
    >>> from skad.datasets import make_sensor_series
    >>> X, X_new, y_new, _ = make_sensor_series(300, 300, 2, n_events=3, random_state=0)
    >>> series = FixedSplit(X, X_new, y_new, buffer=40)
    >>> comparison = compare({"TransDe": TransDe(max_epochs=1)}, {"a": series}, seeds=1)
    >>> comparison.measure
    'vus_pr'
    """

    X_train: object
    X_test: object
    y_test: object
    fit_params: dict = None
    score_params: dict = None
    masks: object = None
    buffer: int = None


@dataclass(frozen=True, eq=False)
class Parts:
    """The two parts of a data set with one seed, and what measures them."""

    X_train: object
    X_test: object
    is_anomaly: np.ndarray
    fit_params: dict = field(default_factory=dict)
    score_params: dict = field(default_factory=dict)
    masks: np.ndarray = None
    buffer: int = None


@dataclass(frozen=True, eq=False)
class RandomProblem:
    """Rows without an order, split anew with each seed."""

    name: str
    X: object
    is_anomaly: np.ndarray
    fingerprint: str
    measures = ("auroc", "average_precision")
    is_fixed = False
    n_train = None

    @property
    def n_samples(self):
        return _num_samples(self.X)

    @property
    def sample_shape(self):
        return np.shape(self.X)[1:]

    def limit(self, max_samples):
        """The number of rows that are used."""
        return min(max_samples, self.n_samples)

    def split(self, seed, max_samples):
        """Both parts, of at most `max_samples` rows in all."""
        rows = np.arange(self.n_samples)
        if len(rows) > max_samples:
            rows = self._some_rows(seed, max_samples)
        train, test = train_test_split(
            rows,
            test_size=TEST_SIZE,
            stratify=self.is_anomaly[rows],
            random_state=seed,
        )
        take = _safe_indexing
        return Parts(take(self.X, train), take(self.X, test), self.is_anomaly[test])

    def check_taken(self, detectors):
        """Nothing goes along with the rows."""

    def _some_rows(self, seed, max_samples):
        """`max_samples` rows with the share of anomalies kept."""
        rng = np.random.default_rng(seed)
        anomalous, normal = (
            rng.permutation(np.flatnonzero(mask))
            for mask in (self.is_anomaly, ~self.is_anomaly)
        )
        n_anomalous = round(max_samples * len(anomalous) / self.n_samples)
        rows = [*anomalous[:n_anomalous], *normal[: max_samples - n_anomalous]]
        return np.sort(rows)


@dataclass(frozen=True, eq=False)
class FixedProblem:
    """Data that come in two parts, the same with each seed."""

    name: str
    parts: Parts
    fingerprint: str
    is_fixed = True

    @property
    def measures(self):
        ordered = () if self.parts.buffer is None else ("vus_pr",)
        pixels = () if self.parts.masks is None else ("aupro",)
        return (*ordered, "auroc", "average_precision", *pixels)

    @property
    def n_train(self):
        return _num_samples(self.parts.X_train)

    @property
    def n_samples(self):
        return _num_samples(self.parts.X_test)

    @property
    def is_anomaly(self):
        return self.parts.is_anomaly

    @property
    def sample_shape(self):
        return np.shape(self.parts.X_test)[1:]

    def limit(self, max_samples):
        """The data are taken as they are."""

    def split(self, seed, max_samples):
        """Both parts, as copies: a detector may write into what it is given."""
        parts = self.parts
        return replace(parts, X_train=_copy(parts.X_train), X_test=_copy(parts.X_test))

    def check_taken(self, detectors):
        """Refuse what goes along with the rows if no detector takes it."""
        for parameter, given, method in (
            ("fit_params", self.parts.fit_params, fit_taken),
            ("score_params", self.parts.score_params, score_taken),
        ):
            taken = {name for detector in detectors for name in method(detector, given)}
            if unknown := sorted(given.keys() - taken - _USUAL):
                raise ValueError(
                    f"data set {self.name!r}: no detector takes {unknown} of "
                    f"{parameter}."
                )


# What goes along whether or not one of these detectors takes it.
_USUAL = {"class_names", "groups", "masks", "y"}


def make_problem(name, data, max_samples):
    """Check a data set, (X, y) or a FixedSplit; raise a ValueError that names it."""
    try:
        if isinstance(data, FixedSplit):
            return _fixed(name, data)
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeError("expected (X, y) or a FixedSplit.")
        return _random(name, *data, max_samples)
    except (TypeError, ValueError) as error:
        raise ValueError(f"data set {name!r}: {error}") from error


def _random(name, X, y, max_samples):
    X = _as_array("X", X)
    is_anomaly = outlier_mask(column_or_1d(y))
    _check_lengths("X", X, {"y": is_anomaly})
    _check_class_sizes(is_anomaly, max_samples)
    return RandomProblem(name, X, is_anomaly, _fingerprint(X, is_anomaly))


def _fixed(name, data):
    X_train, X_test = (
        _as_array("X_train", data.X_train),
        _as_array("X_test", data.X_test),
    )
    is_anomaly = outlier_mask(column_or_1d(data.y_test))
    fit_params = _given("fit_params", data.fit_params)
    score_params = _given("score_params", data.score_params)
    _check_lengths("X_train", X_train, fit_params)
    _check_lengths("X_test", X_test, {"y_test": is_anomaly, **score_params})
    if np.shape(X_train)[1:] != np.shape(X_test)[1:]:
        raise ValueError(
            f"X_train has shape {np.shape(X_train)}, X_test {np.shape(X_test)}; all "
            "but the first must be the same."
        )
    if is_anomaly.all() or not is_anomaly.any():
        raise ValueError(
            f"{is_anomaly.sum()} of {len(is_anomaly)} rows to score are anomalous; at "
            "least one must be, and one must not."
        )
    masks = _as_masks(data.masks, X_test)
    if data.buffer is not None:
        check_scalar(data.buffer, "buffer", Integral, min_val=0)
    parts = Parts(
        X_train, X_test, is_anomaly, fit_params, score_params, masks, data.buffer
    )
    return FixedProblem(name, parts, _fingerprint(*vars(parts).values()))


def _as_array(name, X):
    if issparse(X):
        raise TypeError(f"{name} is sparse; expected a dense array.")
    if not hasattr(X, "iloc"):
        X = np.asarray(X)
        if X.dtype.kind in "bfiu" and X.ndim == 2:
            X = X.astype(np.float64)
    if X.ndim < 2:
        raise ValueError(f"{name} has {X.ndim} dimensions; expected at least 2.")
    return X


def _given(name, params):
    """What goes along with the rows, without what is None."""
    if params is not None and not isinstance(params, Mapping):
        raise TypeError(f"{name} has type {type(params).__name__}; expected a dict.")
    return {key: value for key, value in (params or {}).items() if value is not None}


def _check_lengths(name, X, others):
    for other, value in others.items():
        if _num_samples(value) != _num_samples(X):
            raise ValueError(
                f"{other} has {_num_samples(value)} entries; expected "
                f"{_num_samples(X)}, one for each row of {name}."
            )


def _as_masks(masks, X_test):
    if masks is None:
        return None
    masks, shape = np.asarray(masks), np.shape(X_test)
    if masks.ndim != 3 or len(masks) != shape[0]:
        raise ValueError(
            f"masks has shape {masks.shape}; expected ({shape[0]}, height, width), one "
            "for each image of X_test."
        )
    fits = masks.shape == shape[:3] if len(shape) > 2 else not shape[1] % masks[0].size
    if not fits:
        raise ValueError(f"masks of shape {masks.shape} for images of shape {shape}.")
    if not np.isin(masks, (0, 1)).all() or masks.all() or not masks.any():
        raise ValueError(
            "masks must hold 1 where an image is anomalous and 0 elsewhere, and both."
        )
    return masks.astype(bool)


def _copy(X):
    return X.copy() if hasattr(X, "iloc") else np.array(X)


def _fingerprint(*values):
    """A hash of values, whatever the memory looks like that holds them."""
    return joblib.hash([_plain(value) for value in values])


def _plain(value):
    if hasattr(value, "iloc") and value.ndim == 2:
        columns = (value.iloc[:, i] for i in range(value.shape[1]))
        return [
            (name, str(column.dtype), column.to_numpy())
            for name, column in zip(value.columns, columns, strict=True)
        ]
    if isinstance(value, Mapping):
        return [[name, _plain(item)] for name, item in value.items()]
    return value if value is None else np.ascontiguousarray(value)


def _check_class_sizes(is_anomaly, max_samples):
    n_samples = len(is_anomaly)
    share = min(1, max_samples / n_samples)
    for kind, count in (
        ("anomalous", int(is_anomaly.sum())),
        ("normal", int((~is_anomaly).sum())),
    ):
        if int(count * share) < MIN_CLASS_SIZE:
            raise ValueError(
                f"{count} {kind} rows of {n_samples} (at most {max_samples} rows are "
                f"used) are too few; a split needs {MIN_CLASS_SIZE}."
            )
