"""MDDNet as it may be set, with the interface of the other detectors."""

import math

import torch

from skad import MDDNet

# All nets are trained for as many epochs as make this many batches of 8 images, but for
# no more than the default.
_N_BATCHES, _BATCH, _MOST_EPOCHS = 3000, 8, 100

_NO_MEMORY = {"memory_size": 0}
_ONE_DECODER = {"identity_path": None}
# Reverse distillation as such: one decoder that learns from images without defects,
# and sees them through the code alone.
_NARROW = {"restoration_path": "bottleneck"}
PLAIN = _NO_MEMORY | _ONE_DECODER | _NARROW | {"defect_probability": 0}
VARIANTS = {
    "MDDNet": {},
    "no memory": _NO_MEMORY,
    "no identity decoder": _ONE_DECODER,
    "neither": _NO_MEMORY | _ONE_DECODER,
    "restoration from the code": _NARROW,
    "identity from the code": {"identity_path": "bottleneck"},
}


def settings(images):
    """Return the parameters that MDDNet has on a set of images, whatever else it has.

    On digits epochs are many batches, and there are fewer of them. The decoders are
    trained in mixed precision.
    """
    per_epoch = math.ceil(len(images.train) / _BATCH)
    n_epochs = min(_MOST_EPOCHS, math.ceil(_N_BATCHES / per_epoch))
    return {
        "pixel_range": (0, 255),
        "augment": not images.sides,
        "backbone_epochs": n_epochs,
        "max_epochs": n_epochs,
        "batch_size": _BATCH,
        "net_params": {"autocast": torch.bfloat16},
    }


class Images:
    """MDDNet with parameters.

    Parameters
    ----------
    seed : int
        The seed.

    told : bool, default=True
        Whether it is told the categories.

    **params
        Of MDDNet.
    """

    def __init__(self, seed, told=True, **params):
        self.detector = MDDNet(random_state=seed, **params)
        self.told = told

    def fit(self, images):
        self.detector.set_params(**settings(images))
        self.detector.fit(images.train, images.categories if self.told else None)
        return self

    def maps(self, test):
        return self.detector.anomaly_map(test)

    def score(self, test):
        return self.detector.score_samples(test)
