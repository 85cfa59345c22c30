"""The documentation's pages show what happens, and lead to what they name."""

import doctest
import re
from pathlib import Path

import pytest

import skad

DOC = Path(__file__).parents[1] / "doc"
PAGES = [
    path
    for path in sorted(DOC.glob("*.rst")) + sorted(DOC.glob("user_guide/*.rst"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_there_are_pages_with_sessions():
    assert len(PAGES) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sessions_of_a_page_run_as_shown(page):
    failed, _ = doctest.testfile(
        str(page),
        module_relative=False,
        encoding="utf-8",
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert failed == 0


def labelled_pages():
    """Map the label of every section of the hand-written pages to the page's text."""
    pages = {}
    for path in [*DOC.glob("*.rst"), *DOC.glob("user_guide/*.rst")]:
        text = path.read_text(encoding="utf-8")
        pages.update(dict.fromkeys(re.findall(r"^\.\. _([\w-]+):$", text, re.M), text))
    return pages


def links_of_the_picture():
    """Return the pairs of text and label that the picture of detectors links."""
    text = (DOC / "user_guide" / "choosing.rst").read_text(encoding="utf-8")
    picture = text.partition(".. container:: decision\n")[2]
    picture = re.split(r"^\S", picture, maxsplit=1, flags=re.M)[0]
    return re.findall(r":ref:`([^`<]+?) *<([\w-]+)>`", picture)


def test_every_link_of_the_picture_leads_to_a_page_that_exists():
    links = links_of_the_picture()
    assert len(links) > 30
    assert {label for _, label in links} <= set(labelled_pages())


@pytest.mark.parametrize("name", skad._ESTIMATORS)
def test_the_picture_leads_to_the_guide_of_every_detector(name):
    labels = {label for text, label in links_of_the_picture() if text == name}
    (label,) = labels
    assert f":class:`~skad.{name}`" in labelled_pages()[label][:600]


@pytest.mark.parametrize("name", skad._ESTIMATORS)
def test_the_page_of_papers_has_a_row_and_a_section_of_every_detector(name):
    text = (DOC / "papers.rst").read_text(encoding="utf-8")
    (label,) = re.findall(rf":ref:`{name} <([\w-]+)>`", text)
    assert f".. _{label}:\n\n{name}\n---" in text


def test_readme_leads_to_the_guide_of_every_detector_and_to_files_that_exist():
    text = (DOC.parent / "README.rst").read_text(encoding="utf-8")
    links = re.findall(r"`([^`<]+?)\s+<([^>]+)>`__", text)
    guides = {name for name, target in links if "doc/user_guide" in target}
    assert guides >= {*skad._ESTIMATORS}
    files = [target for _, target in links if "://" not in target]
    files += re.findall(r"image:: (\S+)", text)
    assert [target for target in files if not (DOC.parent / target).is_file()] == []
