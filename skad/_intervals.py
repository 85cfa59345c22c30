"""From p-values of rows to intervals, and to the systems that are worth a look."""

import numpy as np

from skad._segments import SeriesRows


def find_intervals(log_pvalues, rows, *, alpha, release, max_gap):
    """Find the intervals in which something is wrong.

    An interval holds a row with ``p < alpha``, and reaches to both sides as far as
    ``p < release``: one threshold alone would cut a long failure whose evidence
    comes and goes into many short ones.

    Parameters
    ----------
    log_pvalues : ndarray of shape (n_rows,)
        Logarithms of the p-values, in the caller's order.

    rows : SeriesRows
        Which of them are of one series.

    alpha : float
        What p-values begin an interval.

    release : float
        What p-values continue it, not below `alpha`.

    max_gap : int
        So many rows between two intervals of a series, or fewer, make them one.

    Returns
    -------
    intervals : Segments
        The intervals, in the arrangement of `rows`.
    """
    arranged = log_pvalues[rows.order]
    runs = rows.segments(arranged < np.log(release))
    return runs[runs.minima(arranged) < np.log(alpha)].joined(max_gap)


def interval_table(intervals, rows, log_pvalues, systems, evidence, sensors):
    """Describe intervals in the caller's terms.

    Parameters
    ----------
    intervals : Segments
        What `find_intervals` returned.

    rows : SeriesRows
        Which rows are of one series.

    log_pvalues : ndarray of shape (n_rows,)
        Logarithms of the p-values, in the caller's order.

    systems : sequence of length n_rows
        The system of each row; those of a series are of one.

    evidence : ndarray of shape (n_rows, n_sensors)
        What each sensor says against its row, in the caller's order; 0 for nothing.

    sensors : sequence of length n_sensors
        The names of the sensors.

    Returns
    -------
    table : recarray of shape (n_intervals,)
        Series by series, with the fields ``system``; ``start`` and ``end``, the
        positions of the first and the last row among the caller's; ``n_rows``, how
        many rows of the series these are, and ``peak``, the position of the lowest
        p-value; ``pvalue`` and ``log_pvalue`` there; and ``sensors``, the names of
        those that say something, the one that says most in front.
    """
    dtype = [("system", object), ("start", int), ("end", int), ("n_rows", int)]
    dtype += [("peak", int), ("pvalue", float), ("log_pvalue", float)]
    table = np.recarray(len(intervals), dtype=[*dtype, ("sensors", object)])
    for i, (start, stop) in enumerate(intervals.pairs()):
        place = rows.order[start:stop]
        peak = place[log_pvalues[place].argmin()]
        lowest = log_pvalues[peak]
        ranked = _ranked(evidence[place].sum(axis=0), sensors)
        found = (systems[peak], place[0], place[-1], len(place), peak)
        table[i] = (*found, np.exp(lowest), lowest, ranked)
    return table


def system_table(log_pvalues, systems):
    """Rank systems by the evidence that something is wrong with them.

    The p-value of a system is that of Simes over its rows, valid if they do not
    depend on each other, or positively. Those of all systems are adjusted for their
    number by Benjamini and Hochberg.

    Parameters
    ----------
    log_pvalues : ndarray of shape (n_rows,)
        Logarithms of the p-values of rows.

    systems : sequence of length n_rows
        The system of each row.

    Returns
    -------
    table : recarray of shape (n_systems,)
        The most suspicious system in front, with the fields ``system``; ``n_rows``;
        ``pvalue`` and ``log_pvalue``; and ``adjusted_pvalue``: among the systems in
        which it is at most q, no more than a share q is expected to be sound.
    """
    rows = SeriesRows.from_groups(systems, len(log_pvalues))
    parts = np.split(log_pvalues[rows.order], rows.bounds[1:-1])
    combined = np.array([log_simes(part) for part in parts])
    adjusted = log_benjamini_hochberg(combined)
    dtype = [("system", object), ("n_rows", int), ("pvalue", float)]
    dtype += [("log_pvalue", float), ("adjusted_pvalue", float)]
    table = np.recarray(len(parts), dtype=dtype)
    table.system = [systems[row] for row in rows.order[rows.bounds[:-1]]]
    table.n_rows, table.log_pvalue = rows.sizes, combined
    table.pvalue, table.adjusted_pvalue = np.exp(combined), np.exp(adjusted)
    return table[np.argsort(combined, kind="stable")]


def log_simes(log_pvalues):
    """Combine p-values into one: the least of them times n over its rank."""
    n = len(log_pvalues)
    return np.min(np.sort(log_pvalues) + np.log(n / np.arange(1, n + 1)))


def log_benjamini_hochberg(log_pvalues):
    """Adjust p-values so that a bound on them is one on the rate of false findings.

    Unlike SciPy's function it takes logarithms, and tells apart what is 0 otherwise.
    """
    n = len(log_pvalues)
    order = np.argsort(log_pvalues)
    adjusted = log_pvalues[order] + np.log(n / np.arange(1, n + 1))
    result = np.empty(n)
    result[order] = np.minimum.accumulate(adjusted[::-1])[::-1]
    return result


def _ranked(evidence, sensors):
    """Return the names of sensors by their evidence, without those that have none."""
    order = np.argsort(-evidence, kind="stable")
    return tuple(sensors[k] for k in order if evidence[k] > 0)
