"""What detectors of series have to beat: scores without content, and the classics.

Each is a function of the training part, the test part and a seed, and returns a score
for each row of the test part, the higher the more abnormal. Channels are standardised
by the training part, and clipped at ten standard deviations, for all of them.
"""

from importlib import import_module

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from skad._series import Series, rows_from_windows
from skad._series_scores import ErrorScale, WindowLevel, smoothed

WINDOW, LAGS, SMOOTHING = 40, 10, 20
# Windows that window PCA and k-means learn from.
_N_WINDOWS = 4000


def random(train, test, seed):
    """Return noise."""
    return np.random.default_rng(seed).random(len(test))


def clock(train, test, seed, period=100):
    """Return one alarm per hundred rows, at a time that is drawn once."""
    return (np.arange(len(test)) % period == seed * 37 % period).astype(float)


def row_number(train, test, seed):
    """Return how far into the file a row is."""
    return np.arange(len(test), dtype=float)


def isolation_forest_of_windows(train, test, seed):
    """Score by PyOD's wrapper of windows, which has no seed of its own."""
    return _pyod("ts_od", "TimeSeriesOD", train, test)


def window_pca(train, test, seed):
    """Reconstruct windows from the components that hold 90 % of the variance."""
    squares = _reconstruction(train)
    return rows_from_windows(
        lambda windows: squares(windows).mean(axis=(1, 2)), _series(test), WINDOW
    )


def window_pca_calibrated(train, test, seed):
    """Do the same, with what skad's detectors do with the errors of their nets."""
    squares, parts = _reconstruction(train), (_series(train), _series(test))
    errors = [np.sqrt(rows_from_windows(squares, part, WINDOW)) for part in parts]
    excess = ErrorScale(parts[0], errors[0]).excess(errors[1]).mean(axis=1)
    level = WindowLevel(parts[0], 100).excess(parts[1]).mean(axis=1)
    return smoothed(parts[1], excess, SMOOTHING) + level


def k_means_of_windows(train, test, seed):
    """Take the distance of windows from the nearest of ten centres."""
    rows = _windows_to_learn(train)
    n_clusters = min(10, len(np.unique(rows, axis=0)))
    model = KMeans(n_clusters, n_init=1, random_state=seed).fit(rows)

    def distance(windows):
        return model.transform(windows.reshape(len(windows), -1)).min(axis=1)

    return rows_from_windows(distance, _series(test), WINDOW)


def ridge_forecaster(train, test, seed):
    """Smooth the absolute errors of a linear forecast from ten rows."""
    model = Ridge(100.0).fit(_lagged(train), train[LAGS:])
    forecast = model.predict(_lagged(test)).reshape(len(test) - LAGS, -1)
    errors = np.abs(test[LAGS:] - forecast).mean(axis=1)
    errors = np.concatenate([np.repeat(errors[:1], LAGS), errors])
    return smoothed(_series(test), errors, SMOOTHING)


def pyod_rows(module, name, **params):
    """Return a function that scores rows by a detector of PyOD."""

    def score(train, test, seed):
        seeded = {"random_state": seed} if name == "IForest" else {}
        return _pyod(module, name, train, test, **seeded, **params)

    return score


def _standardised(score):
    """Return the function of parts that are not standardised yet."""

    def of_raw(train, test, seed):
        spread = train.std(axis=0)
        spread = np.where(spread < 1e-8, 1, spread)
        parts = [(part - train.mean(axis=0)) / spread for part in (train, test)]
        return score(*(np.clip(part, -10, 10) for part in parts), seed)

    return of_raw


def _pyod(module, name, train, test, **params):
    detector = getattr(import_module(f"pyod.models.{module}"), name)(**params)
    return np.asarray(detector.fit(train).decision_function(test))


def _reconstruction(train):
    """Return the squared errors of windows as a function of them."""
    # scikit-learn finds a share of the variance only among all components.
    pca = PCA(0.9, svd_solver="full").fit(_windows_to_learn(train))

    def squares(windows):
        flat = windows.reshape(len(windows), -1)
        found = pca.inverse_transform(pca.transform(flat))
        return ((flat - found) ** 2).reshape(windows.shape)

    return squares


def _series(x):
    return Series(x, np.array([0, len(x)]))


def _windows_to_learn(train):
    windows = _series(train).windows(WINDOW)
    kept = windows[:: max(1, len(windows) // _N_WINDOWS)]
    return kept.reshape(len(kept), -1)


def _lagged(x):
    windows = _series(x).windows(LAGS)[:-1]
    return windows.reshape(len(windows), -1)


# PyOD's MatrixProfile cannot score new rows; its KShape and SAND take minutes for one
# entity of some thousand rows.
CONTENT_FREE = {"random": random, "clock": clock, "row number": row_number}
CLASSICS = {
    "PCA of windows": window_pca,
    "PCA of windows, calibrated": window_pca_calibrated,
    "k-means on windows": k_means_of_windows,
    "ridge forecaster, smoothed": ridge_forecaster,
}
PYOD = {
    "isolation forest": pyod_rows("iforest", "IForest"),
    "kNN": pyod_rows("knn", "KNN"),
    "LOF": pyod_rows("lof", "LOF"),
    "PyOD isolation forest of windows": isolation_forest_of_windows,
    "PyOD SpectralResidual": pyod_rows("ts_spectral_residual", "SpectralResidual"),
    "PyOD LSTMAD, 10 epochs": pyod_rows("ts_lstm", "LSTMAD", epochs=10),
    "PyOD AnomalyTransformer, small": pyod_rows(
        *("ts_anomaly_transformer", "AnomalyTransformer"),
        **{"d_model": 64, "n_heads": 4, "epochs": 3, "step": 20},
    ),
}
STANDARDISED = {
    name: _standardised(score) for name, score in {**CLASSICS, **PYOD}.items()
}
