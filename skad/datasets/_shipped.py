"""What scikit-learn ships, as anomaly detection problems."""

from sklearn import datasets as sklearn_datasets
from sklearn.utils import Bunch

from skad.datasets._one_against_rest import one_against_rest

# Name: loader, anomalous classes, what they are.
_SHIPPED = {
    "breast_cancer": (
        sklearn_datasets.load_breast_cancer,
        [0],
        "Malignant tumours among benign ones.",
    ),
    "iris": (
        sklearn_datasets.load_iris,
        [2],
        "Iris virginica among the two other species.",
    ),
    "wine": (
        sklearn_datasets.load_wine,
        [0],
        "Wines of the first cultivar among those of the two others.",
    ),
    **{
        f"digits_{digit}": (
            sklearn_datasets.load_digits,
            [other for other in range(10) if other != digit],
            f"Handwritten digits: the nine others among images of a {digit}.",
        )
        for digit in range(10)
    },
}


def list_datasets():
    """List the data sets that `load_dataset` knows.

    Returns
    -------
    names : list of str
        The names, sorted.

    See Also
    --------
    load_dataset : Load one of them.

    Examples
    --------
    >>> from skad.datasets import list_datasets
    >>> list_datasets()[:3]
    ['breast_cancer', 'digits_0', 'digits_1']
    """
    return sorted(_SHIPPED)


def load_dataset(name, *, outlier_rate=0.1, random_state=0, return_X_y=True):
    """Load real data with known anomalies, without a download.

    These are the classification data sets that come with scikit-learn. In
    ``"breast_cancer"`` malignant tumours are the anomalies, in ``"wine"`` the first
    cultivar, in ``"iris"`` the species virginica; in ``"digits_0"`` to ``"digits_9"``
    images of one digit are normal and all others anomalous. Anomalies are thinned
    to `outlier_rate`, see :func:`one_against_rest`.

    Parameters
    ----------
    name : str
        One of :func:`list_datasets`.

    outlier_rate : float, default=0.1
        Proportion of anomalies in the result, in (0, 0.5]. If None, all anomalies
        are kept.

    random_state : int, RandomState instance or None, default=0
        Determines which anomalies are kept, and the order of the samples.

    return_X_y : bool, default=True
        If False, return a :class:`~sklearn.utils.Bunch` instead.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        The data.

    y : ndarray of shape (n_samples,)
        1 for normal samples, -1 for anomalies.

    data : :class:`~sklearn.utils.Bunch`
        Only if `return_X_y` is False: `data`, `target`, `feature_names` and
        `DESCR`, which says what the anomalies are.

    See Also
    --------
    load_npz : The same for a file.

    Notes
    -----
    The sets are small and rather easy: they show that a detector works, not that
    it is better than another one.

    Examples
    --------
    >>> from skad.datasets import load_dataset
    >>> X, y = load_dataset("breast_cancer")
    >>> X.shape, int((y == -1).sum())
    ((397, 30), 40)
    >>> load_dataset("breast_cancer", return_X_y=False).DESCR
    'Malignant tumours among benign ones.'
    """
    if name not in _SHIPPED:
        raise ValueError(
            f"name={name!r} is no data set; expected one of {list_datasets()}."
        )
    load, outliers, description = _SHIPPED[name]
    classes = load()
    X, y = one_against_rest(
        classes.data,
        classes.target,
        outliers=outliers,
        outlier_rate=outlier_rate,
        random_state=random_state,
    )
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        feature_names=list(classes.feature_names),
        DESCR=description,
    )
