"""Nets whose features detectors look at, and the detectors that do."""

from functools import partial

import torch
from experiments.images.images import as_tensor
from experiments.images.on_features import Embedded, PatchNeighbors, PlaceGaussian
from experiments.images.variants import PLAIN, Images, settings
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.pca import PCA

from skad import MDDNet
from skad._nets._pyramids import SmallPyramid

SIZE, CHANNELS = 96, (16, 32, 64)


def random_teacher(images, seed):
    """Return a pyramid that knows of the images only how far its values spread."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pyramid = SmallPyramid(CHANNELS)
    for module in pyramid.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # means over all batches
    with torch.no_grad():
        for batch in as_tensor(images.train, min(SIZE, images.train.shape[1])).split(
            64
        ):
            pyramid(batch.expand(-1, 3, -1, -1))
    # Images are as the pyramid saw them: from 0 to 1.
    pyramid.mean, pyramid.std = (0.0,) * 3, (1.0,) * 3
    return pyramid.eval()


def own_teacher(images, seed):
    """Return the pyramid that MDDNet trains itself where it is given none."""
    detector = MDDNet(
        channels=CHANNELS,
        image_size=SIZE,
        random_state=seed,
        **{**settings(images), "max_epochs": 1},
    )
    teacher = detector.fit(images.train, images.categories)._get_teacher()
    pyramid = teacher.pyramid
    pyramid.mean, pyramid.std = teacher.mean.flatten(), teacher.std.flatten()
    return pyramid


TEACHERS = {"random": random_teacher, "self-trained": own_teacher}


def _embedded(make):
    return lambda seed, teacher: Embedded(make(seed), teacher, SIZE)


ON_TEACHER = {
    "MDDNet": lambda seed, teacher: Images(seed, backbone=teacher),
    "reverse distillation": lambda seed, teacher: Images(
        seed, backbone=teacher, **PLAIN
    ),
    "kNN of patches": partial(PatchNeighbors, size=SIZE),
    "Gaussian of each place": partial(PlaceGaussian, size=SIZE),
    "IForest": _embedded(lambda seed: IForest(random_state=seed)),
    "KNN": _embedded(lambda seed: KNN()),
    "LOF": _embedded(lambda seed: LOF()),
    "ECOD": _embedded(lambda seed: ECOD()),
    "PCA": _embedded(lambda seed: PCA(random_state=seed)),
}
