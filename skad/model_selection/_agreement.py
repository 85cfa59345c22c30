"""Criteria without labels that look at whether detectors agree."""

from numbers import Integral

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils import check_scalar

from skad.model_selection._refits import (
    check_rows,
    make_random_state,
    normality,
    random_half,
    refit,
)


def stability(estimator, X, y=None, *, n_resamples=5, random_state=0):
    """Score a detector, without labels, by whether its refits agree with each other.

    Clones of the detector learn from random halves of the rows and rank all of them.
    This is the mean of Spearman's correlation over all pairs of these rankings. A
    detector whose ranking hangs on which rows it has met, or on its seed, is low; one
    that is wrong in the same way each time is not.

    It goes wherever scikit-learn takes `scoring`; ``functools.partial`` sets its
    parameters. Read more in the :ref:`User Guide <tuning_without_labels>`.

    Parameters
    ----------
    estimator : estimator
        The detector: scikit-learn's, skad's or PyOD's, or a pipeline that ends in one.
        Only clones of it are used, with seeds of their own.

    X : array-like of shape (n_samples, n_features)
        Rows, which need not be labelled, in no order.

    y : Ignored
        Not used, present for API consistency by convention.

    n_resamples : int, default=5
        Number of clones.

    random_state : int, default=0
        Seeds the halves and the clones. It is always a number, so that all candidates
        of a search are judged on the same draws.

    Returns
    -------
    criterion : float
        The mean correlation, 1 if all rankings are the same. Rankings in which all rows
        are equal agree with none. Higher is better.

    See Also
    --------
    consensus : Asks whether other detectors agree.

    Notes
    -----
    Halves are drawn without repeats, because a row that is there twice is its own
    nearest neighbour. A setting that is a number of rows, such as `n_neighbors`, is
    judged with half of them, and a detector that warns of too few rows may do so here.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skad.model_selection import stability
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> for n_estimators in (1, 50):
    ...     round(stability(IsolationForest(n_estimators=n_estimators), X), 2)
    0.14
    0.84
    """
    check_scalar(n_resamples, "n_resamples", Integral, min_val=2)
    check_rows(X, 2)
    random_state = make_random_state(random_state)
    ranks = []
    for _ in range(n_resamples):
        half, _ = random_half(X, random_state)
        ranks.append(_unit_ranks(normality(refit(estimator, half, random_state), X)))
    # The sum of all pairs of a vector with itself and others, less those with itself.
    pairs = np.sum(np.sum(ranks, axis=0) ** 2) - np.sum(np.square(ranks))
    return float(pairs / (n_resamples * (n_resamples - 1)))


def consensus(estimator, X, y=None, *, detectors=None, random_state=0):
    """Score a detector, without labels, by its agreement with other detectors.

    This is Spearman's correlation of the detector's ranking of the rows and the mean of
    the rankings of other detectors. What they all overlook counts against a detector
    that sees it.

    It goes wherever scikit-learn takes `scoring`; ``functools.partial`` sets its
    parameters. Read more in the :ref:`User Guide <tuning_without_labels>`.

    Parameters
    ----------
    estimator : estimator
        The fitted detector: scikit-learn's, skad's or PyOD's, or a pipeline that ends
        in one.

    X : array-like of shape (n_samples, n_features)
        Rows, which need not be labelled, in no order.

    y : Ignored
        Not used, present for API consistency by convention.

    detectors : list of estimators, default=None
        The others, of which clones learn from X. If None, these are scikit-learn's
        ``IsolationForest``, ``LocalOutlierFactor``, ``OneClassSVM`` and
        ``GaussianMixture`` with one component, on standardised columns. They need
        numbers without gaps.

    random_state : int, default=0
        Seeds the others. It is always a number, so that all candidates of a search are
        judged by the same ones.

    Returns
    -------
    criterion : float
        The correlation, in [-1, 1]; 0 if all rows are equal to the detector. Higher is
        better.

    See Also
    --------
    stability : Asks whether the detector agrees with itself.

    Notes
    -----
    The others are fitted for each candidate anew. If all candidates are judged on the
    same rows, fit them once and pass them in a
    :class:`~sklearn.frozen.FrozenEstimator`, which is not fitted again.

    A detector that is among the others, or much like one of them, agrees with itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.covariance import EllipticEnvelope
    >>> from skad.model_selection import consensus
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> consensus(EllipticEnvelope(random_state=0).fit(X), X) > 0.9
    True
    """
    check_rows(X, 2)
    random_state = make_random_state(random_state)
    detectors = usual_detectors() if detectors is None else list(detectors)
    if not detectors:
        raise ValueError("detectors is empty; expected at least one detector.")
    ranks = [
        _unit_ranks(normality(refit(detector, X, random_state), X))
        for detector in detectors
    ]
    return float(
        _unit_ranks(np.mean(ranks, axis=0)) @ _unit_ranks(normality(estimator, X))
    )


def usual_detectors():
    """Return detectors that see different things, at their defaults."""
    detectors = (
        IsolationForest(),
        LocalOutlierFactor(novelty=True),
        OneClassSVM(),
        GaussianMixture(reg_covar=1e-3),
    )
    return [make_pipeline(StandardScaler(), detector) for detector in detectors]


def _unit_ranks(scores):
    """Return centred ranks of length 1, whose products are Spearman's correlations."""
    ranks = rankdata(scores)
    ranks -= ranks.mean()
    length = np.linalg.norm(ranks)
    # Equal scores rank nothing, and agree with nothing.
    return ranks / length if length > 0 else ranks
