"""Mixtures of normal distributions by expectation and maximisation, in one dimension.

Data come as bins, in order: what is fitted are their means, and the variance inside
them is added to that of the components, so that the moments are those of all values.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def fit_mixture(centers, variances, shares, mixture, least, n_iter, tol):
    """Fit a mixture from where it is.

    Parameters
    ----------
    centers, variances, shares : ndarray of shape (n_bins,), dtype float64
        Mean and variance of the values of each bin, and their share of all values.
    mixture : ndarray of shape (3, n_components), dtype float64
        Weights, means and standard deviations, which change.
    least : float
        The smallest standard deviation of a component.
    n_iter : int
        The most steps.
    tol : float
        What the mean log-likelihood must rise by in a step for another one.

    Returns
    -------
    likelihood : float
        The mean log-likelihood before the last step.
    """
    n_components = mixture.shape[1]
    sums = np.empty((3, n_components))
    densities = np.empty(n_components)
    before = -np.inf
    for _ in range(n_iter):
        likelihood = _expect(centers, variances, shares, mixture, sums, densities)
        _maximise(mixture, sums, least)
        if likelihood - before < tol:
            break
        before = likelihood
    return likelihood


@njit(cache=True, nogil=True)
def _expect(centers, variances, shares, mixture, sums, densities):
    """Sum shares, values and squares for each component; return the likelihood."""
    n_components = mixture.shape[1]
    sums[:] = 0
    likelihood = 0.0
    offsets = np.log(mixture[0] / mixture[2])
    rates = 1 / mixture[2]
    for i in range(centers.shape[0]):
        highest = -np.inf
        for k in range(n_components):
            z = (centers[i] - mixture[1, k]) * rates[k]
            densities[k] = offsets[k] - 0.5 * z * z
            highest = max(highest, densities[k])
        total = 0.0
        for k in range(n_components):
            densities[k] = np.exp(densities[k] - highest)
            total += densities[k]
        likelihood += shares[i] * (highest + np.log(total))
        for k in range(n_components):
            # From the mean as it was: squares of large numbers would cancel.
            part = shares[i] * densities[k] / total
            step = centers[i] - mixture[1, k]
            sums[0, k] += part
            sums[1, k] += part * step
            sums[2, k] += part * (step * step + variances[i])
    return likelihood - 0.5 * np.log(2 * np.pi)


@njit(cache=True, nogil=True)
def _maximise(mixture, sums, least):
    for k in range(mixture.shape[1]):
        share = max(sums[0, k], 1e-12)
        step = sums[1, k] / share
        mixture[0, k] = share
        mixture[1, k] += step
        mixture[2, k] = np.sqrt(max(sums[2, k] / share - step * step, least * least))
