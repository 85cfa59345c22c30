"""What a notebook shows of an estimator links to its page in the API reference."""

import re
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from test_common import ESTIMATORS, X
from test_docstrings import CLASSES

from skad import GANVAE, UnsupervisedRandomForest, _doc_link
from skad.forecasting import LSTMRegressor
from skad.preprocessing import HistoryFeatures

API_PAGE = Path(__file__).parents[1] / "doc" / "api.rst"
# Sphinx makes a page for each name in a table of the API reference.
PAGES = {
    f"skad.{name}.html"
    for table in API_PAGE.read_text(encoding="utf-8").split(".. autosummary::")[1:]
    for name in re.findall(r"^ {3}(\w[\w.]*)$", table, re.MULTILINE)
}
PUBLIC = {path: cls for path, cls in CLASSES.items() if issubclass(cls, BaseEstimator)}
# The first of each class, as small as in the tests of all.
SMALL = {
    type(estimator): estimator
    for estimator in [
        *reversed(ESTIMATORS),
        HistoryFeatures(entities=[1], values=[2]),
        LSTMRegressor(hidden_size=4, max_epochs=1, random_state=0),
    ]
}


def pages(estimator):
    """Return the addresses that a representation links to, estimator by estimator."""
    link = r'class="sk-estimator-doc-link[^>]*href="([^"]*)"'
    return re.findall(link, estimator_html_repr(estimator))


@pytest.mark.parametrize(("path", "cls"), PUBLIC.items(), ids=PUBLIC)
def test_the_link_is_the_page_of_the_api_reference(path, cls):
    assert f"{path}.html" in PAGES
    expected = f"{_doc_link.DOC_URL}modules/generated/{path}.html"
    assert pages(SMALL[cls])[0] == expected
    assert f'href="{expected}' in SMALL[cls]._repr_html_()


def test_a_pipeline_links_each_of_its_steps():
    pipeline = make_pipeline(StandardScaler(), GANVAE(), UnsupervisedRandomForest())
    addresses = [page.rpartition("/") for page in pages(pipeline)]
    assert [page for _, _, page in addresses] == [
        "sklearn.pipeline.Pipeline.html",
        "sklearn.preprocessing.StandardScaler.html",
        "skad.GANVAE.html",
        "skad.UnsupervisedRandomForest.html",
    ]
    ours = [folder.startswith(_doc_link.DOC_URL) for folder, _, _ in addresses]
    assert ours == [False, False, True, True]


def test_one_address_moves_all_links(monkeypatch):
    monkeypatch.setattr(_doc_link, "DOC_URL", "../")
    for path, cls in PUBLIC.items():
        assert pages(SMALL[cls])[0] == f"../modules/generated/{path}.html"


def test_a_class_of_somebody_else_has_no_link():
    class Mine(UnsupervisedRandomForest):
        pass

    assert pages(Mine()) == []


@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
def test_a_fitted_estimator_is_shown_without_a_warning(cls):
    y = X if cls is LSTMRegressor else None
    fitted = clone(SMALL[cls]).fit(X, y)
    before, after = map(estimator_html_repr, (SMALL[cls], fitted))
    assert "<span>Not fitted</span>" in before
    assert "<span>Fitted</span>" in after
    attributes = [name for name in vars(fitted) if name.endswith("_")]
    assert all(name in after for name in attributes)
