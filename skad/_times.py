"""Times of rows: from numbers and dates in any form to steps on a grid."""

from datetime import UTC, date, datetime

import numpy as np

from skad._attributes import is_number
from skad._groups import is_missing

# A grid with more steps than this for each different time is a sign of times that
# were never meant to be on one. Some rows from here and there may well be scored.
_SPARSEST = 10
_MOST_STEPS = 100_000
# Of a step: times that are so close to one are on it.
_ON_STEP = 1e-3


class TimeGrid:
    """Steps of time, as long as the least time from one row of `fit` to another.

    Parameters
    ----------
    column : array-like of shape (n_rows,)
        The times in `fit`.

    label : str
        What messages begin with.
    """

    def __init__(self, column, label):
        self._label = label
        times = numeric_times(column, label)
        self._is_date = _is_date(times)
        different = np.unique(times)
        if len(different) < 2:
            raise ValueError(
                f"{label} has the one time {different[0]}; expected at least two in "
                "fit."
            )
        self._interval = np.diff(different).min()

    def steps(self, column, *, is_fit):
        """Return the step of each time; the first one is 0."""
        times = numeric_times(column, self._label)
        if _is_date(times) != self._is_date:
            kinds = "dates", "numbers"
            was, now = kinds if self._is_date else kinds[::-1]
            raise ValueError(f"{self._label} holds {now}; in fit these were {was}.")
        with np.errstate(over="ignore", invalid="ignore"):
            offsets = (times - times.min()) / self._interval
            steps = np.rint(offsets)
            off = ~(np.abs(offsets - steps) <= _ON_STEP)
        if off.any():
            raise ValueError(
                f"{self._label} has times that are no multiple of {self._interval} "
                f"apart, such as {times[off][0]} after {times.min()}; expected times "
                "on one grid: round them."
            )
        self._check_number(steps, is_fit)
        return steps.astype(np.int64)

    def _check_number(self, steps, is_fit):
        n_steps, n_times = steps.max() + 1, len(np.unique(steps))
        sparsest = _SPARSEST * n_times + (0 if is_fit else _MOST_STEPS)
        if n_steps > sparsest:
            raise ValueError(
                f"{self._label} has {n_times} different times, on a grid of "
                f"{n_steps:.0f} steps of {self._interval}; expected at most {sparsest} "
                "steps: round times, or score those apart that are far from each "
                "other."
            )


def numeric_times(column, label):
    """Return times as float64, or as datetime64 in nanoseconds."""
    dtype = getattr(column, "dtype", None)
    if getattr(dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    elif hasattr(dtype, "freq"):
        column = column.dt.to_timestamp()
    times = np.asarray(column)
    if times.dtype.kind == "m":
        times = np.where(np.isnat(times), np.nan, times.astype(np.float64))
    if times.dtype.kind in "OUS":
        times = _parsed(times.tolist(), label)
    times = _in_nanoseconds(times, label) if _is_date(times) else times.astype(float)
    wrong = np.isnat(times) if _is_date(times) else ~np.isfinite(times)
    if wrong.any():
        raise ValueError(
            f"{label} has no time in {np.count_nonzero(wrong)} rows; expected one in "
            "each."
        )
    return times


def _parsed(times, label):
    """Return objects as floats or dates, not a number where one is missing."""
    # In the order of rows, each once: there are far fewer times than rows.
    different = [time for time in dict.fromkeys(times) if not is_missing(time)]
    parse, none = _moment, np.datetime64("NaT")
    if any(map(is_number, different)):
        parse, none = float, np.nan
    found = {}
    for time in different:
        try:
            found[time] = parse(time)
        except (TypeError, ValueError):
            raise ValueError(
                f"{label} holds {time!r}; expected numbers, or dates as datetime64 or "
                "in the format of ISO 8601."
            ) from None
    return np.array([found.get(time, none) for time in times])


def _moment(time):
    """Return a date as NumPy's; one with a time zone in UTC."""
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    if isinstance(time, datetime) and time.tzinfo is not None:
        time = time.astimezone(UTC).replace(tzinfo=None)
    if not isinstance(time, date | np.datetime64):
        raise TypeError
    return np.datetime64(time)


def _in_nanoseconds(times, label):
    """Return dates in nanoseconds, in which only some centuries can be counted."""
    seconds = times.astype("M8[s]").astype(np.int64)
    wrong = (np.abs(seconds) > np.iinfo(np.int64).max // 10**9) & ~np.isnat(times)
    if wrong.any():
        raise ValueError(
            f"{label} holds {times[wrong][0]}; expected dates from 1678 to 2261."
        )
    return times.astype("M8[ns]")


def _is_date(times):
    return times.dtype.kind == "M"
