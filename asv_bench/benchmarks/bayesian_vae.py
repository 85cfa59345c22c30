"""BayesianVAE: seconds to fit, to score and for the maps; peak memory."""

from skad import BayesianVAE
from skad._image import resized, to_size
from skad.datasets import make_brain_phantom

# Few epochs: the time of a fit is proportional to their number.
EPOCHS = 5


def make_images(n_images, size):
    """Return phantoms without lesions."""
    return make_brain_phantom(n_images, 0, size=size, random_state=0)[0]


class FitAndScore:
    """Over the number of images, and the size that the net sees."""

    params = ([64, 512], [32, 64])
    param_names = ["n_images", "image_size"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0
    timeout = 1800

    def setup(self, n_images, image_size):
        self.X = make_images(n_images, 64)
        self.detector = BayesianVAE(
            image_size=image_size, max_epochs=EPOCHS, random_state=0
        )
        self.fitted = BayesianVAE(image_size=image_size, max_epochs=1).fit(self.X[:32])

    def time_fit(self, n_images, image_size):
        self.detector.fit(self.X)

    def time_score_samples(self, n_images, image_size):
        self.fitted.score_samples(self.X)

    def time_predict_uncertainty(self, n_images, image_size):
        self.fitted.predict_uncertainty(self.X)


class Memory:
    """Peak memory of the process that fits and scores, imports included."""

    params = [64, 512]
    param_names = ["n_images"]

    def setup(self, n_images):
        self.X = make_images(n_images, 64)

    def peakmem_fit_and_score(self, n_images):
        BayesianVAE(max_epochs=1).fit(self.X).score_samples(self.X)


class Resizing:
    """Images to the net's size, and maps back."""

    params = [128, 512]
    param_names = ["size"]

    def setup(self, size):
        self.images = make_images(16, size)[..., None]
        self.maps = resized(self.images, (32, 32))

    def time_resized(self, size):
        resized(self.images, (32, 32))

    def time_to_size(self, size):
        to_size(self.maps, (size, size))
