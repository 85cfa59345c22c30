"""Configuration of the documentation; nothing here needs the network."""

import os
from pydoc import locate

from docutils import nodes

# Examples run in this process: no threads beyond what an example asks for.
os.environ.setdefault("OMP_NUM_THREADS", "1")
import skad
from skad import _doc_link

# Pictures of estimators in the gallery, one folder below the root, link to this build.
_doc_link.DOC_URL = "../"

project = "skad"
author = "the skad developers"
copyright = "the skad developers"
version = release = skad.__version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**/sg_execution_times.rst"]
default_role = "literal"
nitpicky = True

# -- API pages: one list of names, in api.rst ---------------------------------
autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# -- links --------------------------------------------------------------------
extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}
extlinks_detect_hardcoded_links = False

# Objects of these libraries are at guessable addresses, most on a page of their own;
# an inventory would have to be downloaded at every build.
OBJECT_PAGES = {
    "functools": "https://docs.python.org/3/library/functools.html#{}",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{}.html",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{}.html",
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
}
# What has no such page: mentioned, not linked.
nitpick_ignore_regex = [("py:.*", r"(joblib|matplotlib|pandas|pyod)\..*")]

# -- gallery ------------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "abort_on_example_error": True,
    "backreferences_dir": "modules/generated/backreferences",
    "doc_module": ("skad",),
    "reference_url": {"skad": None},
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 0,
    "image_srcset": ["2x"],
    "within_subsection_order": "ExampleTitleSortKey",
    "remove_config_comments": True,
}

# -- HTML ---------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = f"skad {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["skad.css"]
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {
    page: []
    for page in (
        "getting_started",
        "papers",
        "glossary",
        "whats_new",
        "contributing",
    )
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def link_to_object_page(app, env, node, contnode):
    """Link a reference to another library's object, if it exists, to its page."""
    target = node.get("reftarget", "")
    library, _, rest = target.partition(".")
    if not rest or library not in OBJECT_PAGES or locate(target) is None:
        return None
    owner = target.rpartition(".")[0]
    if isinstance(locate(owner), type):
        uri = OBJECT_PAGES[library].format(owner) + f"#{target}"
    else:
        uri = OBJECT_PAGES[library].format(target)
    return nodes.reference("", "", contnode, internal=False, refuri=uri)


def setup(app):
    app.connect("missing-reference", link_to_object_page)
