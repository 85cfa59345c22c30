"""A stack of LSTM layers that predicts something at every row of a stretch."""

from torch import nn
from torch.nn.functional import mse_loss


class StretchNet(nn.Module):
    """LSTM layers, and a linear one on top of them.

    Parameters
    ----------
    n_inputs : int
        Number of inputs of a row.

    n_outputs : int
        Number of targets of a row.

    width : int
        Number of values of a layer's output.

    n_layers : int
        Number of LSTM layers.

    dropout : float
        Probability of dropout between them.
    """

    def __init__(self, n_inputs, n_outputs, width, n_layers, dropout):
        super().__init__()
        self.n_inputs = n_inputs
        # torch warns of a dropout that is between no layers.
        dropout = dropout if n_layers > 1 else 0.0
        self.lstm = nn.LSTM(
            n_inputs, width, n_layers, dropout=dropout, batch_first=True
        )
        self.output = nn.Linear(width, n_outputs)

    def forward(self, stretches):
        """Predict the targets of each row from the inputs of the rows up to it.

        Parameters
        ----------
        stretches : tensor of shape (n_stretches, n_rows, n_inputs + n_outputs)
            The inputs of each row and, behind them, its targets.

        Returns
        -------
        predictions : tensor of shape (n_stretches, n_rows, n_outputs)
            The predictions.
        """
        return self.output(self.lstm(stretches[..., : self.n_inputs])[0])

    def weights(self):
        """Return the weights as `skad._kernels._lstm` takes them.

        Returns
        -------
        layers : list of tuple of three ndarrays
            For each layer the weights of its inputs, those of its outputs at the row
            before, and the biases.

        output : tuple of two ndarrays
            The weights and the biases of the linear layer.
        """
        layers = []
        for weights, recurrent, *biases in self.lstm.all_weights:
            layers.append((_array(weights.T), _array(recurrent.T), _array(sum(biases))))
        return layers, (_array(self.output.weight.T), _array(self.output.bias))


class StretchLoss(nn.Module):
    """The mean squared error at all rows of stretches."""

    def forward(self, predictions, stretches):
        """Compare predictions with the targets, the last columns of the stretches."""
        return mse_loss(predictions, stretches[..., -predictions.shape[-1] :])


def _array(tensor):
    # A copy, without which an optimiser's next step would reach it.
    return tensor.detach().cpu().numpy().copy(order="C")
