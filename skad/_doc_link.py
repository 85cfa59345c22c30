"""Where an estimator's HTML representation finds its page."""

DOC_URL = "https://skad.readthedocs.io/en/stable/"


class DocLinkMixin:
    """Links an estimator, when a notebook shows it, to its page in the API reference.

    It stands before ``BaseEstimator``, whose attributes it replaces. Classes that
    others derive outside of skad get no link.
    """

    _doc_link_module = "skad"

    @property
    def _doc_link_template(self):
        # Not a constant: the documentation's own build puts a relative address first.
        return DOC_URL + "modules/generated/{estimator_module}.{estimator_name}.html"
