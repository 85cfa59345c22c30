"""How well faults are told from normal rows, and from what a neighbourhood shares."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

NORMAL, SHOCK = "normal", "shock"


def fault_measures(kinds, anomaly):
    """Measure scores that are high for anomalies.

    Parameters
    ----------
    kinds : ndarray of str
        What each row is: normal, a shock, or a kind of fault.

    anomaly : ndarray of the same shape
        The scores.

    Returns
    -------
    found : dict of str to float
        AUROC of faults against normal rows, against shocks, and of each kind against
        normal rows; average precision among the normal rows, and among all.
    """
    of = {kind: anomaly[kinds == kind] for kind in np.unique(kinds)}
    normal, shocked = of.pop(NORMAL), of.pop(SHOCK, np.empty(0))
    faults = np.concatenate(list(of.values()))
    others = np.concatenate([normal, shocked])
    found = {
        "AUROC": _auroc(faults, normal),
        "AP": _told(average_precision_score, faults, normal),
        "AP, shocks too": _told(average_precision_score, faults, others),
        "AUROC, shock": _auroc(faults, shocked),
    }
    return found | {kind: _auroc(of[kind], normal) for kind in sorted(of)}


def label_measures(is_anomaly, anomaly):
    """Return AUROC and average precision of labelled rows."""
    return {
        "AUROC": roc_auc_score(is_anomaly, anomaly),
        "AP": average_precision_score(is_anomaly, anomaly),
    }


def show(lines, by):
    """Print means over the seeds, and how far the main ones spread."""
    groups = lines.drop(columns="seed").groupby(by, sort=False)
    means = groups.mean()
    for name in means.columns.intersection(["AUROC", "AP", "flagged"]):
        place = means.columns.get_loc(name) + 1
        means.insert(place, f"± {name}", groups[name].std())
    print(means.round(4).to_string(), end="\n\n")


def _auroc(faults, others):
    return _told(roc_auc_score, faults, others)


def _told(metric, faults, others):
    if len(faults) == 0 or len(others) == 0:
        return np.nan
    labels = np.repeat([1, 0], [len(faults), len(others)])
    return metric(labels, np.concatenate([faults, others]))
