"""A map on which rows that a detector finds alike lie side by side."""

from numbers import Integral

import numpy as np
from sklearn.decomposition import KernelPCA
from sklearn.utils import _safe_indexing, check_random_state, gen_batches
from sklearn.utils.validation import _num_samples, check_scalar

from skad.inspection._pipeline import unwrap

# Rows that are compared with the landmarks at a time.
_CHUNK_SIZE = 1024


def proximity_embedding(
    estimator, X, *, n_components=2, n_landmarks=1000, random_state=None
):
    """Place rows so that distances follow the proximities of a detector.

    This is classical metric multidimensional scaling of the distances
    ``sqrt(2 * (1 - proximity))``. Above `n_landmarks` rows, a random subset of them
    spans the map and the others are placed by their proximities to the subset.

    Parameters
    ----------
    estimator : estimator
        A fitted detector with ``proximity``, or a pipeline that ends in one.

    X : array-like of shape (n_samples, n_features)
        The rows to place.

    n_components : int, default=2
        Number of coordinates, at most the number of landmarks.

    n_landmarks : int, default=1000
        Largest number of rows that span the map. All others are compared with these
        only, a chunk at a time, so that no square array of all rows is built.

    random_state : int, RandomState instance or None, default=None
        Chooses the landmarks; not used if all rows are landmarks.

    Returns
    -------
    embedding : ndarray of shape (n_samples, n_components)
        The coordinates, those along which the landmarks vary most first. In each
        of them, the landmark farthest from zero is on the positive side.

    Raises
    ------
    TypeError
        If the detector has no ``proximity``, or a number is not an integer.
    ValueError
        If a number is less than 1, or `n_components` is larger than the number of
        landmarks.

    See Also
    --------
    EmbeddingDisplay : The map as a picture.

    Notes
    -----
    A proximity is an inner product of unit vectors, which is why multidimensional
    scaling amounts to a kernel principal component analysis [1]_, and new rows can
    be placed as Nystroem's method does [2]_.

    Distances on the map are never larger than the true ones. Two coordinates hold
    a small part of them: a row that resembles no other row is far from all of them,
    which no plane can show. Such rows have zero similarity to everything that spans
    the plane and therefore meet in one place, from which groups of similar rows
    point away. If all rows seem to meet there, a forest of coarser trees, with a
    smaller `max_samples`, gives a clearer map, which depends less on the landmarks.

    References
    ----------
    .. [1] Williams, C. K. I. (2002). "On a Connection between Kernel PCA and Metric
       Multidimensional Scaling". Machine Learning 46, 11-19.
       :doi:`10.1023/A:1012485807823`

    .. [2] de Silva, V. and Tenenbaum, J. B. (2004). "Sparse multidimensional scaling
       using landmark points". Technical report, Stanford University.

    Examples
    --------
    >>> import numpy as np
    >>> from skad import UnsupervisedRandomForest
    >>> from skad.inspection import proximity_embedding
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> forest = UnsupervisedRandomForest(random_state=0).fit(X)
    >>> proximity_embedding(forest, X).shape
    (200, 2)
    """
    check_scalar(n_components, "n_components", Integral, min_val=1)
    check_scalar(n_landmarks, "n_landmarks", Integral, min_val=1)
    detector, X = unwrap(estimator, X, "proximity")
    n_samples = _num_samples(X)
    if n_components > min(n_landmarks, n_samples):
        raise ValueError(
            f"n_components={n_components} must be at most the number of landmarks, "
            f"{min(n_landmarks, n_samples)}: n_landmarks={n_landmarks}, and X has "
            f"{n_samples} rows."
        )
    landmarks = X
    if n_samples > n_landmarks:
        random_state = check_random_state(random_state)
        chosen = random_state.choice(n_samples, n_landmarks, replace=False)
        landmarks = _safe_indexing(X, chosen)
    # The dense solver needs no starting vector and copes with equal rows.
    space = KernelPCA(n_components, kernel="precomputed", eigen_solver="dense")
    space.fit(detector.proximity(landmarks))
    chunks = (_safe_indexing(X, rows) for rows in gen_batches(n_samples, _CHUNK_SIZE))
    return np.vstack(
        [space.transform(detector.proximity(rows, landmarks)) for rows in chunks]
    )
