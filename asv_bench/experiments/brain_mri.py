"""Measure BayesianVAE on images; prints the tables of the docs.

    python asv_bench/experiments/brain_mri.py brain FOLDER
    python asv_bench/experiments/brain_mri.py ablations FOLDER
    python asv_bench/experiments/brain_mri.py uncertainty FOLDER
    python asv_bench/experiments/brain_mri.py tile FOLDER
    python asv_bench/experiments/brain_mri.py phantom

FOLDER holds, at any depth, brain_mri_128.npz and magnetic_tile_96.npz with images X and
y (1: anomaly); without it the environment variable SKAD_DATA names it.

Of near duplicates one is kept. A split trains on 65 % of the normal images; the others
and all anomalous images are scored.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.special import ndtr
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from skad import BayesianVAE
from skad._image import resized
from skad.datasets import make_brain_phantom
from skad.metrics import average_precision_score, roc_auc_score

ABLATIONS = {
    "default": {},
    "no attention": {"n_heads": 0},
    "no dropout": {"dropout": 0},
    "no variance head": {"predict_variance": False},
    "no uncertainty in the score": {"uncertainty_weight": 0},
    "no mirror image": {"mirror": False},
    "no augmentation": {"augment": False},
    "no noise in training": {"noise": 0},
    "no normalisation": {"normalize": False},
    "3 members, no dropout": {"n_members": 3, "dropout": 0},
}
UNTRAINED = {"max_epochs": 1, "lr": 1e-12}
TRAINING = {
    "BayesianVAE": {},
    "untrained": UNTRAINED,
    "BayesianVAE, background=30": {"background": 30},
    "untrained, background=30": {"background": 30, **UNTRAINED},
    "BayesianVAE, no mirror image": {"mirror": False},
    "untrained, no mirror image": {"mirror": False, **UNTRAINED},
}


def read(folder, name):
    """Return images and labels, 1 for normal images and -1 for anomalous ones."""
    path = next(Path(folder).rglob(name), None)
    if path is None:
        raise FileNotFoundError(f"{folder} holds no {name}.")
    with np.load(path) as arrays:
        return arrays["X"], np.where(arrays["y"] == 1, -1, 1)


def distinct(X, y, most=0.95):
    """Keep one of the images that correlate by more than `most`."""
    rows = X.reshape(len(X), -1).astype(float)
    correlation = np.corrcoef(rows)
    kept = []
    for i in range(len(X)):
        if not kept or correlation[i, kept].max() <= most:
            kept.append(i)
    return X[kept], y[kept]


def splits(X, y, n_splits, n_train=None, n_test=None):
    """Yield training images, test images, and the labels of the latter."""
    anomalous = np.flatnonzero(y == -1)
    for seed in range(n_splits):
        normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 1))
        n = n_train or round(0.65 * len(normal))
        test = np.r_[normal[n:][:n_test], anomalous]
        yield X[normal[:n]], X[test], y[test]


def pixels(X, size=16):
    """Return small images as rows."""
    return resized(X[..., np.newaxis], (size, size)).reshape(len(X), -1)


def neighbours(train, test):
    """Score by the mean distance to the three nearest training images."""
    nearest = NearestNeighbors(n_neighbors=3).fit(train)
    return -nearest.kneighbors(test)[0].mean(axis=1)


def components(train, test):
    """Score by the error of a reconstruction from 30 principal components."""
    pca = PCA(30, random_state=0).fit(train)
    error = test - pca.inverse_transform(pca.transform(test))
    return -np.square(error).mean(axis=1)


def own_contrast(rows):
    """Bring each image to mean 0 and deviation 1."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / rows.std(axis=1, keepdims=True)


def asymmetry(X):
    """Score by the largest differences from the mirror image, at the VAE's scale."""
    small = own_contrast(pixels(X, 32)).reshape(-1, 32, 32)
    error = np.abs(uniform_filter(small - small[:, :, ::-1], (0, 5, 5)))
    return -np.sort(error.reshape(len(X), -1), axis=1)[:, -51:].mean(axis=1)


def controls(train, test):
    """Return the scores of what needs no net."""
    a, b = pixels(train), pixels(test)
    forest = IsolationForest(random_state=0).fit(a)
    return {
        "kNN, 16 x 16 pixels": neighbours(a, b),
        "kNN, own contrast": neighbours(own_contrast(a), own_contrast(b)),
        "PCA, 16 x 16 pixels": components(a, b),
        "PCA, own contrast": components(own_contrast(a), own_contrast(b)),
        "isolation forest": forest.score_samples(b),
        "mean intensity": -test.mean(axis=(1, 2)),
        "99th percentile": -np.percentile(test, 99, axis=(1, 2)),
        "area brighter than 30": -(test > 30).mean(axis=(1, 2)),
        "difference from the mirror image": asymmetry(test),
    }


def show(rows):
    """Print the mean and the values of each split."""
    for name, values in rows.items():
        auroc, precision, *seconds = np.transpose(values)
        each = " ".join(f"{value:.3f}" for value in auroc)
        took = f"  {np.mean(seconds):.1f} s to fit" if seconds else ""
        print(
            f"{name:32s} AUROC {auroc.mean():.3f} ({each})  AP {precision.mean():.3f}"
            + took,
            flush=True,
        )


def measured(y, scores):
    """Return AUROC and average precision."""
    return [roc_auc_score(y, scores), average_precision_score(y, scores)]


def compare(detectors, data, with_controls=True):
    """Print detectors, and what needs no net, over splits."""
    data = list(data)
    if with_controls:
        rows = {}
        for train, test, y in data:
            for name, scores in controls(train, test).items():
                rows.setdefault(name, []).append(measured(y, scores))
        show(rows)
    for name, params in detectors.items():
        values = []
        for seed, (train, test, y) in enumerate(data):
            start = time.perf_counter()
            detector = BayesianVAE(random_state=seed, **params).fit(train)
            seconds = time.perf_counter() - start
            values.append([*measured(y, detector.score_samples(test)), seconds])
        show({name: values})


def brain(folder, n_splits):
    """Compare with what needs no net, and with nets that are not trained."""
    X, y = distinct(*read(folder, "brain_mri_128.npz"))
    print(f"{np.sum(y == 1)} normal and {np.sum(y == -1)} anomalous images")
    data = list(splits(X, y, n_splits))
    compare(TRAINING, data)


def ablations(folder, n_splits):
    """Leave out one part after the other."""
    X, y = distinct(*read(folder, "brain_mri_128.npz"))
    compare(ABLATIONS, splits(X, y, n_splits), with_controls=False)


def tile(folder, n_splits):
    """Compare on surfaces of magnetic tiles; 150 images without defect to train on."""
    X, y = read(folder, "magnetic_tile_96.npz")
    detectors = {"BayesianVAE": {}, "no augmentation": {"augment": False}}
    compare(detectors, splits(X, y, n_splits, 150, 200))


def phantom(folder, n_splits):
    """Ask how well planted lesions are found, and located."""
    areas = []
    for seed in range(n_splits):
        # Fainter lesions than by default.
        X, y, masks = make_brain_phantom(
            120, 40, size=64, lesion_contrast=(0.1, 0.35), random_state=seed
        )
        train, test = slice(80), slice(80, None)
        detector = BayesianVAE(random_state=seed).fit(X[train])
        maps, inside = detector.anomaly_map(X[-40:]), masks[-40:]
        pixel = roc_auc_score(np.where(inside, -1, 1).ravel(), -maps.ravel())
        scores = detector.score_samples(X[test]), asymmetry(X[test])
        areas.append([roc_auc_score(y[test], values) for values in scores] + [pixel])
    image, mirror, pixel = np.mean(areas, axis=0)
    print(f"image AUROC {image:.3f}, pixel AUROC {pixel:.3f}")
    print(f"difference from the mirror image: image AUROC {mirror:.3f}")


def uncertainty(folder, n_splits):
    """Ask what the uncertainty is good for: risk-coverage, and calibration."""
    X, y = distinct(*read(folder, "brain_mri_128.npz"))
    small = resized(X[..., np.newaxis], (32, 32))[:, 0]
    risks, calibration, quintiles = {}, [], []
    for seed, (train, test, labels) in enumerate(splits(small, y, n_splits)):
        detector = BayesianVAE(random_state=seed).fit(train)
        for name, values in risk_coverage(detector, test, labels).items():
            risks.setdefault(name, []).append(values)
        normal = test[labels == 1]
        calibration.append([calibrated(detector, rows) for rows in (train, normal)])
        quintiles.append(by_prediction(detector, normal))
    print("error rate of predict at coverage 1, .8, .6, .4:")
    for name, values in risks.items():
        print(f"  {name:24s}", np.mean(values, axis=0).round(3))
    print("share of pixels within 1 and 2 deviations, mean of z^2, rank correlation")
    for name, values in zip(
        ("training images", "new normal images"), np.mean(calibration, 0), strict=True
    ):
        print(f"  {name:24s}", values.round(3))
    print("new normal images, fifths by predicted deviation: predicted, found")
    print(np.mean(quintiles, axis=0).round(1))


def risk_coverage(detector, X, y):
    """Return the error rate among the images that are doubted least."""
    scores, std = detector.score_samples(X, return_std=True)
    decision = scores - detector.offset_
    wrong = detector.predict(X) != y
    doubts = {
        "chance to cross": ndtr(-np.abs(decision) / std),
        "near the threshold": -np.abs(decision),
        "std": std,
    }
    curves = {}
    for name, doubt in doubts.items():
        order = wrong[np.argsort(doubt, kind="stable")]
        counts = (np.array([1, 0.8, 0.6, 0.4]) * len(y)).astype(int)
        curves[name] = np.cumsum(order)[counts - 1] / counts
    return curves


def errors_and_variances(detector, X):
    """Return squared errors and predicted variances of all pixels."""
    squares = (X - detector.reconstruct(X)) ** 2
    return squares.ravel(), detector.predict_uncertainty(X).total.ravel()


def calibrated(detector, X):
    """Return how well the predicted variances fit the errors."""
    squares, variance = errors_and_variances(detector, X)
    z2 = squares / variance
    rank = spearmanr(squares, variance).statistic
    return np.array([np.mean(z2 < 1), np.mean(z2 < 4), z2.mean(), rank])


def by_prediction(detector, X):
    """Return predicted and found deviations in fifths of the pixels."""
    squares, variance = errors_and_variances(detector, X)
    fifths = np.array_split(np.argsort(variance), 5)
    return np.sqrt([[variance[f].mean(), squares[f].mean()] for f in fifths])


def main():
    """Run the experiment that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    experiments = (brain, ablations, uncertainty, tile, phantom)
    known = {experiment.__name__: experiment for experiment in experiments}
    parser.add_argument("name", choices=known)
    parser.add_argument("folder", nargs="?", default=os.environ.get("SKAD_DATA"))
    parser.add_argument("--splits", type=int, default=5)
    args = parser.parse_args()
    if args.folder is None and args.name != "phantom":
        parser.error("name a folder, or set SKAD_DATA")
    known[args.name](args.folder, args.splits)


if __name__ == "__main__":
    main()
