"""Explaining the score of a detector or of a pipeline that ends in one."""

from skad.inspection._pipeline import unwrap


def explain(estimator, X, **params):
    """Attribute the anomaly of each row to the detector's features.

    A :class:`~sklearn.pipeline.Pipeline` does not forward ``explain``: here its
    transformers are applied first, and the attributions belong to their output.

    Parameters
    ----------
    estimator : estimator
        A fitted detector with ``explain``, or a pipeline that ends in one.

    X : array-like of shape (n_samples, n_features)
        The rows to explain.

    **params : dict
        What the detector's ``explain`` takes besides, such as `groups`. Transformers
        do not get it.

    Returns
    -------
    attributions : ndarray of shape (n_samples, n_features_out)
        As returned by the detector.

    Raises
    ------
    TypeError
        If the detector has no ``explain``.

    See Also
    --------
    AttributionDisplay : The attributions of one row as a picture.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skad import UnsupervisedRandomForest
    >>> from skad.inspection import explain
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> forest = UnsupervisedRandomForest(random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), forest).fit(X)
    >>> explain(pipeline, [[0.0, 6.0]]).argmax()
    np.int64(1)
    """
    detector, X = unwrap(estimator, X, "explain")
    return detector.explain(X, **params)
