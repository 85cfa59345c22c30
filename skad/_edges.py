"""Neighbours of nodes by the edges between them, in the forms that users have."""

import numpy as np
from scipy import sparse

from skad._graph import largest


def adjacent_nodes(adjacency, labels, n_neighbors):
    """Find the neighbours of each node on a graph.

    Parameters
    ----------
    adjacency : DataFrame, array-like or pair
        The edges of the graph, in one of these forms:

        - an edge table, a DataFrame or array-like of shape (n_edges, 2) or
          (n_edges, 3): the names of two nodes and, if there is a third column, a
          weight;
        - a square DataFrame of weights whose index and columns are the same names; one
          of 2 or 3 columns that are not numeric is an edge table;
        - a pair ``(matrix, names)``: a sparse or dense square matrix of weights, and
          the names of its rows.

        Weights are 1 unless they are given, and 0 means that there is no edge. Edges
        count in both directions; of several weights of an edge the largest counts.
        Edges from a node to itself do not count.

    labels : list
        The names of the nodes. Other names in `adjacency` are ignored, and nodes that
        it does not name have no neighbours.

    n_neighbors : int
        The largest number of neighbours.

    Returns
    -------
    index : ndarray of shape (n_nodes, n_neighbors), dtype intp
        The nodes at the other ends of the edges of largest weight.

    weight : ndarray of shape (n_nodes, n_neighbors)
        The weights of these edges.

    Raises
    ------
    ValueError
        If `adjacency` has none of these forms, if weights are negative or missing, if
        names are not unique, or if none is among `labels`.

    Notes
    -----
    Names are compared with labels as Python does: 1 and 1.0 are equal, 1 and "1" are
    not. An array of strings has strings as names, whatever they stand for.

    Examples
    --------
    >>> from skad._edges import adjacent_nodes
    >>> index, weight = adjacent_nodes([("a", "b", 2), ("a", "c", 3)], ["a", "b"], 2)
    >>> index
    array([[ 1, -1],
           [ 0, -1]])
    >>> weight
    array([[2., 0.],
           [2., 0.]])
    """
    first, second, weight, names = _edges(adjacency)
    number = {label: i for i, label in enumerate(labels)}
    node = np.array([number.get(name, -1) for name in names], dtype=np.intp)
    if not np.any(node >= 0):
        raise ValueError(
            f"adjacency names none of the nodes: it has {_some(names)}; expected names "
            f"of nodes, which are {_some(labels)}."
        )
    first, second = node[first], node[second]
    kept = (first >= 0) & (second >= 0) & (first != second) & (weight > 0)
    first, second, weight = first[kept], second[kept], weight[kept]
    first, second = np.append(first, second), np.append(second, first)
    return largest(first, second, np.tile(weight, 2), len(labels), n_neighbors)


def _edges(adjacency):
    """Return the ends of edges as indices of names, their weights, and the names."""
    if _is_pair(adjacency):
        return _edges_of_matrix(*adjacency)
    if _is_square_table(adjacency):
        names = adjacency.index.tolist()
        number = {name: i for i, name in enumerate(adjacency.columns)}
        order = [number[name] for name in names]
        return _edges_of_matrix(adjacency.iloc[:, order], names)
    table = np.asarray(adjacency, dtype=object)
    if table.ndim != 2 or table.shape[1] not in (2, 3):
        raise ValueError(
            f"adjacency has shape {getattr(adjacency, 'shape', table.shape)}; expected "
            "(n_edges, 2) or (n_edges, 3), two names and a weight for each edge, or a "
            "square DataFrame whose index and columns are the same names, or a pair "
            "(matrix, names)."
        )
    found = {}
    ends = [found.setdefault(name, len(found)) for name in table[:, :2].ravel()]
    first, second = np.array(ends, dtype=np.intp).reshape(-1, 2).T
    weight = table[:, 2] if table.shape[1] == 3 else np.ones(len(table))
    return first, second, _checked_weights(weight), list(found)


def _is_pair(adjacency):
    """Tell whether a matrix comes first: an edge would have one dimension."""
    if not isinstance(adjacency, tuple | list) or len(adjacency) != 2:
        return False
    return getattr(adjacency[0], "ndim", None) == 2


def _is_square_table(adjacency):
    if not (hasattr(adjacency, "columns") and hasattr(adjacency, "index")):
        return False
    if adjacency.shape[0] != adjacency.shape[1]:
        return False
    # An edge table with as many edges as columns may have the same numbers as both.
    numeric = all(dtype.kind in "biuf" for dtype in adjacency.dtypes)
    same = set(adjacency.index) == set(adjacency.columns)
    return same and (numeric or len(adjacency) > 3)


def _edges_of_matrix(matrix, names):
    names = names.tolist() if hasattr(names, "tolist") else list(names)
    shape = np.shape(matrix)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            f"the matrix of adjacency has shape {shape}; expected a square one."
        )
    if len(names) != shape[0]:
        raise ValueError(
            f"adjacency has {len(names)} names for a matrix of {shape[0]} rows; "
            "expected one for each row."
        )
    if len(set(names)) < len(names):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        raise ValueError(
            f"adjacency has names that occur more than once, {_some(twice)}; expected "
            "unique ones."
        )
    if sparse.issparse(matrix):
        matrix = sparse.coo_array(matrix)
        matrix.sum_duplicates()
        return matrix.row, matrix.col, _checked_weights(matrix.data), names
    matrix = _checked_weights(matrix)
    first, second = np.nonzero(matrix)
    return first, second, matrix[first, second], names


def _checked_weights(weights):
    try:
        weights = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"adjacency has weights that are not numbers ({error}); expected numbers "
            "of at least 0."
        ) from error
    wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
    if len(wrong):
        raise ValueError(
            f"adjacency has a weight of {wrong[0]}; expected finite numbers of at "
            "least 0."
        )
    return weights


def _some(names):
    """Show the first few of the names."""
    shown = ", ".join(repr(name) for name in names[:3])
    return f"[{shown}, ...]" if len(names) > 3 else f"[{shown}]"
