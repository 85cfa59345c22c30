"""The training of a net by an estimator, and the base of the detectors that do so."""

from contextlib import contextmanager
from copy import deepcopy
from inspect import signature
from numbers import Integral, Real
from threading import RLock

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import validate_data
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit

from skad._base import BaseDetector
from skad._nets._net import DetectorNet, ProgressBar
from skad._nets._rows import Rows

# torch's layers and dropout know only the one global generator, which fits in
# several threads would otherwise draw from in turn.
_GENERATOR = RLock()

_OWN = frozenset(
    ["module", "criterion", "max_epochs", "batch_size", "lr", "device", "verbose"]
)


class TrainingMixin:
    """Mixin for estimators that train a net.

    An estimator implements ``_make_module(data)``, which returns an ``nn.Module``, and
    ``_rows(data)``, which returns what batches are taken from, and names its loss in
    ``_criterion``. It may learn the scale of the data in ``_prepare(data)``, say in
    ``_valid_split(seed)`` which rows early stopping holds out and in
    ``_batch_size(data)`` how many items a batch has where these are no rows, and name a
    net with another training step in ``_net_cls``. What ``data`` are is its own affair.

    Its constructor takes all parameters in ``_parameter_constraints``.
    """

    _parameter_constraints: dict = {
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "net_params": [dict, None],
    }

    _net_cls = DetectorNet

    def _trained(self, data, net=None):
        """Return a trained net; one that is given is trained further."""
        device, seed = self._device_and_seed()
        with seeded(seed, device):
            if net is None:
                net = self._begun(data, device, seed)
            else:
                size = self._batch_size(data)
                net.set_params(lr=self.lr, max_epochs=self.max_epochs, batch_size=size)
            net.partial_fit(self._training_rows(data))
        self.n_iter_ = len(net.history)
        self.history_ = [_losses(epoch) for epoch in net.history]
        return net

    def _untrained(self, data):
        """Return a net as it is before it is trained."""
        device, seed = self._device_and_seed()
        with seeded(seed, device):
            net = self._begun(data, device, seed)
        self.n_iter_, self.history_ = 0, []
        return net

    def _device_and_seed(self):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return chosen_device(self.device), seed

    def _begun(self, data, device, seed):
        self._prepare(data)
        module, size = self._make_module(data), self._batch_size(data)
        return self._make_net(module, device, seed, size).initialize()

    def _prepare(self, data):
        """Learn what the net's input needs; not again when training goes on."""

    def _training_rows(self, data):
        """Return what training batches are taken from, where not the rows as such."""
        return self._rows(data)

    def _batch_size(self, data):
        """Return how many items of ``_rows(data)`` make a batch."""
        return self.batch_size

    def _valid_split(self, seed):
        """Return what holds rows out, as skorch's net takes it."""
        return ValidSplit(self.validation_fraction, random_state=seed)

    def _make_net(self, module, device, seed, batch_size):
        given = self._checked_net_params()
        # Copies: skorch would initialise and empty what the caller has.
        callbacks = [*self._callbacks(), *deepcopy(given.pop("callbacks", None) or [])]
        if self.n_iter_no_change is not None:
            given.setdefault("train_split", self._valid_split(seed))
        return self._net_cls(
            module,
            self._criterion,
            max_epochs=self.max_epochs,
            batch_size=batch_size,
            lr=self.lr,
            device=device,
            verbose=int(self.verbose > 1),
            callbacks=callbacks,
            **given,
        )

    def _checked_net_params(self):
        given = dict(self.net_params or {})
        known = {*signature(NeuralNet).parameters, *signature(DetectorNet).parameters}
        free = sorted(known - _OWN - {"kwargs"})
        wrong = [key for key in given if "__" not in key and key not in free]
        if wrong:
            raise ValueError(
                f"net_params of {type(self).__name__} has the key {wrong[0]!r}; "
                f"allowed are {', '.join(free)}, and their parameters such as "
                "optimizer__weight_decay."
            )
        return given

    def _callbacks(self):
        callbacks = []
        if self.n_iter_no_change is not None:
            # Any improvement counts: skorch's relative threshold calls a worse
            # loss an improvement where losses are negative.
            callbacks.append(
                EarlyStopping(
                    patience=self.n_iter_no_change,
                    threshold=0,
                    threshold_mode="abs",
                    load_best=True,
                )
            )
        if self.verbose == 1:
            callbacks.append(ProgressBar())
        return callbacks


class BaseDeepDetector(TrainingMixin, BaseDetector):
    """Base class of the detectors that train a net.

    A leaf implements what `TrainingMixin` asks for, except ``_rows``: its ``data`` are
    the validated ``X``. Its ``nn.Module`` has a method ``anomaly_score(x)``. It may say
    in ``_net_input(rows)`` how rows become the net's input.

    The constructor of a leaf takes all parameters in ``_parameter_constraints``.
    """

    _parameter_constraints: dict = {
        **BaseDetector._parameter_constraints,
        **TrainingMixin._parameter_constraints,
        "warm_start": ["boolean"],
    }

    def _fit(self, X):
        # Taken out, and put back at the end only: no net that was interrupted stays.
        net = vars(self).pop("net_", None) if self.warm_start else None
        self.net_ = self._trained(X, net)

    def _score_samples(self, X):
        return -self.net_.evaluate(self._rows(X))

    def _validate(self, X, *, reset, **checks):
        # Every numeric type as it is: a copy of the whole would not fit into memory
        # where X is memory-mapped.
        return validate_data(
            self,
            X,
            reset=reset and not self._goes_on(),
            dtype="numeric",
            ensure_min_samples=2 if reset else 1,
            **checks,
        )

    def _net_input(self, rows):
        """Turn a block of rows into what the net takes, each row by itself."""
        return rows

    def _rows(self, X):
        return Rows(X, self._net_input)

    def _goes_on(self):
        return self.warm_start and hasattr(self, "net_")


@contextmanager
def seeded(seed, device):
    """Seed torch for a while, and then put its generators back as they were."""
    with _GENERATOR:
        generators = _generators(device)
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _generators(device):
    """Return torch's own generators that a net on the device draws from."""
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        return [torch.default_generator, torch.cuda.default_generators[index]]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    return [torch.default_generator]


def chosen_device(device):
    """Return the torch device that the parameter ``device`` stands for."""
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if device == "auto":
        return torch.device(available[0])
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in available:
        raise ValueError(
            f"device is {str(device)!r}; here it can be 'auto', "
            f"{', '.join(map(repr, available))}."
        )
    return chosen


def _losses(epoch):
    """Return what is of interest of an epoch in skorch's history."""
    names = ("epoch", "train_loss", "valid_loss", "dur")
    return {name: epoch[name] for name in names if name in epoch}
