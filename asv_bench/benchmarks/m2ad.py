"""M2AD: seconds to fit and to score, and its forecaster beside a plain one in torch."""

import time

import numpy as np
import pandas as pd
import torch
from sklearn.mixture import GaussianMixture
from torch import nn

from benchmarks._series import SeriesBenchmark, make_series
from skad import M2AD
from skad._densities import MixtureDensity
from skad._residuals import Residuals
from skad.forecasting import LSTMRegressor

N_ROWS, N_CHANNELS = 24_000, 38
# The released settings.
WINDOW_SIZE, WIDTH, BATCH_SIZE, LR = 100, 80, 32, 1e-3
# Rows that the plain procedure, whose every row costs the same, is measured on.
N_MEASURED = 640


class FitAndScore(SeriesBenchmark):
    """Over the number of rows and sensors; of one system."""

    def make_detector(self, **params):
        return M2AD(forecaster=LSTMRegressor(device="cpu", **params), random_state=0)


class PlainNet(nn.Module):
    """The released net: three layers, and what the last one says of the last row."""

    def __init__(self):
        super().__init__()
        options = {"batch_first": True}
        self.first = nn.LSTM(N_CHANNELS, WIDTH, 2, dropout=0.2, **options)
        self.second = nn.LSTM(WIDTH, WIDTH, **options)
        self.output = nn.Linear(WIDTH, N_CHANNELS)

    def forward(self, windows):
        return self.output(self.second(self.first(windows)[0])[0][:, -1])


class Plain:
    """A window for every row, all laid out at first, as the released code does."""

    def __init__(self, X):
        X = torch.tensor(X, dtype=torch.float32)
        starts = range(len(X) - WINDOW_SIZE)
        self.windows = torch.stack([X[i : i + WINDOW_SIZE] for i in starts])
        self.targets = X[WINDOW_SIZE:]
        self.net = PlainNet()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=LR)

    def train(self):
        """Train on some rows for an epoch."""
        self.net.train()
        rows = slice(N_MEASURED)
        parts = (x[rows].split(BATCH_SIZE) for x in (self.windows, self.targets))
        for windows, targets in zip(*parts, strict=True):
            self.optimizer.zero_grad()
            nn.functional.mse_loss(self.net(windows), targets).backward()
            self.optimizer.step()

    def score(self, batch_size):
        """Forecast some rows."""
        self.net.eval()
        with torch.inference_mode():
            for windows in self.windows[:N_MEASURED].split(batch_size):
                self.net(windows)


class Ours:
    """LSTMRegressor; each row is in two stretches."""

    n_epochs = 5

    def __init__(self, X):
        self.X = X
        self.fitted = self.fit(X[:1000])  # compiles

    def fit(self, X):
        regressor = LSTMRegressor(
            max_epochs=self.n_epochs, device="cpu", random_state=0
        )
        return regressor.fit(X[:-1], X[1:])

    def train(self):
        """Fit to all rows."""
        self.fit(self.X)

    def score(self, batch_size):
        """Forecast all rows in pieces."""
        state = None
        for first in range(0, N_ROWS, batch_size):
            rows = self.X[first : first + batch_size]
            _, state = self.fitted.predict_next(rows, state)


FORECASTERS = {"ours": Ours, "plain torch": Plain}


class Forecaster:
    """Rows that a forecaster trains on in a second, or forecasts, with one thread."""

    params = list(FORECASTERS)
    param_names = ["forecaster"]
    unit = "rows/s"
    timeout = 1800

    def setup(self, forecaster):
        torch.set_num_threads(1)
        self.n_rows = N_ROWS if forecaster == "ours" else N_MEASURED
        X = make_series(self.n_rows + WINDOW_SIZE, N_CHANNELS)
        self.forecaster = FORECASTERS[forecaster](X)

    def track_training(self, forecaster):
        n_epochs = getattr(self.forecaster, "n_epochs", 1)
        return n_epochs * self.rows_per_second(self.forecaster.train)

    def track_one_row_at_a_time(self, forecaster):
        return self.rows_per_second(self.forecaster.score, 1)

    def track_1024_rows_at_a_time(self, forecaster):
        return self.rows_per_second(self.forecaster.score, 1024)

    def rows_per_second(self, function, *args):
        # Seconds of the process: other load on the machine counts little.
        start = time.process_time()
        function(*args)
        return self.n_rows / (time.process_time() - start)


class Memory:
    """Peak memory of training on all rows of a system, and of scoring them."""

    params = list(FORECASTERS)
    param_names = ["forecaster"]
    timeout = 1800

    def setup(self, forecaster):
        torch.set_num_threads(1)
        self.X = make_series(N_ROWS, N_CHANNELS)

    def peakmem_train_and_score(self, forecaster):
        made = FORECASTERS[forecaster](self.X)
        made.train()
        made.score(1024)


class Area:
    """The areas of ten rows of errors, without a mean."""

    params = ["cumulative sums", "rolling.apply"]
    param_names = ["way"]
    timeout = 1800

    def setup(self, way):
        self.errors = make_series(N_ROWS, N_CHANNELS)
        self.residuals = Residuals("area", 0.0)
        self.residuals.fit(self.errors, np.array([0, N_ROWS]))

    def time_areas(self, way):
        if way == "cumulative sums":
            self.residuals(self.errors, self.residuals.start())
        else:
            pd.DataFrame(self.errors).rolling(10).apply(np.trapezoid, raw=True)


class Mixtures:
    """The mixtures of one to five normal distributions of sensors, the best by BIC."""

    params = [["skad", "scikit-learn"], [1, N_CHANNELS]]
    param_names = ["library", "n_sensors"]
    timeout = 1800

    def setup(self, library, n_sensors):
        if library == "scikit-learn" and n_sensors > 1:
            raise NotImplementedError  # minutes
        self.sizes = np.abs(make_series(N_ROWS, n_sensors))
        MixtureDensity(self.sizes[:100], two_sided=False)  # compiles

    def time_fit(self, library, n_sensors):
        if library == "skad":
            MixtureDensity(self.sizes, two_sided=False)
            return
        for n_components in range(1, 6):
            mixture = GaussianMixture(n_components, random_state=0).fit(self.sizes)
            mixture.bic(self.sizes)
