"""The report: one file that says everything, whatever happened."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest

from skad.benchmark import Comparison, compare
from skad.benchmark._compare import Plan
from skad.benchmark._report import breakable, decimal, grouped, seconds

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


def planted(n_features):
    X = np.random.default_rng(n_features).normal(size=(60, n_features))
    X[:8] += 3
    return X, np.arange(60) < 8


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


def test_the_page_is_well_formed_and_needs_nothing_else(page):
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


def test_every_mark_of_a_figure_refers_to_something_on_the_page(page):
    ids = set(re.findall(r'id="([^"]+)"', page))
    referred = set(re.findall(r'href="#([^"]+)"', page)) | set(
        re.findall(r"url\(#([^)]+)\)", page)
    )
    assert referred <= ids
    assert "#010101" not in page


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


def test_messages_about_many_data_sets_are_one_line():
    messages = pd.DataFrame(
        {
            "detector": "fails",
            "dataset": list("abcdef"),
            "error": "no",
            "n_runs": 2,
        }
    )
    assert grouped(messages, "error") == [
        {
            "detector": "fails",
            "message": "no",
            "datasets": "a, b, c, d and 2 more",
            "n_runs": 12,
        }
    ]


def test_an_interrupted_comparison_has_a_report(tmp_path, comparison):
    for n_records in (0, 1, 5):
        partial = Comparison(comparison.plan, comparison.records[:n_records])
        partial.to_html(tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert f"{n_records} of 16 runs were made" in page


def test_a_comparison_where_all_failed_has_a_report(tmp_path):
    comparison = compare({"fails": FailsOnB()}, {"b": planted(3)}, seeds=1)
    comparison.to_html(tmp_path / "report.html")
    assert "† failed: fails on 1 data set." in (tmp_path / "report.html").read_text()


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


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00000"), (0.00123, "0.0012"), (0.5, "0.50"), (12.34, "12"), (np.nan, "–")],
)
def test_seconds_have_two_digits(value, text):
    assert seconds(value) == text


def test_long_names_break_at_their_words():
    assert breakable("UnsupervisedRandomForest") == ["Unsupervised", "Random", "Forest"]
    assert breakable("KNN") == ["KNN"]
    assert "".join(breakable("k-NN (scaled)")) == "k-NN (scaled)"
