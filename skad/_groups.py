"""Groups of rows: which rows are of one series."""

import numpy as np


def group_codes(groups, n_rows, name="groups"):
    """Number groups in the order in which they appear.

    Parameters
    ----------
    groups : array-like of shape (n_rows,) or None
        A label for each row: numbers, strings, dates or anything else that is
        hashable. None means that all rows are of one group.

    n_rows : int
        The number of rows.

    name : str, default="groups"
        What messages call the labels.

    Returns
    -------
    codes : ndarray of shape (n_rows,), dtype intp
        0 for the rows of the group of the first row, and so on. Groups lie side by
        side exactly if codes never fall.

    labels : list
        The label of each group.
    """
    if groups is None:
        return np.zeros(n_rows, dtype=np.intp), [None]
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise ValueError(
            f"{name} has shape {groups.shape}; expected ({n_rows},), a label for each "
            "row of X."
        )
    # A label for each run of equal ones; objects need not know whether they are equal.
    starts = np.arange(n_rows)
    if groups.dtype != object:
        starts = np.flatnonzero(np.r_[n_rows > 0, groups[1:] != groups[:-1]])
    found, codes = {}, []
    for label in groups[starts].tolist():
        if is_missing(label):
            raise ValueError(f"{name} has missing labels; expected one for each row.")
        codes.append(found.setdefault(label, len(found)))
    lengths = np.diff(starts, append=n_rows)
    return np.repeat(np.array(codes, dtype=np.intp), lengths), list(found)


def is_missing(label):
    """Tell whether a label stands for none."""
    # pandas' NA refuses to say whether it equals itself; NaN says that it does not.
    return label is None or type(label).__name__ == "NAType" or label != label
