"""MiddleFramePredictor: seconds to fit, to score and for the maps; peak memory."""

from skad import MiddleFramePredictor
from skad.datasets import make_moving_digits

# Few epochs: the time of a fit is proportional to their number.
EPOCHS = 2


def make_frames(n_frames, size):
    """Return a video without anomalies."""
    X, _, _, _ = make_moving_digits(
        1, n_frames, size=size, anomaly_share=0, random_state=0
    )
    return X


def make_detector(size):
    """Return a detector that is trained for a few epochs."""
    return MiddleFramePredictor(
        image_size=size, max_clips=64, max_epochs=EPOCHS, random_state=0
    )


class FitAndScore:
    """Over the number of frames, and their size."""

    params = ([100, 400], [32, 64])
    param_names = ["n_frames", "size"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0
    timeout = 1800

    def setup(self, n_frames, size):
        self.X = make_frames(n_frames, size)
        self.detector = make_detector(size)
        self.fitted = make_detector(size).fit(self.X[:50])

    def time_fit(self, n_frames, size):
        self.detector.fit(self.X)

    def time_score_samples(self, n_frames, size):
        self.fitted.score_samples(self.X)

    def time_anomaly_map(self, n_frames, size):
        self.fitted.anomaly_map(self.X)


class Memory:
    """Peak memory of the process that fits and scores, imports included."""

    params = ([100, 400], [32, 64])
    param_names = ["n_frames", "size"]
    timeout = 1800

    def peakmem_fit_and_score(self, n_frames, size):
        X = make_frames(n_frames, size)
        make_detector(size).fit(X).score_samples(X)
