"""The detectors to compare with that look at pixels, by name; each takes a seed."""

from functools import partial

from experiments.images.nets import Autoencoder
from experiments.images.on_pixels import PatchGaussian, PixelNeighbors, PixelPCA

BASELINES = {
    "PCA of pixels": PixelPCA,
    "PCA of local contrast": partial(PixelPCA, contrast=True),
    "kNN on pixels": PixelNeighbors,
    "Gaussian of patch filters": PatchGaussian,
    "Gaussian of patch filters, local contrast": partial(PatchGaussian, contrast=True),
    "autoencoder": Autoencoder,
}
