"""MDDNet as it may be set, with the interface of the other detectors."""

from experiments.images.images import local_contrast

from skad import MDDNet

_NO_MEMORY = {"memory_size": 0}
_ONE_DECODER = {"identity_path": None}
# Reverse distillation as such: one decoder that learns from images without defects.
PLAIN = _NO_MEMORY | _ONE_DECODER | {"defect_probability": 0}
VARIANTS = {
    "MDDNet": {},
    "no memory": _NO_MEMORY,
    "no identity decoder": _ONE_DECODER,
    "neither": _NO_MEMORY | _ONE_DECODER,
    "identity decoder behind the bottleneck": {"identity_path": "bottleneck"},
    "no loss of the memory": {"loss_weights": (1, 1, 1, 0)},
    "no loss of the discrepancy": {"loss_weights": (1, 1, 0, 0.1)},
    "product of the discrepancies": {"fusion": "product"},
    "no mirrored images": {"augment": False},
    "local contrast": {"contrast": True},
}


class Images:
    """MDDNet with parameters.

    Parameters
    ----------
    seed : int
        The seed.

    told : bool, default=True
        Whether it is told the categories.

    contrast : bool, default=False
        Whether it sees local contrasts instead of greys.

    **params
        Of MDDNet.
    """

    def __init__(self, seed, told=True, contrast=False, **params):
        self.detector = MDDNet(random_state=seed, pixel_range=(0, 255), **params)
        self.told, self.contrast = told, contrast

    def fit(self, train, categories):
        self.detector.fit(self._seen(train), categories if self.told else None)
        return self

    def maps(self, test):
        return self.detector.anomaly_map(self._seen(test))

    def score(self, test):
        return self.detector.score_samples(self._seen(test))

    def _seen(self, images):
        return local_contrast(images) if self.contrast else images
