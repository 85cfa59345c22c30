"""The report: one file that says everything, whatever happened."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from skad.benchmark import Comparison, FixedSplit, compare, write_report
from skad.benchmark._compare import Plan
from skad.benchmark._words import breakable, decimal

VOID = {"meta", "br", "wbr", "link", "hr", "img"}


class Balanced(HTMLParser):
    """Checks that tags close in order and that no id is used twice."""

    def __init__(self):
        super().__init__()
        self.open, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class FailsOnB(IsolationForest):
    def fit(self, X, y=None):
        if X.shape[1] == 3:
            raise ValueError("<b>bold</b> & bad")
        return super().fit(X)


class WithMaps(IsolationForest):
    """Takes flattened images and has anomaly maps, all the same."""

    def anomaly_map(self, X):
        return np.ones((len(X), 2, 2))


def planted(n_features):
    X = np.random.default_rng(n_features).normal(size=(60, n_features))
    X[:8] += 3
    return X, np.arange(60) < 8


def ordered(seed):
    """A series in two parts, the second of which has one event."""
    X = np.random.default_rng(seed).normal(size=(160, 2))
    X[100:110] += 4
    event = np.arange(80) // 10 == 2
    return FixedSplit(X[:80], X[80:], event, buffer=4)


def pictured(n_features=4):
    """Flattened images with masks of the anomalous pixels."""
    X, y = planted(n_features)
    masks = np.zeros((60, 2, 2), dtype=bool)
    masks[y, 0] = True
    return FixedSplit(X, X, y, masks=masks)


def written(comparisons, folder, **options):
    path = folder / "report.html"
    write_report(comparisons, path, **options)
    return path.read_text(encoding="utf-8")


def section(page, kind):
    """The part of a page that is about one kind of data."""
    return next(
        part
        for part in re.findall(r"<section.*?</section>", page, flags=re.DOTALL)
        if f"<h2>{kind.capitalize()}</h2>" in part
    )


def cells(row):
    """What is written in the cells of a row of a table."""
    found = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
    return [re.sub(r"<[^>]+>|\s+", "", cell) for cell in found]


@pytest.fixture(scope="module")
def comparison():
    detectors = {
        f"Forest{n}": IsolationForest(n_estimators=n, random_state=0) for n in (1, 2, 3)
    }
    detectors |= {"Failing": FailsOnB(n_estimators=1)}
    return compare(detectors, {"a": planted(2), "b": planted(3)}, seeds=2)


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    comparison.to_html(path, command="the command", unread=["c.npz: <no>"])
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def comparisons(comparison):
    """Kinds that end in every possible way."""
    forests = {
        f"Forest{n}": IsolationForest(n_estimators=n, random_state=0) for n in (1, 2, 3)
    }
    few = {"Forest1": IsolationForest(n_estimators=1)}
    maps = {"WithMaps": WithMaps(n_estimators=2), **few}
    untouched = compare(few, {"a": planted(2)}, seeds=1)
    return {
        "tables": comparison,
        "series": compare(forests, {"s": ordered(0), "t": ordered(1)}, seeds=1),
        "images": compare(maps, {"masked": pictured()}, seeds=1, n_jobs=1),
        "broken": compare({"fails": FailsOnB()}, {"b": planted(3)}, seeds=1),
        "not begun": Comparison(untouched.plan, []),
    }


@pytest.fixture(scope="module")
def whole(comparisons, tmp_path_factory):
    return written(comparisons, tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Three detectors on ten data sets: the first always wins."""
    data = {f"d{i}": planted(2) for i in range(10)}
    forests = {f"Forest{n}": IsolationForest(n_estimators=n) for n in (1, 2, 3)}
    plan = Plan(forests, data, seeds=1, max_samples=100)
    records = [
        {
            "dataset": dataset,
            "detector": detector,
            "seed": 0,
            "status": "ok",
            "auroc": 0.9 - 0.1 * place,
            "average_precision": 0.5,
            "positions": [0.1 * place],
            "fit_seconds": 1.0,
            "score_seconds": 1.0,
            "warnings": [],
            "reused": False,
        }
        for dataset in data
        for place, detector in enumerate(forests)
    ]
    comparison = Comparison(plan, records)
    return comparison, written({"many": comparison}, tmp_path_factory.mktemp("many"))


@pytest.mark.parametrize("name", ["page", "whole"])
def test_the_page_is_well_formed_and_needs_nothing_else(name, request):
    page = request.getfixturevalue(name)
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    outside = set(re.findall(r'(?:src|href)="([^#"]+)', page))
    assert outside == set()
    assert set(re.findall(r"https?://[\w./]+", page)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }
    assert "<script" not in page


@pytest.mark.parametrize("name", ["page", "whole"])
def test_every_mark_of_a_figure_refers_to_something_on_the_page(name, request):
    page = request.getfixturevalue(name)
    ids = set(re.findall(r'id="([^"]+)"', page))
    referred = set(re.findall(r'href="#([^"]+)"', page)) | set(
        re.findall(r"url\(#([^)]+)\)", page)
    )
    assert referred <= ids
    assert not re.search(r"#0(\d)0\1", page)


def test_the_page_says_what_failed_and_what_was_not_read(page):
    assert "ValueError: &lt;b&gt;bold&lt;/b&gt; &amp; bad" in page
    assert "c.npz: &lt;no&gt;" in page
    assert "† failed: Failing on 1 data set." in page
    assert page.count('<td class="failed" style="--shade: 0">failed</td>') == 1


def test_the_page_holds_the_protocol_the_versions_and_the_command(page):
    for text in ("70 to 30", "scikit-learn 1.", "the command", "Forest3"):
        assert text in page


def test_the_best_of_each_data_set_is_bold(page, comparison):
    bold = re.findall(r'<td class="best"[^>]*>([\d.]+)', page)
    best = [decimal(value) for value in comparison.scores().max(axis=1)]
    assert set(bold) == set(best)


def test_what_failed_somewhere_is_not_drawn_by_its_mean(page):
    figure = page[page.index("Accuracy against time") : page.index("<figcaption>Up")]
    assert "Forest3" in figure
    assert "Failing" not in figure


def test_before_a_round_is_complete_the_runs_themselves_are_shown(comparison, tmp_path):
    partial = Comparison(comparison.plan, comparison.records[:2])
    partial.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for record in partial.records:
        assert f"<td>{decimal(record['auroc'])}</td>" in page


def test_an_interrupted_comparison_has_a_report(tmp_path, comparison):
    for n_records in (0, 1, 5):
        partial = Comparison(comparison.plan, comparison.records[:n_records])
        partial.to_html(tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert f"{n_records} of 16 runs were made" in page


def test_a_comparison_where_all_failed_has_a_report(tmp_path):
    comparison = compare({"fails": FailsOnB()}, {"b": planted(3)}, seeds=1)
    comparison.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "† failed: fails on 1 data set." in page
    assert "No detector got through a data set with every seed." in page


def test_an_interrupted_kind_says_how_far_it_came(comparison, tmp_path):
    partial = Comparison(comparison.plan, comparison.records[:5])
    page = written({"all": comparison, "some": partial}, tmp_path)
    assert "Interrupted after 5 of 16 runs." in section(page, "some")
    assert "Interrupted" not in section(page, "all")
    assert "21 of 32 runs were made" in page


def test_one_detector_one_data_set_one_seed_read_well(tmp_path):
    plan = {"forest": IsolationForest(n_estimators=1)}, {"a": planted(2)}
    compare(*plan, seeds=1).to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "1 detector · 1 data set · 1 seed ·" in page


def test_names_are_escaped_in_figures(tmp_path):
    plan = {"a<b & c": IsolationForest(n_estimators=1)}, {"x<y": planted(2)}
    compare(*plan, seeds=1).to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "a<b" not in page
    assert "x<y" not in page


def test_the_global_style_of_matplotlib_stays(comparison, tmp_path):
    import matplotlib

    before = matplotlib.rcParams.copy()
    comparison.to_html(tmp_path / "report.html")
    assert matplotlib.rcParams == before


def test_a_plan_needs_no_run_to_be_described():
    forest = IsolationForest()
    plan = Plan({"f": forest}, {"a": planted(2)}, seeds=3, max_samples=50, n_jobs=None)
    assert len(plan) == 3


def test_an_overview_links_to_every_kind(whole, comparisons):
    overview = whole[whole.index("<h2>Overview") : whole.index("<section")]
    rows = re.findall(r"<tr>.*?</tr>", overview, flags=re.DOTALL)[1:]
    for kind, row in zip(comparisons, rows, strict=True):
        target = re.search(r'href="#([^"]+)"', row)[1]
        assert f'<section id="{target}">\n<h2>{kind.capitalize()}</h2>' in whole


def test_the_overview_names_the_two_best_with_their_values(whole, comparisons):
    overview = whole[whole.index("<h2>Overview") : whole.index("<section")]
    rows = re.findall(r"<tr>.*?</tr>", overview, flags=re.DOTALL)[1:]
    found = {cells(row)[0]: cells(row)[1:] for row in rows}
    for kind, label, n_failed in (("tables", "AUROC", "2"), ("series", "VUS-PR", "0")):
        comparison = comparisons[kind]
        table = comparison.table()
        equal = table["rank"].iloc[0] == table["rank"].iloc[1]
        assert found[kind] == [
            label,
            table.index[0],
            decimal(table[comparison.measure].iloc[0]),
            table.index[1] + ("=" if equal else ""),
            decimal(table[comparison.measure].iloc[1]),
            "2",
            n_failed,
        ]
    assert found["broken"] == ["AUROC", "Alldetectorsfailed.", "1", "1"]
    assert found["notbegun"] == ["AUROC", "Notfinishedyet.", "0of1", "0"]


def test_a_single_comparison_has_neither_overview_nor_sections(page):
    assert "Overview" not in page
    assert "<section" not in page


def test_each_kind_has_the_columns_of_its_measures(whole, comparisons):
    for kind, labels in {
        "tables": ["AUROC", "Averageprecision"],
        "series": ["VUS-PR", "AUROC", "Averageprecision"],
        "images": ["AUROC", "Averageprecision", "AUPRO"],
    }.items():
        head = re.search(r"<tr><th>Detector</th>.*?</tr>", section(whole, kind))[0]
        assert cells(head)[2:-3] == labels


def test_a_detector_without_maps_has_a_dash(whole):
    part = section(whole, "images")
    for name, text in {"WithMaps": "0.150", "Forest1": "–"}.items():
        start = part.index(f'<span class="mark"></span>{"<wbr>".join(breakable(name))}')
        row = part[part.rindex("<tr", 0, start) : part.index("</tr>", start)]
        assert cells(row.replace("\n", ""))[4] == text


@pytest.mark.parametrize(
    ("n_equal", "finding"),
    [
        (1, "A</strong> has the best mean rank, 1.00 of 3, with a mean AUROC of 0.7"),
        (2, "A</strong> and <strong>B</strong> share the best mean rank, 1.50 of 3;"),
        (3, "A</strong>, <strong>B</strong> and <strong>C</strong> share the best"),
    ],
)
def test_all_that_share_the_best_rank_are_named(n_equal, finding, many, tmp_path):
    record = many[0].records[0]
    data, names = {"d0": planted(2)}, "ABC"
    forests = {name: IsolationForest() for name in names}
    records = [
        {**record, "detector": name, "auroc": 0.7 - 0.1 * (place >= n_equal) * place}
        for place, name in enumerate(names)
    ]
    plan = Plan(forests, data, seeds=1, max_samples=100)
    page = written({None: Comparison(plan, records)}, tmp_path)
    assert f'<p class="finding"><strong>{finding}' in page


def test_two_data_sets_are_said_to_be_too_few(whole):
    part = section(whole, "series")
    assert "2 data sets are too few to tell any two of these detectors apart" in part
    assert "and cannot differ by more than 2." in part
    assert "critical difference " not in part[part.index("<svg") :]
    assert "too few to call a detector better than another" in part


def test_ranks_that_differ_are_drawn_with_their_test(many):
    comparison, page = many
    test = comparison.rank_test()
    assert "Friedman’s test of all mean ranks: p &lt; 0.001." in page
    assert f"critical difference {test.critical_difference:.2f}</text>" in page
    for name in ("Forest1 1.00", "Forest2 2.00", "3.00 Forest3"):
        assert f">{name}</text>" in page


def test_ranks_are_not_tested_for_one_data_set(whole):
    assert "Friedman" not in section(whole, "images")


def test_scores_of_every_data_set_are_drawn_and_many_are_folded(many, whole):
    _, page = many
    for i in range(10):
        assert page.count(f'aria-label="Ranking of d{i}"') == 1
    assert "<summary>Show 10 data sets</summary>" in page
    assert "<details" not in whole
    assert 'aria-label="Ranking of s"' in section(whole, "series")
    assert "Events are shaded" in section(whole, "series")
    assert "Events are shaded" not in section(whole, "tables")


def test_scores_are_drawn_in_the_order_of_the_summary(whole, comparisons):
    for kind, dataset in (("tables", "a"), ("series", "s")):
        start = whole.index(f'aria-label="Ranking of {dataset}"')
        figure = whole[start : whole.index("</svg>", start)]
        names = [*comparisons[kind].plan.detectors]
        drawn = [
            text for text in re.findall(">([^<]+)</text>", figure) if text in names
        ]
        assert drawn == list(comparisons[kind].table().index)


def test_failed_runs_are_named_in_the_plots_of_scores(page):
    start = page.index('aria-label="Ranking of b"')
    figure = page[start : page.index("</svg>", start)]
    assert figure.count(">failed</text>") == 1
    start = page.index('aria-label="Ranking of a"')
    assert ">failed</text>" not in page[start : page.index("</svg>", start)]


def test_both_protocols_are_told_apart(whole, comparison, comparisons, tmp_path):
    assert "70 to 30" in whole
    # The series have one seed.
    tables = {"tables": comparison, "series": comparisons["series"]}
    assert "once for each of 2 seeds" in written(tables, tmp_path)
    assert "Other data come in two fixed parts" in whole
    series = compare({"f": IsolationForest(n_estimators=2)}, {"s": ordered(0)}, seeds=1)
    page = written({None: series}, tmp_path)
    assert "70 to 30" not in page
    assert "Each data set comes in two fixed parts" in page
    assert "Ranks are by a data set’s mean VUS-PR" in page


def test_runs_at_the_same_time_are_owned_up_to(page, tmp_path):
    assert "one run at a time" in page
    detectors, data = {"f": IsolationForest()}, {"a": planted(2)}
    plan = Plan(detectors, data, seeds=1, max_samples=50, n_jobs=2)
    side_by_side = written({None: Comparison(plan, [])}, tmp_path)
    assert "one run at a time" not in side_by_side
    assert "<code>n_jobs=2</code>: runs were made at the same time" in side_by_side


def test_data_sets_are_described_by_what_is_fitted_and_scored(whole):
    listed = whole[whole.index("<h2>Data sets") :]
    rows = {
        row[0]: row[1:]
        for row in map(cells, re.findall(r'<tr><th scope="row">.*?</tr>', listed))
    }
    assert rows["s"] == ["80", "80", "2", "10of80", "12.5%"]
    assert rows["masked"] == ["60", "60", "4", "8of60", "13.3%"]
    # 30 per cent of sixty rows
    assert rows["a"] == ["42", "18", "2", "8of60", "13.3%"]


def test_the_rows_of_a_reduced_data_set_are_those_that_are_used(tmp_path):
    forest, data = {"f": IsolationForest(n_estimators=2)}, {"a": planted(2)}
    comparison = compare(forest, data, seeds=1, max_samples=45)
    record = comparison.records[0]
    assert record["n_train"] + record["n_test"] == 45
    page = written({None: Comparison(comparison.plan, [])}, tmp_path)
    assert f"<td>{record['n_train']}</td><td>{record['n_test']}</td>" in page


def test_kinds_without_a_finished_round_say_so(whole):
    part = section(whole, "not begun")
    assert "No run was made." in part
    assert "Interrupted:" in whole


def test_a_report_needs_a_comparison(tmp_path):
    with pytest.raises(ValueError, match="comparisons is empty"):
        write_report({}, tmp_path / "report.html")
