"""GenCLIP: seconds to train a small CLIP, to fit and to score; peak memory."""

from skad import GenCLIP
from skad.datasets import make_captioned_surfaces, make_surfaces
from skad.vision import train_clip

# Few epochs: the time of a fit is proportional to their number.
EPOCHS = 2
N_CAPTIONED = 64


def make_clip():
    """Return a small CLIP that learned next to nothing."""
    images, captions = make_captioned_surfaces(N_CAPTIONED, random_state=0)
    return train_clip(images, captions, max_epochs=1, random_state=0)


def make_images(n_images):
    """Return surfaces, half of them with a defect, labels and masks."""
    half = n_images // 2
    X, y, masks, _ = make_surfaces(half, half, random_state=0)
    return X, y, masks


def make_detector(n_vision_tokens):
    """Return a detector that is trained for a few epochs."""
    return GenCLIP(
        make_clip(),
        n_vision_tokens=n_vision_tokens,
        max_epochs=EPOCHS,
        random_state=0,
    )


class FitAndScore:
    """Over the number of images, and of the tokens that each layer adds for one."""

    params = ([64, 256], [0, 2])
    param_names = ["n_images", "n_vision_tokens"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0
    timeout = 1800

    def setup(self, n_images, n_vision_tokens):
        self.X, self.y, self.masks = make_images(n_images)
        self.detector = make_detector(n_vision_tokens)
        self.fitted = make_detector(n_vision_tokens).fit(
            self.X[::4], self.y[::4], masks=self.masks[::4]
        )

    def time_fit(self, n_images, n_vision_tokens):
        self.detector.fit(self.X, self.y, masks=self.masks)

    def time_fit_without_cache(self, n_images, n_vision_tokens):
        self.detector.set_params(cache_size=0)
        self.detector.fit(self.X, self.y, masks=self.masks)

    def time_fit_without_labels(self, n_images, n_vision_tokens):
        self.detector.fit(self.X)

    def time_score_samples(self, n_images, n_vision_tokens):
        self.fitted.score_samples(self.X)

    def time_anomaly_map(self, n_images, n_vision_tokens):
        self.fitted.anomaly_map(self.X)


class References:
    """Over the number of reference images."""

    params = [4, 32]
    param_names = ["n_references"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0

    def setup(self, n_references):
        self.X, y, masks = make_images(128)
        self.normal = self.X[y == 1][:n_references]
        self.fitted = make_detector(0).fit(self.X, y, masks=masks)
        self.fitted.set_references(self.normal)

    def time_set_references(self, n_references):
        self.fitted.set_references(self.normal)

    def time_score_samples(self, n_references):
        self.fitted.score_samples(self.X)


class TrainCLIP:
    """Over the height and width of images."""

    params = [32, 64]
    param_names = ["image_size"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0

    def setup(self, image_size):
        self.images, self.captions = make_captioned_surfaces(
            256, size=image_size, random_state=0
        )

    def time_train_clip(self, image_size):
        train_clip(
            self.images,
            self.captions,
            image_size=image_size,
            max_epochs=1,
            random_state=0,
        )


class Memory:
    """Peak memory of the process that fits and scores, imports included."""

    params = [64, 256]
    param_names = ["n_images"]
    timeout = 1800

    def setup(self, n_images):
        self.X, self.y, self.masks = make_images(n_images)

    def peakmem_fit_and_score(self, n_images):
        detector = make_detector(2).fit(self.X, self.y, masks=self.masks)
        detector.score_samples(self.X)
