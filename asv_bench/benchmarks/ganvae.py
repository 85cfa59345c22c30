"""GANVAE, its VAE alone, and PyOD's autoencoders."""

from pyod.models.auto_encoder import AutoEncoder
from pyod.models.vae import VAE

from benchmarks._template import DetectorBenchmark, MemoryBenchmark
from skad import GANVAE

DETECTORS = {
    "GANVAE": lambda: GANVAE(random_state=0),
    "GANVAE, gradient penalty": lambda: GANVAE(
        constraint="gradient_penalty", random_state=0
    ),
    "GANVAE, VAE only": lambda: GANVAE(term_weights=(1, 1, 0, 0), random_state=0),
    "PyOD's VAE": lambda: _WithScores(VAE(verbose=0)),
    "PyOD's AutoEncoder": lambda: _WithScores(AutoEncoder(verbose=0)),
}


class _WithScores:
    """PyOD's detector with the name of the scoring method that is timed."""

    def __init__(self, detector):
        self.detector = detector

    def fit(self, X):
        self.detector.fit(X)
        return self

    def score_samples(self, X):
        return self.detector.decision_function(X)


class GANVAETime(DetectorBenchmark):
    """Seconds to fit and to score."""

    params = (list(DETECTORS), [1_000, 20_000])
    param_names = ["detector", "n_samples"]

    def make_detector(self, name):
        return DETECTORS[name]()


class GANVAEMemory(MemoryBenchmark):
    """Peak memory of the process that fits and scores, data and imports included."""

    params = (list(DETECTORS), [1_000, 20_000])
    param_names = ["detector", "n_samples"]

    def make_detector(self, name):
        return DETECTORS[name]()
