"""CAnemon: cost per cell and time step, and its net beside a plain way of using it."""

import copy
import time

import numpy as np
import torch

from benchmarks._series import make_series
from skad import CAnemon
from skad._graph import nearest_nodes, pair_statistics
from skad._nets._canemon import NeighborLoss

N_STEPS, N_NEIGHBORS, WINDOW_SIZE, HORIZON = 200, 10, 24, 24
# Time steps of the fit that comes before what is measured.
N_FEW = 30
# Batches that the plain procedure, whose every row costs the same, is measured on.
N_MEASURED = 10


def make_cells(n_cells, n_steps=N_STEPS):
    """Return hourly rows of cells on a square: cell, hour, two coordinates, load."""
    place = np.random.default_rng(0).uniform(0, np.sqrt(n_cells), size=(n_cells, 2))
    cell = np.tile(np.arange(n_cells, dtype=float), n_steps)
    hour = np.repeat(np.arange(n_steps, dtype=float), n_cells)
    load = make_series(n_steps, n_cells).ravel()
    return np.column_stack([cell, hour, np.tile(place, (n_steps, 1)), load])


def make_detector(window_size=WINDOW_SIZE):
    """Return an unfitted detector that trains for one epoch."""
    return CAnemon(
        node=0,
        time=1,
        position=[2, 3],
        n_neighbors=N_NEIGHBORS,
        window_size=window_size,
        horizon=HORIZON,
        max_epochs=1,
        device="cpu",
        random_state=0,
    )


def seconds(function, *args):
    """Return those of the process, the better of two: other load counts little."""
    found = []
    for _ in range(2):
        start = time.process_time()
        function(*args)
        found.append(time.process_time() - start)
    return min(found)


class Cost:
    """Microseconds of one thread for a row, which is a cell at a time step."""

    params = ["100 x 24", "400 x 24", "1600 x 24", "400 x 48"]
    param_names = ["cells x window"]
    unit = "us"
    timeout = 1800

    def setup(self, size):
        torch.set_num_threads(1)
        n_cells, self.window_size = map(int, size.split(" x "))
        self.X = make_cells(n_cells)
        few = self.X[: n_cells * N_FEW]
        self.detector = make_detector(self.window_size).fit(few)

    def track_epoch(self, size):
        panel = self.detector._validate(self.X, reset=False)
        rows = self.detector._rows(panel)
        return self.per_row(self.detector.net_.partial_fit, rows)

    def track_fit_with_one_epoch(self, size):
        return self.per_row(make_detector(self.window_size).fit, self.X)

    def track_score_samples(self, size):
        return self.per_row(self.detector.score_samples, self.X)

    def per_row(self, function, *args):
        return 1e6 * seconds(function, *args) / len(self.X)


class Memory:
    """Peak memory with 1600 cells; of the process, with all that it has loaded."""

    params = ["data", "fit", "score"]
    param_names = ["step"]
    timeout = 1800

    def setup(self, step):
        torch.set_num_threads(1)
        self.X = make_cells(1600)
        few = self.X[: 1600 * N_FEW]
        self.detector = make_detector().fit(few)

    def peakmem_step(self, step):
        if step == "fit":
            self.detector.fit(self.X)
        elif step == "score":
            self.detector.score_samples(self.X)


class Ours:
    """All nodes of a time step are encoded once."""

    def __init__(self, detector, X):
        self.n_rows, self.net = len(X), detector.net_
        panel = detector._validate(X, reset=False)
        self.rows = detector._rows(panel)
        self.size = detector._batch_size(panel)

    def train(self):
        """Train for an epoch."""
        self.net.partial_fit(self.rows)

    def score(self):
        """Judge all rows."""
        return self.net.evaluate(self.rows, "judge", size=self.size)["estimate"]


class Plain:
    """Each target has a star of its own: its context and those of its neighbours."""

    def __init__(self, detector, X):
        panel = detector._validate(X, reset=False)
        scene = detector._network.scene(panel)
        self.n_nodes = panel.n_nodes
        self.n_rows = N_MEASURED * self.n_nodes
        own = np.arange(self.n_nodes)[:, np.newaxis]
        self.stars = torch.from_numpy(np.concatenate([own, scene.index], axis=1))
        self.pairs = torch.tensor(scene.pairs, dtype=torch.float32)
        self.seen = torch.from_numpy(~np.isnan(scene.channels))
        shown = np.nan_to_num(scene.channels)
        self.shown = torch.tensor(shown, dtype=torch.float32)
        parts = self.shown, self.seen.float()
        before = torch.zeros((WINDOW_SIZE + HORIZON - 1, *shown.shape[1:]))
        self.contexts = [
            torch.cat([before, part]).unfold(0, WINDOW_SIZE, 1) for part in parts
        ]
        self.net = copy.deepcopy(detector.net_.module_)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.002)

    def batch(self, rows):
        """Return stars as the net takes them: a target and its neighbours."""
        node = rows % self.n_nodes
        star, step = self.stars[node], (rows // self.n_nodes)[:, np.newaxis]
        values, masks = (part[step, star].flatten(2) for part in self.contexts)
        place = torch.arange(1, N_NEIGHBORS + 1)
        return {
            "values": values,
            "masks": masks,
            "attributes": torch.zeros((*star.shape, 0)),
            "readings": self.shown[step, star],
            "seen": self.seen[step, star],
            "index": place.expand(len(rows), 1, -1),
            "pairs": self.pairs[node, np.newaxis],
        }

    def train(self):
        """Train on some of the rows, in batches as large as those of `Ours`."""
        self.net.train()
        loss = NeighborLoss()
        for rows in torch.randperm(self.n_rows).split(self.n_nodes):
            self.optimizer.zero_grad()
            batch = self.batch(rows)
            loss(self.net(**batch), batch).backward()
            self.optimizer.step()

    def score(self):
        """Judge the first of the rows."""
        self.net.eval()
        with torch.inference_mode():
            found = [
                self.net.judge(self.batch(rows))["estimate"]
                for rows in torch.arange(self.n_rows).split(self.n_nodes)
            ]
        return torch.cat(found)[:, 0].double().numpy()


NETS = {"ours": Ours, "plain torch": Plain}


class Net:
    """Rows that the net trains on in a second, or judges, with one thread.

    There are as many rows in a batch, and as many steps of the optimizer for them.
    """

    params = list(NETS)
    param_names = ["net"]
    unit = "rows/s"
    timeout = 1800

    def setup(self, net):
        torch.set_num_threads(1)
        X = make_cells(400)
        detector = make_detector().fit(X[: 400 * N_FEW])
        self.net = NETS[net](detector, X)
        # The same weights say the same.
        few = [NETS[name](detector, X).score().reshape(-1, 2)[:400] for name in NETS]
        np.testing.assert_allclose(*few, atol=1e-5)

    def track_training(self, net):
        return self.net.n_rows / seconds(self.net.train)

    def track_scoring(self, net):
        return self.net.n_rows / seconds(self.net.score)


class Pairs:
    """Correlations and differences of 1600 cells and their ten neighbours."""

    params = ["skad", "NumPy"]
    param_names = ["library"]

    def setup(self, library):
        X = make_cells(1600)
        self.values = X[:, 4].reshape(N_STEPS, 1600)
        self.index = nearest_nodes(X[:1600, 2:4], N_NEIGHBORS, "euclidean")[0]
        # The first call compiles.
        found, expected = pair_statistics(self.values, self.index), self.by_numpy()
        np.testing.assert_allclose(found, expected, atol=1e-10)

    def time_statistics(self, library):
        if library == "skad":
            pair_statistics(self.values, self.index)
        else:
            self.by_numpy()

    def by_numpy(self):
        """Compute the same, where no reading is missing, with all pairs laid out."""
        series = self.values.T
        difference = np.abs(series[:, np.newaxis] - series[self.index]).mean(axis=2)
        centred = series - series.mean(axis=1, keepdims=True)
        centred /= np.linalg.norm(centred, axis=1, keepdims=True)
        correlation = np.einsum("nt,nkt->nk", centred, centred[self.index])
        return np.stack([correlation, difference], axis=2)
