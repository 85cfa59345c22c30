"""Regressors that remember the rows before, for forecasts of series."""

__all__ = ["LSTMRegressor"]


def __getattr__(name):
    # On first use: it loads torch and Numba.
    if name in __all__:
        from skad.forecasting import _lstm_regressor

        return getattr(_lstm_regressor, name)
    raise AttributeError(f"module 'skad.forecasting' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
