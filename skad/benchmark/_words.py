"""Numbers, names and messages as the report and the command line show them."""

import re

import numpy as np

MEASURE_NAMES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "vus_pr": "VUS-PR",
    "aupro": "AUPRO",
}


def decimal(value, digits=3):
    """A number as the tables show it; a dash for a missing one."""
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def seconds(value):
    """Seconds with two significant digits and no exponent."""
    if value is None or np.isnan(value):
        return "–"
    digits = max(0, 1 - int(np.floor(np.log10(max(value, 1e-4)))))
    return f"{value:.{digits}f}"


def probability(value):
    """A p-value behind the sign that it needs."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def above_chance(value, measure):
    """The length of a bar, in per cent, that starts at chance where that is fixed."""
    if np.isnan(value):
        return 0
    chance = 0.5 if measure == "auroc" else 0
    return round(max(0, 100 * (value - chance) / (1 - chance)), 1)


def parameters(detector):
    """What a detector looks like in Python, functions by their names only."""
    text = re.sub(r"<function (\S+) at 0x[0-9a-f]+>", r"\1", repr(detector))
    return re.sub(r"\s+", " ", text)


def breakable(name):
    """Split a long name where a line may end."""
    return re.findall(r"[A-Z]+[^A-Z]*|[^A-Z]+", name)


def listed(names, n_shown=4):
    """Some names, and how many more there are."""
    more = len(names) - n_shown
    return ", ".join(names[:n_shown]) + (f" and {more} more" if more > 0 else "")


def shape(lengths):
    """The shape of a row or an image, in words of a table."""
    return " × ".join(f"{length:,}" for length in lengths)


def grouped(messages, column):
    """One dictionary for each detector and message, with all its data sets."""
    return [
        {
            "detector": detector,
            "message": message,
            "datasets": listed(group["dataset"].tolist()),
            "n_runs": int(group["n_runs"].sum()),
        }
        for (detector, message), group in messages.groupby(
            ["detector", column], sort=False
        )
    ]
