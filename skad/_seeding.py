"""Seeds of estimators that are a parameter of another one."""

import numpy as np


def seed_nested(estimator, random_state):
    """Set every ``random_state`` in an estimator to a number that is drawn.

    Parameters
    ----------
    estimator : estimator
        Changed in place.

    random_state : RandomState
        What the numbers are drawn from.
    """
    seeds = {
        name: random_state.randint(np.iinfo(np.int32).max)
        for name in sorted(estimator.get_params(deep=True))
        if name == "random_state" or name.endswith("__random_state")
    }
    estimator.set_params(**seeds)
