"""MDDNet: seconds to fit, to score and for the maps; peak memory."""

from skad import MDDNet
from skad.datasets import make_surfaces

# Few epochs: the time of a fit is proportional to their number.
EPOCHS = 2


def make_images(n_images, size):
    """Return surfaces without defects, and their kinds."""
    X, _, _, kinds = make_surfaces(n_images, 0, size=size, random_state=0)
    return X, kinds


def make_detector(image_size):
    """Return a detector that is trained for a few epochs."""
    return MDDNet(
        image_size=image_size,
        backbone_epochs=EPOCHS,
        max_epochs=EPOCHS,
        random_state=0,
    )


class FitAndScore:
    """Over the number of images, and their size."""

    params = ([64, 256], [32, 64])
    param_names = ["n_images", "image_size"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0
    timeout = 1800

    def setup(self, n_images, image_size):
        self.X, self.kinds = make_images(n_images, image_size)
        self.detector = make_detector(image_size)
        self.fitted = make_detector(image_size).fit(self.X[:32], self.kinds[:32])

    def time_fit(self, n_images, image_size):
        self.detector.fit(self.X, self.kinds)

    def time_score_samples(self, n_images, image_size):
        self.fitted.score_samples(self.X)

    def time_anomaly_map(self, n_images, image_size):
        self.fitted.anomaly_map(self.X)

    def time_transform(self, n_images, image_size):
        self.fitted.transform(self.X)


class Memory:
    """Peak memory of the process that fits and scores, imports included."""

    params = ([64, 256], [32, 64])
    param_names = ["n_images", "image_size"]
    timeout = 1800

    def setup(self, n_images, image_size):
        self.X, self.kinds = make_images(n_images, image_size)

    def peakmem_fit_and_score(self, n_images, image_size):
        make_detector(image_size).fit(self.X, self.kinds).score_samples(self.X)
