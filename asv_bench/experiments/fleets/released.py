"""The procedure of M2AD's authors, written down in torch in the plainest way.

A window of a hundred rows is taken for each row to forecast, and the LSTM reads all of
it anew, in training and in scoring.
"""

import time

import numpy as np
import pandas as pd
import torch
from scipy.stats import gamma
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

_WINDOW, _HIDDEN, _BATCH = 100, 80, 32
# The number of epochs in the authors' code.
_N_EPOCHS = 35


class _Forecaster(nn.Module):
    def __init__(self, n_sensors):
        super().__init__()
        options = {"batch_first": True}
        self.first = nn.LSTM(n_sensors, _HIDDEN, 2, dropout=0.2, **options)
        self.second = nn.LSTM(_HIDDEN, _HIDDEN, **options)
        self.linear = nn.Linear(_HIDDEN, n_sensors)

    def forward(self, windows):
        hidden, _ = self.second(self.first(windows)[0])
        return self.linear(hidden[:, -1])


def released(train, test, batch_size=1):
    """Print the seconds of an epoch, of the scores, and of as many epochs as usual."""
    scale = np.ptp(train, axis=0)
    train, test = ((x - train.min(axis=0)) / scale for x in (train, test))
    net = _Forecaster(train.shape[1])
    epoch = _seconds(_train, net, train[: int(0.8 * len(train))])
    score = _seconds(_scores, net, train, test, batch_size)
    print(
        f"released procedure, one system of {len(train)} rows, in torch: "
        f"{epoch:.1f} s for an epoch of {_N_EPOCHS}, {score:.1f} s for the scores of "
        f"both parts in batches of {batch_size}; together "
        f"{_N_EPOCHS * epoch + score:.0f} s if all epochs took as long"
    )


def _windows(values):
    values = torch.as_tensor(values, dtype=torch.float32)
    return values[:-1].unfold(0, _WINDOW, 1).movedim(2, 1), values[_WINDOW:]


def _train(net, values):
    loader = DataLoader(TensorDataset(*_windows(values)), _BATCH, shuffle=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for windows, targets in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(net(windows), targets).backward()
        optimizer.step()


def _scores(net, train, test, batch_size):
    net.eval()
    usual, new = (_errors(net, part, batch_size) for part in (train, test))
    evidence = np.zeros((2, max(len(usual), len(new))))
    for known, error in zip(usual.T, new.T, strict=True):
        model = GaussianMixture(1).fit(known[:, np.newaxis])
        mean, spread = model.means_[0, 0], np.sqrt(model.covariances_.ravel()[0])
        for row, values in zip(evidence, (known, error), strict=True):
            p = torch.special.ndtr(torch.as_tensor((mean - values) / spread))
            row[: len(values)] -= 2 * np.log(np.maximum(p.numpy(), 1e-16))
    usual, new = evidence[0, : len(usual)], evidence[1, : len(new)]
    shape, scale = usual.mean() ** 2 / usual.var(), usual.var() / usual.mean()
    return gamma.sf(new, shape, scale=scale)


def _errors(net, values, batch_size):
    loader = DataLoader(TensorDataset(*_windows(values)), batch_size)
    with torch.inference_mode():
        found = [(net(windows) - targets).abs() for windows, targets in loader]
    return pd.DataFrame(torch.cat(found).numpy()).ewm(com=10).mean().to_numpy()


def _seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start
