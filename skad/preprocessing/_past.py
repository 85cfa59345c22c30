"""What was usual before each record, and how far the record is from it."""

from dataclasses import dataclass

import numpy as np


class Actors:
    """Records grouped by who acts, each with what is known of the group's past.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        Time of each record, ascending.
    codes : ndarray of shape (n_samples,), dtype int64
        Who acts in each record.
    """

    def __init__(self, time, codes):
        self._order = np.argsort(codes, kind="stable")
        self._codes, self._time = codes[self._order], time[self._order]
        self._first_time = time[0]

    def moments(self, value, window):
        """Return count, mean, m2 and size of the values before; see the kernel."""
        # Not at the top: importing skad.preprocessing must not load Numba.
        from skad._kernels._history import past_moments

        moments = past_moments(self._codes, self._time, value[self._order], window)
        return self._unsorted(moments).T

    def count(self, window):
        """Return the number of past records."""
        return self.moments(np.zeros(self._time.size), window)[0]

    def previous(self):
        """Return whether there is an earlier record, and the time since the last.

        Without one, it is the time since the first record of all.
        """
        changes = np.diff(self._codes) != 0
        run_starts = np.r_[True, changes | (np.diff(self._time) != 0)]
        start = np.flatnonzero(run_starts)[np.cumsum(run_starts) - 1]
        last = np.maximum(start - 1, 0)
        is_known = (start > 0) & (self._codes[last] == self._codes)
        since = self._time - np.where(is_known, self._time[last], self._first_time)
        return self._unsorted(is_known), self._unsorted(since)

    def _unsorted(self, array):
        unsorted = np.empty_like(array)
        unsorted[self._order] = array
        return unsorted


@dataclass(frozen=True)
class Usual:
    """What values were like before each record.

    Parameters
    ----------
    mean, size : ndarray of shape (n_samples,)
        Mean of the values, and of their absolute values.
    spread : ndarray of shape (n_samples,)
        Variance of the values over their squared size: it can be carried over from
        actors with large values to those with small ones.
    """

    mean: np.ndarray
    size: np.ndarray
    spread: np.ndarray

    @classmethod
    def of_everyone(cls, moments, value):
        """Take everyone's past; a value without any past is usual by itself."""
        count, mean, m2, size = moments
        mean = np.where(count > 0, mean, value)
        spread = _divided(m2, count * size**2)
        return cls(mean, np.where(size > 0, size, np.abs(value)), spread)

    def updated(self, moments, weight):
        """Add an actor's own past to this one, which counts as `weight` values."""
        count, mean, m2, size = moments
        total = count + weight
        mean = (count * mean + weight * self.mean) / total
        size = (count * size + weight * self.size) / total
        spread = (_divided(m2, size**2) + weight * self.spread) / total
        return Usual(mean, size, spread)

    def ratio(self, value):
        """Return the value in usual sizes, on a logarithmic scale with a sign."""
        ratio = _divided(value, self.size)
        return np.sign(ratio) * np.log1p(np.abs(ratio))

    def deviation(self, value):
        """Return the distance from the mean in standard deviations."""
        return _divided(value - self.mean, np.sqrt(self.spread) * self.size)


def _divided(a, b):
    """Divide, where 0 is the result of a division by 0."""
    return np.divide(a, b, out=np.zeros(len(b)), where=b > 0)
