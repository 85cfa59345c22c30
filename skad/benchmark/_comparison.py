"""What a comparison found: runs, means, ranks."""

from numbers import Real

import numpy as np
from sklearn.utils import check_scalar

from skad.benchmark._ranks import rank_test

_QUALITY = ("auroc", "average_precision", "vus_pr", "aupro")
_SECONDS = ("fit_seconds", "score_seconds")
# Kept in the records for the report's pictures.
_DRAWN = ["positions", "course"]


class Comparison:
    """The runs of a comparison, with tables and a report.

    :func:`compare` makes it. Means and ranks are over complete rounds only: a round
    is a data set with a seed, and complete when every detector had its turn. After
    an interruption the others stay in `records` and out of the tables.

    Parameters
    ----------
    plan : Plan
        What was to be compared.

    records : list of dict
        One dictionary a run, with the keys `dataset`, `detector`, `seed`, `status`
        ("ok" or "failed"), `auroc`, `average_precision`, `fit_seconds` and
        `score_seconds`, or `error`, and `warnings`, `n_train`, `n_test` and
        `reused`, whether an earlier call made it. For rows in the order of time there
        is `vus_pr`, for images with masks `aupro`, and for pictures of the scores
        `positions`, where the anomalies are in the ranking, or `course`, the ranking
        along time.

    Attributes
    ----------
    measure : str
        By which the detectors are ranked: "vus_pr" if the rows of all data sets are in
        the order of time, else "auroc".

    interrupted : bool
        Whether runs are missing.

    n_reused : int
        The number of runs that an earlier call made.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.ensemble import IsolationForest
    >>> from skad.benchmark import compare
    >>> X, y = load_wine(return_X_y=True)
    >>> comparison = compare(
    ...     {"forest": IsolationForest(n_estimators=10)}, {"wine": (X, y == 2)}, seeds=2
    ... )
    >>> [record["status"] for record in comparison.records]
    ['ok', 'ok']
    >>> comparison.scores("auroc").shape
    (1, 1)
    """

    def __init__(self, plan, records):
        self.plan = plan
        self.records = sorted(records, key=self._place)
        ordered = all("vus_pr" in problem.measures for problem in plan.problems)
        self.measure = "vus_pr" if ordered else "auroc"
        self.interrupted = len(records) < len(plan)
        self.n_reused = sum(record["reused"] for record in records)

    def to_frame(self):
        """Return the runs as a table.

        Returns
        -------
        runs : pandas.DataFrame
            One row a run.
        """
        import pandas as pd

        columns = ["dataset", "detector", "seed", "status", *self.measures(), *_SECONDS]
        columns += ["error", "warnings"]
        frame = pd.DataFrame(self.records).drop(columns=_DRAWN, errors="ignore")
        rest = [name for name in frame.columns if name not in columns]
        return frame.reindex(columns=[*columns, *rest])

    def measures(self):
        """Return what the data sets are measured by, that of the ranks first.

        Returns
        -------
        measures : list of str
            Of "auroc", "average_precision", "vus_pr" and "aupro".
        """
        found = {name for problem in self.plan.problems for name in problem.measures}
        known = [name for name in _QUALITY if name in found]
        return sorted(known, key=lambda name: name != self.measure)

    def scores(self, measure=None):
        """Return the means over seeds of a measure.

        Parameters
        ----------
        measure : str, default=None
            One of :meth:`measures`, "fit_seconds" or "score_seconds". If None, the one
            that the detectors are ranked by.

        Returns
        -------
        scores : pandas.DataFrame
            One row a data set, one column a detector, in the order of the summary;
            missing where the detector failed with any seed.
        """
        known = [*self.measures(), *_SECONDS]
        measure = self.measure if measure is None else measure
        if measure not in known:
            raise ValueError(
                f"measure={measure!r} is unknown; expected one of {known}."
            )
        means, _ = self._over_seeds(measure)
        return means[self.table().index]

    def table(self):
        """Return the summary, the best mean rank first.

        Returns
        -------
        table : pandas.DataFrame
            One row a detector. ``rank`` is the mean over data sets of the rank by
            `measure`, where those that failed share the last ranks. The other means
            are over the ``n_datasets`` data sets on which the detector never failed,
            and which have that measure; ``auroc_se``, or that of another `measure`, is
            the standard error over the seeds, with the data sets held fixed;
            ``n_failed`` counts runs.
        """
        import pandas as pd

        means, errors = self._over_seeds(self.measure)
        others = [*self.measures()[1:], *_SECONDS]
        table = pd.DataFrame(
            {
                "rank": self._ranks().mean(),
                self.measure: means.mean(),
                f"{self.measure}_se": _standard_error(errors, means.notna()),
                **{name: self._over_seeds(name)[0].mean() for name in others},
                "n_datasets": means.notna().sum(),
                "n_failed": self._n_failed().astype(int),
            }
        )
        table.index.name = "detector"
        return table.sort_values(["rank", self.measure], ascending=[True, False])

    def rank_test(self, alpha=0.05):
        """Test whether the mean ranks differ by more than chance.

        Friedman's test of all detectors, and Nemenyi's critical difference of two mean
        ranks. Data sets count as independent, which those made of the same images or
        by the same generator are not.

        Parameters
        ----------
        alpha : float, default=0.05
            Level of significance.

        Returns
        -------
        test : RankTest
            A named tuple: ``pvalue`` of Friedman's test, the ``critical_difference``,
            and ``groups``, lists of detectors whose mean ranks do not differ by more.
            None for fewer than three detectors or two data sets.
        """
        check_scalar(
            alpha, "alpha", Real, min_val=0, max_val=1, include_boundaries="neither"
        )
        ranks = self._ranks()[self.table().index]
        n_datasets, n_detectors = ranks.shape
        if n_datasets < 2 or n_detectors < 3:
            return None
        return rank_test(ranks, alpha)

    def failures(self):
        """Return what failed, and why.

        Returns
        -------
        failures : pandas.DataFrame
            One row for each detector, data set and error, with the number of runs.
        """
        return self._counted("error")

    def warnings(self):
        """Return the warnings that detectors raised.

        Returns
        -------
        warnings : pandas.DataFrame
            One row for each detector, data set and message, with the number of runs.
        """
        return self._counted("warnings")

    def to_dict(self):
        """Return everything as plain values, ready for JSON.

        Returns
        -------
        values : dict
            The keys are `interrupted`, `measure`, `summary`, `scores`, the means of
            `measure` by data set and detector, and `runs`.
        """
        scores = self.scores()
        return {
            "interrupted": self.interrupted,
            "measure": self.measure,
            "summary": _plain_rows(self.table()),
            "scores": {
                name: dict(zip(scores.columns, _plain(row), strict=True))
                for name, row in zip(scores.index, scores.to_numpy(), strict=True)
            },
            "runs": self.records,
        }

    def to_html(self, path, *, command=None, unread=()):
        """Write the report: one file, readable without a network.

        Parameters
        ----------
        path : path-like
            The file to write.

        command : str, default=None
            The command that made the comparison, to be shown.

        unread : iterable of str, default=()
            Messages about data that could not be read, to be shown.
        """
        from skad.benchmark._report import write_report

        write_report({None: self}, path, command=command, unread=unread)

    def _rounds(self):
        """The runs of complete rounds."""
        frame = self.to_frame()
        size = frame.groupby(["dataset", "seed"])["detector"].transform("size")
        return frame[size == len(self.plan.detectors)]

    def _over_seeds(self, measure):
        """Mean and its squared standard error, by data set and detector."""
        rounds = self._rounds()
        names = [p.name for p in self.plan.problems if p.name in set(rounds["dataset"])]
        cells = rounds.groupby(["dataset", "detector"])
        failed = cells["status"].agg(lambda status: (status != "ok").any())
        values = cells[measure].agg(["mean", "var", "count"]).astype(float)
        values = values.mask(failed)
        squared_error = values["var"] / values["count"]
        return tuple(
            cell.unstack("detector").reindex(index=names, columns=self.plan.detectors)
            for cell in (values["mean"], squared_error)
        )

    def _ranks(self):
        """The rank of each detector on each data set; failures share the last ones."""
        means, _ = self._over_seeds(self.measure)
        # The last digits of equal values depend on the order of a sum.
        return means.round(12).fillna(-1).rank(axis=1, ascending=False)

    def _place(self, record):
        """Where a record stands among those asked for, in whatever order they end."""
        names = [problem.name for problem in self.plan.problems]
        detectors = list(self.plan.detectors)
        return (
            names.index(record["dataset"]),
            record["seed"],
            detectors.index(record["detector"]),
        )

    def _n_failed(self):
        rounds = self._rounds()
        failed = rounds["detector"][rounds["status"] != "ok"].value_counts()
        return failed.reindex(list(self.plan.detectors), fill_value=0)

    def _counted(self, column):
        frame = self.to_frame()[["detector", "dataset", column]]
        frame = frame.explode(column).dropna(subset=column)
        keys = ["detector", "dataset", column]
        return frame.groupby(keys, sort=False).size().reset_index(name="n_runs")


def _standard_error(squared_errors, finished):
    """Of a mean over data sets; unknown if one of them has a single seed."""
    unknown = (finished & squared_errors.isna()).any()
    error = np.sqrt(squared_errors.sum()) / finished.sum()
    return error.mask(unknown | ~finished.any())


def _plain(values):
    return [None if np.isnan(value) else float(value) for value in values]


def _plain_rows(table):
    rows = []
    for name, row in table.iterrows():
        values = dict(zip(table.columns, _plain(row), strict=True))
        counts = {key: int(values[key]) for key in ("n_datasets", "n_failed")}
        rows.append({"detector": name, **values, **counts})
    return rows
