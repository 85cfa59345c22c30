"""Criteria without labels that look at the volume which holds most of the rows."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import _safe_indexing, check_array, check_scalar

from skad.model_selection._refits import (
    check_rows,
    make_random_state,
    normality,
    random_half,
    refit,
)


def excess_mass(
    estimator,
    X,
    y=None,
    *,
    min_mass=0.5,
    n_uniform=2000,
    max_features=5,
    n_subsets=5,
    random_state=0,
):
    """Score a detector, without labels, by how much more it holds than noise would.

    A set is worth the share of the rows in it, less ``t`` times its share of the volume
    of the box around all rows. The excess mass at ``t`` is what the best of the
    detector's level sets is worth, and this is the area under it for ``t`` from 0 to
    where it falls to `min_mass`. The higher, the smaller are the sets that the detector
    takes for normal.

    It goes wherever scikit-learn takes `scoring`; ``functools.partial`` sets its
    parameters. Read more in the :ref:`User Guide <tuning_without_labels>`.

    Parameters
    ----------
    estimator : estimator
        The fitted detector: scikit-learn's, skad's or PyOD's, or a pipeline that ends
        in one.

    X : array-like of shape (n_samples, n_features)
        Rows, which need not be labelled. Numbers without gaps, as they are compared
        with noise in their box.

    y : Ignored
        Not used, present for API consistency by convention.

    min_mass : float, default=0.5
        Only sets that hold more than this share of the rows count, in [0, 1). Sets that
        hold nearly all rows hold the outliers as well, if there are many of them.

    n_uniform : int, default=2000
        Number of uniform rows that stand for the volume of the box.

    max_features : int, default=5
        Where X has more features, random subsets of so many are judged: in many
        dimensions nearly all of the box is empty. None never takes subsets.

    n_subsets : int, default=5
        Number of random subsets of features.

    random_state : int, default=0
        Seeds the uniform rows, the subsets and the clones. It is always a number, so
        that all candidates of a search are judged on the same draws.

    Returns
    -------
    criterion : float
        The area, above 0; the mean of those of the subsets. Higher is better. It tells
        candidates on the same rows apart, and means nothing by itself.

    See Also
    --------
    neg_mass_volume : The volume itself, for all masses above `min_mass`.

    Notes
    -----
    The definition and the subsets of features are those of [1]_, and so is the interval
    of ``t`` with ``min_mass=0.9``. The default is ours: it does better, see
    :ref:`results_tuning`.
    Volumes are shares of the box. None is taken for smaller than one uniform row of
    `n_uniform`; the area could be infinite otherwise.

    With up to `max_features` features, the detector is judged as it is. Rows that it
    has learnt from can look better than they are: to a detector that keeps them, all
    else is far away. Let the search hold rows out by ``cv=KFold(shuffle=True)``.

    With more, a clone for each subset learns from a random half of X and is judged on
    the other one. That is another, narrower detector. Steps of a pipeline that need
    certain columns fail, and so do settings that need more rows or columns.

    References
    ----------
    .. [1] Goix, N. (2016). "How to Evaluate the Quality of Unsupervised Anomaly
       Detection Algorithms?" arXiv:1607.01152.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.model_selection import GridSearchCV, KFold
    >>> from skad.model_selection import excess_mass
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> search = GridSearchCV(
    ...     IsolationForest(random_state=0),
    ...     {"n_estimators": [1, 50]},
    ...     scoring=excess_mass,
    ...     cv=KFold(3, shuffle=True, random_state=0),
    ... ).fit(X)
    >>> search.best_params_
    {'n_estimators': 50}
    """
    _check_share(min_mass)
    sets = level_sets(estimator, X, n_uniform, max_features, n_subsets, random_state)
    return float(np.mean([area_of_excess(*s, min_mass, n_uniform) for s in sets]))


def neg_mass_volume(
    estimator,
    X,
    y=None,
    *,
    min_mass=0.5,
    n_uniform=2000,
    max_features=5,
    n_subsets=5,
    random_state=0,
):
    """Score a detector, without labels, by the volume that it takes for normal.

    To hold a given share of the rows, a detector has to take a set of some volume for
    normal. This is minus the mean of these volumes over all shares from `min_mass` to
    1, each as a share of the volume of the box around all rows: what it costs in noise
    to keep nearly all rows.

    It goes wherever scikit-learn takes `scoring`; ``functools.partial`` sets its
    parameters. Read more in the :ref:`User Guide <tuning_without_labels>`.

    Parameters
    ----------
    estimator : estimator
        The fitted detector: scikit-learn's, skad's or PyOD's, or a pipeline that ends
        in one.

    X : array-like of shape (n_samples, n_features)
        Rows, which need not be labelled. Numbers without gaps, as they are compared
        with noise in their box.

    y : Ignored
        Not used, present for API consistency by convention.

    min_mass : float, default=0.5
        Only sets that hold more than this share of the rows count, in [0, 1). Sets that
        hold nearly all rows hold the outliers as well, if there are many of them.

    n_uniform : int, default=2000
        Number of uniform rows that stand for the volume of the box.

    max_features : int, default=5
        Where X has more features, random subsets of so many are judged: in many
        dimensions nearly all of the box is empty. None never takes subsets.

    n_subsets : int, default=5
        Number of random subsets of features.

    random_state : int, default=0
        Seeds the uniform rows, the subsets and the clones. It is always a number, so
        that all candidates of a search are judged on the same draws.

    Returns
    -------
    criterion : float
        Minus the mean volume, between -1 and 0; the mean of those of the subsets.
        Higher is better.

    See Also
    --------
    excess_mass : Has more to say where volumes are small.

    Notes
    -----
    The mass volume curve and the subsets of features are those of [1]_, which looks at
    masses from .9 up; the default is ours, see :ref:`results_tuning`.
    It is the receiver operating characteristic of telling rows from noise, with its
    axes exchanged. What is said of rows held out and of subsets in :func:`excess_mass`
    holds here as well.

    References
    ----------
    .. [1] Goix, N. (2016). "How to Evaluate the Quality of Unsupervised Anomaly
       Detection Algorithms?" arXiv:1607.01152.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.covariance import EllipticEnvelope
    >>> from skad.model_selection import neg_mass_volume
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> detector = EllipticEnvelope(random_state=0).fit(X[:100])
    >>> round(neg_mass_volume(detector, X[100:]), 2)
    -0.27
    """
    _check_share(min_mass)
    sets = level_sets(estimator, X, n_uniform, max_features, n_subsets, random_state)
    return -float(np.mean([mean_volume(*s, min_mass) for s in sets]))


def level_sets(estimator, X, n_uniform, max_features, n_subsets, random_state):
    """Yield the shares of rows and of noise in the level sets, from small to large."""
    for name, value in (("n_uniform", n_uniform), ("n_subsets", n_subsets)):
        check_scalar(value, name, Integral, min_val=1)
    random_state = make_random_state(random_state)
    # NaN and words have no place in a box: check_array says so.
    values = check_array(X, dtype=np.float64, input_name="X")
    low, high = values.min(axis=0), values.max(axis=0)
    X = X if hasattr(X, "columns") else values
    n_features = len(low)
    if max_features is None or n_features <= max_features:
        noise = _noise(X, random_state.uniform(low, high, (n_uniform, n_features)))
        yield _shares(normality(estimator, X), normality(estimator, noise))
        return
    check_scalar(max_features, "max_features", Integral, min_val=1)
    check_rows(X, 2)
    for _ in range(n_subsets):
        columns = random_state.permutation(n_features)[:max_features]
        some = _safe_indexing(X, columns, axis=1)
        train, test = random_half(some, random_state)
        size = (n_uniform, max_features)
        noise = random_state.uniform(low[columns], high[columns], size)
        refitted = refit(estimator, train, random_state)
        yield _shares(
            normality(refitted, test), normality(refitted, _noise(some, noise))
        )


def _check_share(min_mass):
    check_scalar(
        min_mass, "min_mass", Real, min_val=0, max_val=1, include_boundaries="left"
    )


def _noise(X, noise):
    """Return noise as a DataFrame of the kind of X, if X is one."""
    if not hasattr(X, "columns"):
        return noise
    return type(X)(dict(zip(X.columns, noise.T, strict=True)))


def _shares(scores, noise_scores):
    """Return which shares of rows and of noise score at least as high as a row does."""
    thresholds = np.unique(scores)[::-1]
    below = [
        np.searchsorted(np.sort(s), thresholds) / len(s) for s in (scores, noise_scores)
    ]
    return 1 - below[0], 1 - below[1]


def area_of_excess(mass, volume, min_mass, n_uniform):
    """Return the area under the excess mass curve, where that is above `min_mass`.

    The curve is the highest of the lines ``mass - t * volume``, and of these only sets
    with more than `min_mass` are ever above it.
    """
    enough = mass > min_mass
    mass, volume = mass[enough], np.maximum(volume[enough], 1 / n_uniform)
    end = np.max((mass - min_mass) / volume)
    mass, volume = _upper_hull(mass, volume)
    # Where the line of the next smaller set takes over.
    crossings = np.diff(mass) / np.diff(volume)
    t = np.minimum(np.concatenate([[0.0], crossings[::-1], [end]]), end)
    mass, volume = mass[::-1], volume[::-1]
    return np.sum(mass * np.diff(t) - volume * np.diff(t**2) / 2)


def _upper_hull(mass, volume):
    """Return those of the points, sorted by volume, that no chord is above."""
    hull = []
    for point in zip(volume.tolist(), mass.tolist(), strict=True):
        while hull and point[0] == hull[-1][0]:
            hull.pop()
        while len(hull) > 1 and _is_below(hull[-1], hull[-2], point):
            hull.pop()
        hull.append(point)
    volume, mass = np.array(hull).T
    return mass, volume


def _is_below(point, left, right):
    rise, run = right[1] - left[1], right[0] - left[0]
    return (point[1] - left[1]) * run <= rise * (point[0] - left[0])


def mean_volume(mass, volume, min_mass):
    """Return the mean volume of the smallest set that holds a share, over shares."""
    shares = np.clip(np.concatenate([[0.0], mass]), min_mass, 1)
    return np.sum(volume * np.diff(shares)) / (1 - min_mass)
