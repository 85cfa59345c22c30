"""Neighbours of the nodes of a graph, as arrays of the same width for every node.

Neighbours are returned as ``(index, value)``, both of shape (n_nodes, n_neighbors):
the nearest neighbour of a node comes first, and where a node has fewer neighbours than
asked for, its row ends in -1 in `index` and in 0 in `value`. Of neighbours that are
equally near, the one that is listed first comes first.
"""

import numpy as np
from sklearn.neighbors import BallTree, KDTree

from skad._kernels._pairs import compare_pairs

# The mean radius of the earth in kilometres.
_EARTH_RADIUS = 6371.0088
# Trees choose freely among points that are equally far. Where distances differ by no
# more than this, relatively and, on the sphere, in radians, points are chosen anew.
_CLOSE = 1e-7
_CLOSE_ANGLE = 1e-9
# Nodes whose correlations with all others are in memory at the same time.
_BLOCK = 256
# Correlations are rounded to as many decimals: the order of a sum decides no tie.
_DECIMALS = 10
# A series is constant if its variance is less than this share of its mean square.
_CONSTANT = 1e-10


def nearest_nodes(positions, n_neighbors, metric):
    """Find the nodes nearest to each node.

    Parameters
    ----------
    positions : array-like of shape (n_nodes, n_dims)
        Where nodes are. Nodes with a NaN have no neighbours and are none.

    n_neighbors : int
        The number of neighbours.

    metric : {"euclidean", "haversine"}
        With "haversine", positions are latitude and longitude in degrees, and
        distances are kilometres on a sphere.

    Returns
    -------
    index : ndarray of shape (n_nodes, n_neighbors), dtype intp
        The nearest nodes. A node is not among them itself, others at its place are.

    distance : ndarray of shape (n_nodes, n_neighbors)
        How far they are.

    Examples
    --------
    >>> from skad._graph import nearest_nodes
    >>> nearest_nodes([[0.0], [1.0], [3.0]], 1, "euclidean")[0].ravel()
    array([1, 0, 1])
    """
    positions = _checked_positions(positions, metric)
    rows = _located(positions)
    located = positions[rows]
    index, distance = _nearest(located, located, n_neighbors + 1, metric)
    own = index == np.arange(len(rows))[:, np.newaxis]
    # Where many nodes share a place, a node need not be among those it finds.
    left_out = np.where(own.any(axis=1), own.argmax(axis=1), n_neighbors)
    index, distance = without(left_out, index, distance)
    return _spread(index, distance, rows, rows, len(positions))


def nearest_references(positions, references, n_neighbors, metric):
    """Find the references nearest to each row, those at its very place included.

    Parameters
    ----------
    positions : array-like of shape (n_rows, n_dims)
        Where rows are. Rows with a NaN have no neighbours.

    references : array-like of shape (n_references, n_dims)
        Where references are. Those with a NaN are no neighbours.

    n_neighbors : int
        The number of neighbours.

    metric : {"euclidean", "haversine"}
        As for `nearest_nodes`.

    Returns
    -------
    index : ndarray of shape (n_rows, n_neighbors), dtype intp
        The nearest references.

    distance : ndarray of shape (n_rows, n_neighbors)
        How far they are.

    Examples
    --------
    >>> from skad._graph import nearest_references
    >>> nearest_references([[0.0], [2.5]], [[0.0], [1.0], [3.0]], 1, "euclidean")
    (array([[0],
           [2]]), array([[0. ],
           [0.5]]))
    """
    positions = _checked_positions(positions, metric)
    references = _checked_positions(references, metric, "references")
    rows, points = _located(positions), _located(references)
    index, distance = _nearest(references[points], positions[rows], n_neighbors, metric)
    return _spread(index, distance, rows, points, len(positions))


def correlated_nodes(values, n_neighbors, min_overlap=10):
    """Find the nodes whose series have the largest positive correlations.

    Two series are compared over the times that both have.

    Parameters
    ----------
    values : array-like of shape (n_times, n_nodes)
        The series of the nodes; NaN where there is no value.

    n_neighbors : int
        The largest number of neighbours.

    min_overlap : int, default=10
        How many times two series must both have.

    Returns
    -------
    index : ndarray of shape (n_nodes, n_neighbors), dtype intp
        The nodes of largest correlation.

    correlation : ndarray of shape (n_nodes, n_neighbors)
        Their Pearson correlations, to 10 decimals.

    Notes
    -----
    Correlations are computed for a block of nodes at a time, which takes memory for a
    block times all nodes and for some copies of `values`.

    Examples
    --------
    >>> import numpy as np
    >>> from skad._graph import correlated_nodes
    >>> time = np.arange(12.0)
    >>> series = np.column_stack([time, time**2, -time])
    >>> index, correlation = correlated_nodes(series, 1)
    >>> index.ravel(), correlation.ravel().round(2)
    (array([ 1,  0, -1]), array([0.96, 0.96, 0.  ]))
    """
    moments = _masked(np.asarray(values, dtype=np.float64))
    n_nodes = moments[0].shape[1]
    index, correlation = _nobody(n_nodes, n_neighbors)
    for start in range(0, n_nodes, _BLOCK):
        block = slice(start, min(start + _BLOCK, n_nodes))
        found = _correlations(moments, block, min_overlap)
        found[np.arange(len(found)), np.arange(start, block.stop)] = 0
        least = np.zeros((len(found), 1))
        if n_neighbors < n_nodes:
            place = n_nodes - n_neighbors
            least = np.partition(found, place, axis=1)[:, place, np.newaxis]
        row, column = np.nonzero((found > 0) & (found >= least))
        index[block], correlation[block] = largest(
            row, column, found[row, column], len(found), n_neighbors
        )
    return index, correlation


def pair_statistics(values, index, min_overlap=10):
    """Compare the series of nodes with those of their neighbours.

    Two series are compared over the times that both have.

    Parameters
    ----------
    values : array-like of shape (n_times, n_nodes)
        The series of the nodes; NaN where there is no value.

    index : ndarray of shape (n_nodes, n_neighbors), dtype intp
        The neighbours of each node; -1 for none.

    min_overlap : int, default=10
        How many times two series must both have.

    Returns
    -------
    statistics : ndarray of shape (n_nodes, n_neighbors, 2)
        Pearson correlation, 0 if a series is constant, and mean absolute difference.
        Both are 0 where there is no neighbour or where too few times are common.

    Examples
    --------
    >>> import numpy as np
    >>> from skad._graph import pair_statistics
    >>> time = np.arange(12.0)
    >>> index = np.array([[1], [-1]])
    >>> pair_statistics(np.column_stack([time, time + 3]), index)
    array([[[1., 3.]],
    <BLANKLINE>
           [[0., 0.]]])
    """
    values = np.asarray(values)
    dtype = np.float32 if values.dtype == np.float32 else np.float64
    series = np.ascontiguousarray(values.T, dtype=dtype)
    return compare_pairs(series, np.ascontiguousarray(index), min_overlap)


def _nobody(n_rows, width):
    """Return the neighbours of rows that have none."""
    return np.full((n_rows, width), -1, dtype=np.intp), np.zeros((n_rows, width))


def _checked_positions(positions, metric, name="positions"):
    positions = np.asarray(positions, dtype=np.float64)
    if positions.ndim != 2 or (metric == "haversine" and positions.shape[1] != 2):
        expected = "(n, 2)" if metric == "haversine" else "(n, n_dims)"
        raise ValueError(
            f"{name} has shape {positions.shape}; expected {expected} with "
            f"metric={metric!r}."
        )
    if np.isinf(positions).any():
        raise ValueError(f"{name} has infinite values; expected numbers or NaN.")
    if metric == "haversine" and np.any(np.abs(positions[:, 0]) > 90):
        worst = np.nanmax(np.abs(positions[:, 0]))
        raise ValueError(
            f"{name} has a latitude of {worst:g} degrees or minus that; expected -90 "
            "to 90: latitude comes before longitude."
        )
    return positions


def _located(positions):
    """Return the rows whose positions are known."""
    return np.flatnonzero(~np.isnan(positions).any(axis=1))


def _nearest(points, queries, width, metric):
    """Find the points nearest to each query, the first of equally near ones first."""
    index, distance = _nobody(len(queries), width)
    if len(points) == 0 or len(queries) == 0:
        return index, distance
    tree, scale, close = KDTree, 1.0, 0.0
    if metric == "haversine":
        tree, scale, close = BallTree, _EARTH_RADIUS, _CLOSE_ANGLE
        points, queries = np.radians(points), np.radians(queries)
    tree = tree(points, metric=metric)
    # One more than asked for tells whether there was a choice.
    n_found = min(width + 1, len(points))
    found, which = tree.query(queries, n_found)
    reach = found[:, min(width, n_found) - 1] * (1 + _CLOSE) + close
    which, found = _in_order(which, scale * found)
    index[:, :n_found], distance[:, :n_found] = which[:, :width], found[:, :width]
    if n_found > width:
        for row in np.flatnonzero(found[:, width] <= scale * reach):
            query = queries[row : row + 1], reach[row]
            (which,), (found_here,) = tree.query_radius(*query, return_distance=True)
            which, found_here = _in_order(which, scale * found_here)
            index[row], distance[row] = which[:width], found_here[:width]
    return index, distance


def _in_order(index, distance):
    order = np.lexsort((index, distance), axis=-1)
    return (
        np.take_along_axis(index, order, axis=-1),
        np.take_along_axis(distance, order, axis=-1),
    )


def without(left_out, index, distance):
    """Leave out one neighbour of each row."""
    kept = np.arange(index.shape[1]) != left_out[:, np.newaxis]
    shape = len(index), index.shape[1] - 1
    return index[kept].reshape(shape), distance[kept].reshape(shape)


def _spread(index, distance, rows, points, n_rows):
    """Number rows and points as they were before some were left out."""
    result = _nobody(n_rows, index.shape[1])
    # What ends a row, -1, stands for the last of the points.
    result[0][rows] = np.append(points, -1)[index]
    result[1][rows] = distance
    return result


def largest(row, column, weight, n_rows, width):
    """Return the columns of largest weight of each row; a pair may occur repeatedly."""
    order = np.lexsort((-weight, column, row))
    row, column, weight = row[order], column[order], weight[order]
    new = np.ones(len(row), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    row, column, weight = row[new], column[new], weight[new]
    order = np.lexsort((column, -weight, row))
    row, column, weight = row[order], column[order], weight[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < width
    result = _nobody(n_rows, width)
    result[0][row[kept], place[kept]] = column[kept]
    result[1][row[kept], place[kept]] = weight[kept]
    return result


def _masked(values):
    """Return standardised series, their squares, and which values are present.

    Sums over the times of two series then are products of matrices.
    """
    missing = np.isnan(values)
    present = (~missing).astype(np.float64)
    count = np.maximum(present.sum(axis=0), 1)
    series = np.where(missing, 0, values)
    series -= series.sum(axis=0) / count * present
    scale = np.sqrt(np.square(series).sum(axis=0) / count)
    series /= np.where(scale > 0, scale, 1)
    return series, np.square(series), present


def _correlations(moments, block, min_overlap):
    """Return the correlations of a block of nodes with all, 0 where there is none."""
    x, xx, x_present = (part[:, block].T for part in moments)
    y, yy, y_present = moments
    count = x_present @ y_present
    x_sum, y_sum = x @ y_present, x_present @ y
    x_square, y_square = count * (xx @ y_present), count * (x_present @ yy)
    x_variance, y_variance = x_square - x_sum**2, y_square - y_sum**2
    valid = count >= min_overlap
    valid &= x_variance > _CONSTANT * x_square
    valid &= y_variance > _CONSTANT * y_square
    product = np.where(valid, x_variance * y_variance, 1)
    correlations = (count * (x @ y) - x_sum * y_sum) / np.sqrt(product)
    return np.where(valid, correlations.round(_DECIMALS), 0)
