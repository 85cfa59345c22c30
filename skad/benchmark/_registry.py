"""The detectors that the command line compares, by name."""

from functools import partial
from importlib import import_module

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def _forest(**params):
    from skad import UnsupervisedRandomForest

    return UnsupervisedRandomForest(**params)


def _ganvae():
    from skad import GANVAE

    return GANVAE()


def _bayesian_vae():
    from skad import BayesianVAE

    return BayesianVAE()


def _isolation_forest():
    from sklearn.ensemble import IsolationForest

    return IsolationForest()


def _pyod(name, *, scaled):
    # As PyOD's users call them: PyODDetector would score the training rows once
    # more for its threshold, and the time would not be PyOD's.
    detector = getattr(import_module(f"pyod.models.{name.lower()}"), name)()
    return make_pipeline(StandardScaler(), detector) if scaled else detector


# Defaults throughout. Those that measure distances get scaled columns; PyOD's PCA
# and GANVAE scale by themselves, and the others do not depend on the columns' scale.
_DETECTORS = {
    "UnsupervisedRandomForest": _forest,
    "GANVAE": _ganvae,
    "BayesianVAE": _bayesian_vae,
    "IsolationForest": _isolation_forest,
    "KNN": partial(_pyod, "KNN", scaled=True),
    "LOF": partial(_pyod, "LOF", scaled=True),
    "ECOD": partial(_pyod, "ECOD", scaled=False),
    "COPOD": partial(_pyod, "COPOD", scaled=False),
    "HBOS": partial(_pyod, "HBOS", scaled=False),
    "PCA": partial(_pyod, "PCA", scaled=False),
    "INNE": partial(_pyod, "INNE", scaled=True),
}
# For images, such as the digits: only if named, because most tables hold none.
_ONLY_IF_NAMED = {"BayesianVAE"}


def default_detectors(names=None):
    """Return skad's detectors and the baselines of scikit-learn and PyOD.

    Baselines that measure distances (kNN, LOF, INNE) come in a pipeline that
    scales the columns; all have their default parameters.

    Parameters
    ----------
    names : iterable of str, default=None
        Those wanted, in any spelling of upper and lower case; None returns all for
        tables, without BayesianVAE, which takes the columns for the pixels of images.

    Returns
    -------
    detectors : dict of str to estimator
        Unfitted detectors, for :func:`compare`, which knows that PyOD's scores have
        the opposite sign.

    Examples
    --------
    >>> from skad.benchmark import default_detectors
    >>> default_detectors(["isolationforest"])
    {'IsolationForest': IsolationForest()}
    """
    if names is None:
        names = [name for name in _DETECTORS if name not in _ONLY_IF_NAMED]
    known = {_folded(name): name for name in _DETECTORS}
    unknown = [name for name in names if _folded(name) not in known]
    if unknown:
        raise ValueError(
            f"unknown detector {unknown[0]!r}; known are {', '.join(_DETECTORS)}."
        )
    chosen = [known[_folded(name)] for name in names]
    return {name: _DETECTORS[name]() for name in chosen}


def _folded(name):
    return "".join(char for char in name.lower() if char.isalnum())
