"""The report: one HTML file that holds its figures and its style."""

import os
import platform
from datetime import datetime
from pathlib import Path

from skad.benchmark._problem import TEST_SIZE
from skad.benchmark._store import versions
from skad.benchmark._words import (
    MEASURE_NAMES,
    above_chance,
    breakable,
    decimal,
    parameters,
    probability,
    seconds,
    shape,
)


def write_report(comparisons, path, *, command=None, unread=()):
    """Write one page about the comparisons on several kinds of data.

    The page needs no network and no script, and follows the reader's choice of light
    or dark colours. Jinja2, matplotlib and pandas have to be installed.

    Parameters
    ----------
    comparisons : dict of str to Comparison
        What was compared, by kind of data; the kinds are the headings, in this order.
        The key None goes without a heading, for a single comparison.

    path : path-like
        The file to write; its folder is made if it does not exist.

    command : str, default=None
        The command that made the comparisons, to be shown.

    unread : iterable of str, default=()
        Messages about data that could not be read, to be shown.

    See Also
    --------
    Comparison.to_html : The page of a single comparison.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> from skad.benchmark import (
    ...     compare, default_datasets, default_detectors, write_report
    ... )
    >>> comparisons = {}
    >>> for kind, name in {"tables": "wine", "images": "digit 8"}.items():
    ...     detectors = default_detectors(["IsolationForest", "PCA"], kind=kind)
    ...     datasets = default_datasets([name], kind=kind)
    ...     comparisons[kind] = compare(detectors, datasets, seeds=1)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "report.html"
    ...     write_report(comparisons, path)
    ...     path.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    if not comparisons:
        raise ValueError("comparisons is empty; a report needs at least one.")
    template = _environment().get_template("report.html.j2")
    page = template.render(**_context(comparisons), command=command, unread=unread)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _environment():
    # Only a report needs Jinja2, and only its figures need matplotlib.
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("skad.benchmark", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        above_chance,
        breakable,
        decimal,
        parameters,
        probability,
        seconds,
        shape,
    )
    environment.filters |= {function.__name__: function for function in filters}
    environment.globals["label"] = MEASURE_NAMES
    return environment


def _context(comparisons):
    from skad.benchmark._section import describe_section

    sections = [
        describe_section(kind, comparison, f"kind{number}")
        for number, (kind, comparison) in enumerate(comparisons.items())
    ]
    plans = [comparison.plan for comparison in comparisons.values()]
    problems = [problem for plan in plans for problem in plan.problems]
    return {
        "sections": sections,
        "overview": [_overview(section) for section in sections],
        "n_runs": sum(len(section["runs"]) for section in sections),
        "n_planned": sum(len(plan) for plan in plans),
        "n_reused": sum(comparison.n_reused for comparison in comparisons.values()),
        "n_problems": len(problems),
        "fixed": {problem.is_fixed for problem in problems},
        "used": {name for section in sections for name in section["measures"]},
        "ranked_by": sorted({section["measure"] for section in sections}),
        "n_splits": sorted({len(plan.seeds) for plan in plans if _splits(plan)}),
        "n_seeds": sorted({len(plan.seeds) for plan in plans}),
        "max_samples": sorted({plan.max_samples for plan in plans}),
        "n_jobs": sorted({plan.n_jobs for plan in plans} - {None, 1}),
        "test_percent": round(100 * TEST_SIZE),
        "versions": {"Python": platform.python_version(), **versions()},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "date": f"{datetime.now():%d %B %Y}".lstrip("0"),
    }


def _splits(plan):
    return any(not problem.is_fixed for problem in plan.problems)


def _overview(section):
    """The first detector by mean rank, and the next, of those that did not all fail."""
    measured = [
        {"name": name, "rank": row["rank"], "value": row[section["measure"]]}
        for name, row in section["summary"]
        if row["n_datasets"]
    ]
    tied = len(measured) > 1 and measured[0]["rank"] == measured[1]["rank"]
    return {
        "section": section,
        "best": measured[:1],
        "next": measured[1:2],
        "tied": tied,
    }
