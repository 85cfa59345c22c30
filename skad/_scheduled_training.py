"""The training of nets that estimators make for themselves."""

from skad._deep import TrainingMixin
from skad._nets._pyramids import Given, ScheduledNet


class ScheduledTraining(TrainingMixin):
    """Base of what trains a net to the end, at a rate that rises and falls.

    Parameters
    ----------
    max_epochs, batch_size, lr, device, random_state, verbose
        As for every training.
    """

    _net_cls = ScheduledNet
    _criterion = Given
    n_iter_no_change = None
    net_params = None

    def __init__(self, *, max_epochs, batch_size, lr, device, random_state, verbose):
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
