"""The sessions shown in the documentation's pages give what the pages say."""

import doctest
from pathlib import Path

import pytest

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
