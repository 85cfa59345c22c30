"""Payments of customers at terminals, some of them fraudulent in known ways."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

_SCENARIOS = ("large_amount", "stolen_card", "compromised_terminal")

# Terminals that a customer visits; the nearest ones.
_N_VISITED = 10
# Spread of the logarithm: of usual amounts between customers, of a customer's amounts.
_BETWEEN, _WITHIN = 0.8, 0.4
# How many times the usual amount, at least and at most, is paid in a fraud.
_LARGE, _STOLEN, _COMPROMISED = (10, 20), (2, 5), (3, 6)
_DAYS_STOLEN, _DAYS_COMPROMISED = 1.0, 4.0


def make_transactions(
    n_customers=200, n_terminals=100, n_days=60, *, n_incidents=10, random_state=None
):
    """Generate payments, with planted frauds of three kinds.

    Customers live somewhere and visit the terminals near them, each at an hour and
    with amounts of their own: some always pay 10, others 100. What is a fraud shows
    little in single payments, and much beside the past of the customer or terminal.

    Parameters
    ----------
    n_customers : int, default=200
        Number of customers. Each pays one and a half times a day on average.

    n_terminals : int, default=100
        Number of terminals.

    n_days : int, default=60
        Number of days, at least 10. There is no fraud in the first third.

    n_incidents : int, default=10
        Number of frauds of each of these kinds:

        - ``"large_amount"``: a single payment, 10 to 20 times the usual amount of the
          customer;
        - ``"stolen_card"``: a thief pays with the card of a customer for one day, 8
          times at any terminals, 2 to 5 times the customer's usual amount;
        - ``"compromised_terminal"``: for four days, every second payment at a terminal
          is 3 to 6 times as high as it would be.

    random_state : int, RandomState instance or None, default=None
        Seed of the data.

    Returns
    -------
    X : DataFrame of shape (n_samples, 4)
        The payments in the order of time: ``customer``, ``terminal``, ``time`` and
        ``amount``.

    y : ndarray of shape (n_samples,)
        +1 for payments by the customer, -1 for frauds.

    scenario : ndarray of shape (n_samples,)
        The kind of fraud, an empty string for payments by the customer.

    See Also
    --------
    skad.preprocessing.HistoryFeatures : Features that compare payments with the past.

    Examples
    --------
    >>> from skad.datasets import make_transactions
    >>> X, y, scenario = make_transactions(random_state=0)
    >>> X.head(3)
       customer  terminal                time  amount
    0        77        22 2026-01-01 05:05:44   32.76
    1       198         7 2026-01-01 05:31:36  181.14
    2        27        22 2026-01-01 05:45:57   46.82
    """
    import pandas as pd

    _check(n_customers, n_terminals, n_days, n_incidents)
    random_state = check_random_state(random_state)
    usual = np.exp(3.5 + _BETWEEN * random_state.standard_normal(n_customers))
    honest = _honest(usual, n_terminals, n_days, random_state)
    stolen = _stolen(usual, n_terminals, n_days, n_incidents, random_state)
    X = {name: np.r_[honest[name], stolen[name]] for name in honest}
    kind = np.zeros(len(X["day"]), dtype=np.int64)  # 0 is no fraud
    kind[len(honest["day"]) :] = 1 + _SCENARIOS.index("stolen_card")
    _compromise(X, kind, n_terminals, n_days, n_incidents, random_state)
    _enlarge(X, kind, n_days, n_incidents, random_state)
    order = np.argsort(X["day"], kind="stable")
    start = np.datetime64("2026-01-01", "s")
    seconds = np.rint(86_400 * X.pop("day")).astype("timedelta64[s]")
    table = pd.DataFrame(
        {
            "customer": X["customer"],
            "terminal": X["terminal"],
            "time": start + seconds,
            "amount": np.maximum(X["amount"].round(2), 0.01),
        }
    )
    table = table.iloc[order].reset_index(drop=True)
    kind = kind[order]
    return table, np.where(kind > 0, -1, 1), np.array(["", *_SCENARIOS])[kind]


def _honest(usual, n_terminals, n_days, random_state):
    """Draw the payments of the customers themselves."""
    n_customers = len(usual)
    home = random_state.random_sample((n_customers, 1, 2))
    place = random_state.random_sample((n_terminals, 2))
    near = np.linalg.norm(home - place, axis=2).argsort(axis=1)[:, :_N_VISITED]
    hour = random_state.normal(14, 2, n_customers)
    rate = random_state.gamma(3, 0.5, n_customers)
    n_payments = random_state.poisson(n_days * rate)
    customer = np.repeat(np.arange(n_customers), n_payments)
    n_samples = len(customer)
    time = random_state.normal(hour[customer], 2) / 24
    day = random_state.randint(n_days, size=n_samples) + np.clip(time, 0, 0.999)
    visited = random_state.randint(near.shape[1], size=n_samples)
    factor = np.exp(_WITHIN * random_state.standard_normal(n_samples))
    return {
        "customer": customer,
        "terminal": near[customer, visited],
        "day": day,
        "amount": usual[customer] * factor,
    }


def _stolen(usual, n_terminals, n_days, n_incidents, random_state):
    """Draw the payments of the thieves."""
    n_samples = 8 * n_incidents
    customer = np.repeat(random_state.randint(len(usual), size=n_incidents), 8)
    start = random_state.uniform(n_days / 3, n_days - _DAYS_STOLEN, n_incidents)
    return {
        "customer": customer,
        "terminal": random_state.randint(n_terminals, size=n_samples),
        "day": np.repeat(start, 8) + random_state.uniform(0, _DAYS_STOLEN, n_samples),
        "amount": usual[customer] * random_state.uniform(*_STOLEN, n_samples),
    }


def _compromise(X, kind, n_terminals, n_days, n_incidents, random_state):
    """Raise every second payment at some terminals, for some days, in place."""
    code = 1 + _SCENARIOS.index("compromised_terminal")
    for _ in range(n_incidents):
        start = random_state.uniform(n_days / 3, n_days - _DAYS_COMPROMISED)
        age = X["day"] - start
        is_there = X["terminal"] == random_state.randint(n_terminals)
        is_hit = is_there & (age > 0) & (age < _DAYS_COMPROMISED) & (kind == 0)
        hit = random_state.permutation(np.flatnonzero(is_hit))[: is_hit.sum() // 2]
        X["amount"][hit] *= random_state.uniform(*_COMPROMISED, hit.size)
        kind[hit] = code


def _enlarge(X, kind, n_days, n_incidents, random_state):
    """Raise single payments, in place."""
    honest = np.flatnonzero((kind == 0) & (X["day"] > n_days / 3))
    hit = random_state.permutation(honest)[:n_incidents]
    X["amount"][hit] *= random_state.uniform(*_LARGE, hit.size)
    kind[hit] = 1 + _SCENARIOS.index("large_amount")


def _check(n_customers, n_terminals, n_days, n_incidents):
    check_scalar(n_customers, "n_customers", Integral, min_val=1)
    check_scalar(n_terminals, "n_terminals", Integral, min_val=1)
    check_scalar(n_days, "n_days", Integral, min_val=10)
    check_scalar(n_incidents, "n_incidents", Integral, min_val=0)
