"""Metrics and scorers over the number of rows, beside scikit-learn's functions."""

import numpy as np
from sklearn import metrics as sklearn_metrics

from skad import metrics


class Ranking:
    """A metric of {-1, 1} labels and scores with 1 % of anomalies."""

    params = (
        ["skad", "sklearn"],
        ["roc_auc_score", "average_precision_score", "precision_at_n_score"],
        [10_000, 1_000_000],
    )
    param_names = ["library", "metric", "n_samples"]

    def setup(self, library, metric, n_samples):
        if library == "sklearn" and not hasattr(sklearn_metrics, metric):
            raise NotImplementedError  # asv's way to skip a combination
        rng = np.random.default_rng(0)
        y = np.where(rng.random(n_samples) < 0.01, -1, 1)
        scores = rng.normal(size=n_samples) + y
        if library == "skad":
            self.metric, self.args = getattr(metrics, metric), (y, scores)
        else:
            self.metric, self.args = (
                getattr(sklearn_metrics, metric),
                (y == -1, -scores),
            )

    def time_metric(self, library, metric, n_samples):
        self.metric(*self.args)


class Labels:
    """Telling the outliers by their label, over the types that labels have."""

    params = ["int", "bool", "str"]
    param_names = ["dtype"]

    def setup(self, dtype):
        mask = np.random.default_rng(0).random(1_000_000) < 0.01
        self.y = {
            "int": mask.astype(int),
            "bool": mask,
            "str": np.where(mask, "bad", "good"),
        }[dtype]
        self.outlier_label = "bad" if dtype == "str" else None

    def time_outlier_mask(self, dtype):
        metrics.outlier_mask(self.y, outlier_label=self.outlier_label)
