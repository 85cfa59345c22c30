"""Features that compare each record with the earlier ones of those who act in it."""

from datetime import timedelta
from itertools import combinations
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skad._doc_link import DocLinkMixin
from skad.preprocessing._past import Actors, Usual
from skad.preprocessing._records import RecordColumns, merged

_FEATURES = ("new", "elapsed", "count", "ratio", "deviation")


class HistoryFeatures(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Compare each record with the earlier records of those who act in it.

    Records say who did what and when: payments of customers at terminals, readings of
    sensors, requests of users. A detector that sees them one by one cannot know that
    an amount is ordinary for one customer and absurd for another. This transformer
    turns each record into features that tell, without labels and without looking
    ahead: only records with a strictly smaller time count.

    Parameters
    ----------
    time : int or str, default=0
        The column of the time: numbers, in any unit, or dates, which count in days.
        Rows need not be sorted.

    entities : array-like of int or str, default=None
        The columns that name who acts, as numbers, strings or other objects. Each one
        has a history of its own. If None, all rows share one history.

    values : array-like of int or str, default=None
        The columns of numbers that are compared with the past, and kept themselves.
        If None, all columns but those of the time and of the entities.

    windows : array-like of float, timedelta or None, default=(None,)
        How far to look back, once for each entry: in the unit of the time, in days if
        times are dates; None stands for everything before.

    features : array-like of str, default=None
        Which comparisons to make, all of these if None. For each entity:

        - ``"new"``: 1 at its first appearance, else 0; likewise for each pair of
          entities, such as a customer who is at a terminal for the first time;
        - ``"elapsed"``: the time since its last record, or since the first record of
          all if it has none;
        - ``"count"``: the number of its records in each window that is not None. The
          number of all records before would grow with time, and what grows is soon
          outside of anything that a detector was trained on.

        For each entity, window and value :math:`v`:

        - ``"ratio"``: :math:`\\pm\\log(1 + |v| / s)` with the sign of :math:`v`, where
          :math:`s` is the usual size: the mean of the absolute values before;
        - ``"deviation"``: the distance from the mean before, in standard deviations.

    smooth : float, default=1.0
        How many records of its own an entity needs until they count as much as what
        is known otherwise. 1 is right if entities differ among themselves as much as
        the records of one of them do; increase it if they differ less.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they are all strings.

    See Also
    --------
    skad.datasets.make_transactions : Payments to try it on.

    Notes
    -----
    Short histories say little. The means and spreads of an entity's whole past are
    mixed with those of all records before, whoever acted, which weigh as much as
    `smooth` records; those of a window are mixed with the entity's whole past in the
    same way. Entities that were never seen are compared with everybody. Spreads are
    carried over relative to the size of the values. The first records of all are
    compared with themselves: their ratio is that of a usual value and their deviation
    is 0. It may be wise not to train on the time in which histories are short.

    `fit` keeps the records, and `transform` looks at those kept and at those it is
    given together. A record that is equal to a kept one in time, entities and values
    is that record and counts once. Hence ``fit(X).transform(X)`` equals
    ``fit_transform(X)``, rows of the training data get the same features in any
    subset, and a stream that is cut in two in time gets the same features as in one
    piece. Rows after the training data, on the contrary, know of one another: given
    one at a time, they do not know what came between. `fit` again, which is cheap, to
    add to what is kept.

    Of the columns only those of `time`, `entities` and `values` are used. Missing
    entries are refused, since a history with holes would be wrong without a word.

    Examples
    --------
    >>> import pandas as pd
    >>> from skad.preprocessing import HistoryFeatures
    >>> X = pd.DataFrame({
    ...     "day": [1, 1, 2, 2, 3, 3, 4, 4],
    ...     "customer": ["ann", "bob", "ann", "bob", "ann", "bob", "ann", "bob"],
    ...     "amount": [10.0, 99.0, 12.0, 95.0, 11.0, 90.0, 99.0, 97.0],
    ... })
    >>> history = HistoryFeatures(
    ...     "day", entities=["customer"], features=["new", "ratio"]
    ... ).set_output(transform="pandas")
    >>> history.fit_transform(X).tail(2).round(1)
       amount  customer_new  amount_ratio_customer
    6    99.0           0.0                    1.7
    7    97.0           0.0                    0.8

    The amounts of the last day are alike, but only one of them is usual.
    """

    _parameter_constraints: dict = {
        "time": [Interval(Integral, 0, None, closed="left"), str],
        "entities": ["array-like", None],
        "values": ["array-like", None],
        "windows": ["array-like"],
        "features": ["array-like", None],
        "smooth": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        time=0,
        *,
        entities=None,
        values=None,
        windows=(None,),
        features=None,
        smooth=1.0,
    ):
        self.time = time
        self.entities = entities
        self.values = values
        self.windows = windows
        self.features = features
        self.smooth = smooth

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Keep the records as the past of those to come.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The records.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        wanted = _FEATURES if self.features is None else self.features
        unknown = [name for name in wanted if name not in _FEATURES]
        if unknown:
            raise ValueError(
                f"features holds {unknown[0]!r}; expected some of {_FEATURES}."
            )
        columns = RecordColumns(self.time, self.entities, self.values)
        self._past = columns.fit_read(self, X)
        self._windows = _durations(self.windows, columns.is_date)
        self._columns, self._wanted = columns, frozenset(wanted)
        return self

    def transform(self, X):
        """Compare records with those before them, kept or in `X`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The records, in any order.

        Returns
        -------
        X_out : ndarray of shape (n_samples, n_features_out)
            The values and their comparisons, a row for each row of `X`.
        """
        check_is_fitted(self)
        new = self._columns.read(self, X)
        records, row = merged(self._past, new)
        place = np.argsort(row)[-len(new) :]
        features = np.empty((len(new), len(self.get_feature_names_out())), order="F")
        for j, feature in enumerate(self._computed(records)):
            features[:, j] = feature[place]
        return features

    def get_feature_names_out(self, input_features=None):
        """Name the features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns, which must be those seen in `fit` if these had
            names. If None, they are used, or ``x0``, ``x1`` and so on.

        Returns
        -------
        feature_names_out : ndarray of shape (n_features_out,)
            Names such as ``amount``, ``customer_new``, ``customer_terminal_new``,
            ``customer_elapsed``, ``customer_count_7``, ``amount_ratio_customer_7`` or,
            where the window is None, ``amount_ratio_customer``.
        """
        check_is_fitted(self)
        columns = _check_feature_names_in(self, input_features)
        values = [columns[j] for j in self._columns.values]
        entities = [columns[j] for j in self._columns.entities]
        names = [*values]
        for entity in entities or [""]:
            names += self._if_wanted("new", _joined(entity, "new"))
            names += self._if_wanted("elapsed", _joined(entity, "elapsed"))
            for window, label in self._windows.items():
                if window < np.inf:
                    names += self._if_wanted("count", _joined(entity, "count", label))
                for value in values:
                    for kind in ("ratio", "deviation"):
                        name = _joined(value, kind, entity, label)
                        names += self._if_wanted(kind, name)
        for pair in combinations(entities, 2):
            names += self._if_wanted("new", _joined(*pair, "new"))
        return np.array(names, dtype=object)

    def _computed(self, records):
        """Yield the features in the order of their names."""
        yield from records.values.T
        everyone = np.zeros(len(records), dtype=np.int64)
        is_compared = not self._wanted.isdisjoint(("ratio", "deviation"))
        values = list(records.values.T) if is_compared else []
        actors = Actors(records.time, everyone)
        general = [Usual.of_everyone(actors.moments(v, np.inf), v) for v in values]
        for codes in records.codes.T if records.codes.shape[1] else [everyone]:
            actors = Actors(records.time, codes)
            is_known, since = actors.previous()
            yield from self._if_wanted("new", ~is_known)
            yield from self._if_wanted("elapsed", since)
            yield from self._in_windows(values, general, actors)
        if "new" in self._wanted:
            for first, second in combinations(records.codes.T, 2):
                pair = first * (second.max() + 1) + second
                yield ~Actors(records.time, pair).previous()[0]

    def _in_windows(self, values, general, actors):
        """Yield what depends on the window, for one column of entities."""
        typical = [
            usual.updated(actors.moments(value, np.inf), self.smooth)
            for value, usual in zip(values, general, strict=True)
        ]
        for window in self._windows:
            is_finite = window < np.inf
            if is_finite:
                yield from self._if_wanted("count", actors.count(window))
            for value, usual in zip(values, typical, strict=True):
                if is_finite:
                    recent = actors.moments(value, window)
                    usual = usual.updated(recent, self.smooth)
                yield from self._if_wanted("ratio", usual.ratio(value))
                yield from self._if_wanted("deviation", usual.deviation(value))

    def _if_wanted(self, kind, thing):
        return [thing] if kind in self._wanted else []


def _joined(*parts):
    return "_".join(part for part in parts if part)


def _durations(windows, is_date):
    """Map each window, as a number, to its label in the names of features."""
    durations = {}
    for window in windows:
        is_span = isinstance(window, (timedelta, np.timedelta64))
        if window is None:
            duration, label = np.inf, ""
        elif is_span and is_date:
            duration = np.timedelta64(window) / np.timedelta64(1, "D")
            label = f"{duration:g}"
        elif isinstance(window, Real) and not is_span:
            duration, label = float(window), f"{window:g}"
        else:
            raise ValueError(
                f"windows holds {window!r}; expected numbers or None, or timedeltas "
                "if times are dates."
            )
        if not duration > 0 or (label and not np.isfinite(duration)):
            raise ValueError(f"windows holds {window!r}; expected finite, > 0.")
        if duration in durations or label in durations.values():
            raise ValueError(f"windows holds {window!r} twice; expected it once.")
        durations[duration] = label
    return durations
