"""LSTM layers over a series, row by row: their result depends on no block or batch."""

import numpy as np
from numba import njit

# Rows whose products with the inputs' weights are computed together, which are then in
# the processor's fastest memory.
_BLOCK = 8
# Fused multiply-adds, and no check of divisors, which keeps loops from vectorising.
_OPTIONS = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract"},
}


@njit(**_OPTIONS)
def project(inputs, weights, bias):
    """Return ``inputs @ weights + bias``, each row by itself.

    Parameters
    ----------
    inputs : ndarray of shape (n_rows, n_inputs), dtype float32
        The rows.
    weights : ndarray of shape (n_inputs, n_outputs), dtype float32
        The weights.
    bias : ndarray of shape (n_outputs,), dtype float32
        What is added to each row.

    Returns
    -------
    outputs : ndarray of shape (n_rows, n_outputs), dtype float32
        The products.
    """
    outputs = np.empty((len(inputs), len(bias)), dtype=np.float32)
    for i in range(len(inputs)):
        outputs[i] = bias
    for start in range(0, len(inputs), _BLOCK):
        _add_products(outputs[start : start + _BLOCK], inputs[start:], weights)
    return outputs


@njit(**_OPTIONS)
def lstm_layer(inputs, weights, recurrent, bias, hidden, cell):
    """Run a layer over the rows of a series, from a state that changes.

    Gates lie in torch's order: input, forget, cell, output.

    Parameters
    ----------
    inputs : ndarray of shape (n_rows, n_inputs), dtype float32
        The rows.
    weights : ndarray of shape (n_inputs, 4 * width), dtype float32
        The weights of the inputs.
    recurrent : ndarray of shape (width, 4 * width), dtype float32
        The weights of the outputs of the row before.
    bias : ndarray of shape (4 * width,), dtype float32
        The biases.
    hidden, cell : ndarray of shape (width,), dtype float32
        The state, which becomes that after the last row.

    Returns
    -------
    outputs : ndarray of shape (n_rows, width), dtype float32
        The outputs.
    """
    n_rows, width = len(inputs), len(cell)
    outputs = np.empty((n_rows, width), dtype=np.float32)
    block = np.empty((_BLOCK, 4 * width), dtype=np.float32)
    for start in range(0, n_rows, _BLOCK):
        stop = min(start + _BLOCK, n_rows)
        gates = block[: stop - start]
        for i in range(len(gates)):
            gates[i] = bias
        _add_products(gates, inputs[start:stop], weights)
        for i in range(len(gates)):
            _add_products(gates[i : i + 1], hidden.reshape(1, -1), recurrent)
            _move(gates[i], hidden, cell)
            outputs[start + i] = hidden
    return outputs


@njit(**_OPTIONS)
def _add_products(outputs, inputs, weights):
    """Add to each row its inputs times the weights, one input after the other."""
    n_inputs, n_outputs = weights.shape
    in_fours = n_inputs - n_inputs % 4
    # Four at a time: the sums are read and written less often.
    for k in range(0, in_fours, 4):
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for i in range(len(outputs)):
            row = outputs[i]
            x0, x1 = inputs[i, k], inputs[i, k + 1]
            x2, x3 = inputs[i, k + 2], inputs[i, k + 3]
            for j in range(n_outputs):
                total = row[j] + x0 * w0[j]
                total += x1 * w1[j]
                total += x2 * w2[j]
                row[j] = total + x3 * w3[j]
    for k in range(in_fours, n_inputs):
        for i in range(len(outputs)):
            for j in range(n_outputs):
                outputs[i, j] += inputs[i, k] * weights[k, j]


@njit(**_OPTIONS)
def _move(gates, hidden, cell):
    """Move the state on by a row."""
    width = len(cell)
    into, forget = gates[:width], gates[width : 2 * width]
    new, out = gates[2 * width : 3 * width], gates[3 * width :]
    for j in range(width):
        moved = _sigmoid(forget[j]) * cell[j] + _sigmoid(into[j]) * _tanh(new[j])
        cell[j] = moved
        hidden[j] = _sigmoid(out[j]) * _tanh(moved)


@njit(**_OPTIONS, inline="always")
def _sigmoid(x):
    half = np.float32(0.5)
    return half * _tanh(half * x) + half


@njit(**_OPTIONS, inline="always")
def _tanh(x):
    """Return tanh to a few units of the last place, in arithmetic that vectorises.

    It is the continued fraction of tanh(x / 8), doubled three times.
    """
    one, two = np.float32(1), np.float32(2)
    # Beyond 9 all of float32's tanh are 1.
    x = np.float32(-9) if x < -9 else x
    x = (np.float32(9) if x > 9 else x) * np.float32(0.125)
    s = x * x
    above = np.float32(945) + s * (np.float32(105) + s)
    below = np.float32(945) + s * (np.float32(420) + s * np.float32(15))
    t = x * above / below
    t = two * t / (one + t * t)
    t = two * t / (one + t * t)
    return two * t / (one + t * t)
