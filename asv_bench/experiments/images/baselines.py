"""The detectors to compare with, by name; each takes a seed."""

from functools import partial

from experiments.images.nets import Autoencoder
from experiments.images.on_features import Embedded, PatchNeighbors
from experiments.images.on_pixels import PatchGaussian, PixelNeighbors, PixelPCA
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.pca import PCA

PYOD = {
    "IForest": lambda seed: IForest(random_state=seed),
    "KNN": lambda seed: KNN(),
    "LOF": lambda seed: LOF(),
    "ECOD": lambda seed: ECOD(),
    "PCA": lambda seed: PCA(random_state=seed),
}
BASELINES = {
    "PCA of pixels": PixelPCA,
    "PCA of local contrast": partial(PixelPCA, contrast=True),
    "kNN on pixels": PixelNeighbors,
    "Gaussian of patch filters": PatchGaussian,
    "Gaussian of patch filters, local contrast": partial(PatchGaussian, contrast=True),
    "autoencoder": Autoencoder,
}


def on_teacher(name, seed, teacher=None):
    """Return PyOD's detector of a name on embeddings, or neighbours of patches."""
    if name == "patches":
        return PatchNeighbors(seed, teacher)
    return Embedded(PYOD[name](seed), seed, teacher)
