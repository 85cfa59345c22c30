"""The training of every net: the one place that knows skorch."""

import math

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import to_device
from tqdm.auto import tqdm

from skad._nets._rows import Batches


class DetectorNet(NeuralNet):
    """A skorch net as detectors need it.

    Batches are slices, the target is the input, nothing is printed or held out
    unless asked for. Interrupting it or a loss that is not finite raises, so that
    a net that was not trained is never taken for one that was.

    Parameters
    ----------
    module : nn.Module, or a callable that makes one
        The net; as scoring method it has ``anomaly_score(x)``.

    criterion : callable that makes an nn.Module
        The loss, called with the output of ``module`` and the batch.

    autocast : torch.dtype, default=None
        The type of the forward passes of training under mixed precision, such as
        ``torch.bfloat16``. Scores are computed in float32 in any case.

    **kwargs : dict
        Every other parameter of ``skorch.NeuralNet``.

    Attributes
    ----------
    progress_ : float
        The share of the training that is done, from 0 to 1; it remains 1 when
        training goes on after its end.
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        optimizer=torch.optim.Adam,
        iterator_train=Batches,
        iterator_train__shuffle=True,
        iterator_valid=Batches,
        train_split=None,
        verbose=0,
        autocast=None,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion,
            optimizer=optimizer,
            iterator_train=iterator_train,
            iterator_train__shuffle=iterator_train__shuffle,
            iterator_valid=iterator_valid,
            train_split=train_split,
            verbose=verbose,
            **kwargs,
        )
        self.autocast = autocast

    def initialize(self):
        """Build everything; a module that was given as such is kept only once."""
        self.progress_ = 0.0
        super().initialize()
        if isinstance(self.module, torch.nn.Module):
            # skorch moves only module_ to another device when it is unpickled.
            self.module = type(self.module)
        return self

    def partial_fit(self, X, y=None):
        """Train for ``max_epochs`` more epochs.

        Unlike skorch's own method it lets a KeyboardInterrupt through, except for
        the one by which ``EarlyStopping`` ends the training.
        """
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y)
        except KeyboardInterrupt:
            if not self._stops_early():
                raise
        self.progress_ = 1.0
        self.notify("on_train_end", X=X, y=y)
        return self

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks that have something to do; most have not, per batch."""
        getattr(self, method_name)(self, **cb_kwargs)
        nothing = getattr(Callback, method_name)
        for _, callback in self.callbacks_:
            if getattr(type(callback), method_name) is not nothing:
                getattr(callback, method_name)(self, **cb_kwargs)

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Note how far one step brings the training."""
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        n_steps = len(self.get_iterator(dataset_train, training=True))
        self._stride = 1 / (self.max_epochs * n_steps)

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        """Check the loss."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"the loss of epoch {len(self.history)} is {loss.item()}. Lower lr "
                f"(now {self.lr}), scale the data, or clip the gradients: "
                'net_params={"callbacks": [skorch.callbacks.GradientNormClipping(1)]}.'
            )
        if training:
            self.progress_ = min(1.0, self.progress_ + self._stride)

    def _set_training(self, training=True):
        # Once per epoch instead of once per batch: it visits every layer.
        if self.module_.training is not training:
            super()._set_training(training)

    def infer(self, x, **fit_params):
        """Compute the output for a batch, in training under mixed precision."""
        if self.autocast is None:
            return super().infer(x, **fit_params)
        device = torch.device(self.device).type
        with torch.autocast(device, dtype=self.autocast):
            return super().infer(x, **fit_params)

    def evaluate(self, rows, method="anomaly_score", size=None):
        """Compute a method of the module for all rows.

        All batches have the same number of rows, the last one being filled up: the
        order in which a matrix product adds depends on that number. It is
        ``batch_size`` or the next multiple of 16, because the last numbers of an
        array that are no full vector of the processor are rounded otherwise.

        Parameters
        ----------
        rows : Rows
            The data.

        method : str, default="anomaly_score"
            The name of a method of the module that takes a batch and returns a
            tensor, or a dict of tensors, with a row for each.

        size : int, default=None
            The number of rows of a batch instead of that one, such as 1 where each
            "row" holds many.

        Returns
        -------
        result : ndarray of shape (len(rows), ...) or dict of str to ndarray
            The results for all rows, as float64.
        """
        found = None
        for start, result in self.evaluate_batches(rows, method, size):
            if found is None:
                found = _empty(result, len(rows))
            _write(result, found, start)
        return found

    def evaluate_batches(self, rows, method="anomaly_score", size=None):
        """Compute a method of the module batch by batch, as `evaluate` does.

        Parameters
        ----------
        rows : Rows
            The data.

        method : str, default="anomaly_score"
            The name of the method.

        size : int, default=None
            The number of rows of a batch, see `evaluate`.

        Yields
        ------
        start : int
            The first row of the batch.

        result : tensor or dict of str to tensor
            The results for a batch, on the net's device. Those of the last one that
            are for more rows than there are belong to none.
        """
        function = getattr(self.module_.eval(), method)
        size = 16 * math.ceil(self.batch_size / 16) if size is None else size
        for start in range(0, len(rows), size):
            batch = to_device(rows[_full(start, size, len(rows))], self.device)
            with torch.inference_mode():
                result = function(batch)
            yield start, result

    def _stops_early(self):
        return any(
            isinstance(callback, EarlyStopping)
            and callback.misses_ == callback.patience
            for _, callback in self.callbacks_
        )


class ProgressBar(Callback):
    """A bar that grows with every epoch and shows the losses."""

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Move it on."""
        losses = ("train_loss", "valid_loss")
        epoch = net.history[-1]
        self.bar_.set_postfix({key: epoch[key] for key in losses if key in epoch})
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Close it; an open bar cannot be pickled."""
        self.bar_.close()
        del self.bar_


def _full(start, size, n_rows):
    """Return the rows of a batch; the last row again and again where there are none."""
    if start + size <= n_rows:
        return slice(start, start + size)
    return np.minimum(np.arange(start, start + size), n_rows - 1)


def _empty(result, n_rows):
    # Made once: parts of many batches, kept among what these need for a moment, would
    # leave the memory in pieces that nothing larger fits into.
    if isinstance(result, dict):
        return {name: _empty(part, n_rows) for name, part in result.items()}
    return np.empty((n_rows, *result.shape[1:]))


def _write(result, found, start):
    if isinstance(result, dict):
        for name, part in result.items():
            _write(part, found[name], start)
        return
    place = found[start : start + len(result)]
    place[:] = result[: len(place)].cpu().double().numpy()
