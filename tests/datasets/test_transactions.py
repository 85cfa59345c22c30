"""Payments of which it is known what is wrong with them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from skad.datasets import make_transactions
from skad.metrics import roc_auc_score

SCENARIOS = ["large_amount", "stolen_card", "compromised_terminal"]


@pytest.mark.parametrize(
    ("n_customers", "n_terminals", "n_days", "n_incidents"),
    [(200, 100, 60, 10), (3, 1, 10, 2), (50, 200, 30, 0)],
)
def test_payments_are_what_is_asked_for(n_customers, n_terminals, n_days, n_incidents):
    X, y, scenario = make_transactions(
        n_customers, n_terminals, n_days, n_incidents=n_incidents, random_state=0
    )
    assert list(X) == ["customer", "terminal", "time", "amount"]
    assert len(X) == len(y) == len(scenario)
    assert X.customer.between(0, n_customers - 1).all()
    assert X.terminal.between(0, n_terminals - 1).all()
    day = (X.time - pd.Timestamp("2026-01-01")) / pd.Timedelta("1D")
    assert X.time.is_monotonic_increasing
    assert day.between(0, n_days).all()
    assert (X.amount > 0).all()
    assert_array_equal(y == -1, scenario != "")
    assert (day[y == -1] > n_days / 3).all()
    assert np.sum(scenario == "large_amount") == n_incidents
    assert np.sum(scenario == "stolen_card") == 8 * n_incidents


def test_customers_differ_more_than_their_payments():
    X, y, _ = make_transactions(random_state=0)
    logarithm = np.log(X.amount[y == 1]).groupby(X.customer)
    assert logarithm.mean().std() > 1.5 * logarithm.std().mean()


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("seed", range(3))
def test_frauds_show_beside_the_customers_usual_amount(scenario, seed):
    X, y, scenarios = make_transactions(n_incidents=20, random_state=seed)
    kept = (y == 1) | (scenarios == scenario)
    usual = X.amount.groupby(X.customer).transform("median")
    auc = roc_auc_score(y[kept], -(X.amount / usual)[kept])
    assert auc > 0.95
    assert roc_auc_score(y[kept], -X.amount[kept]) < auc


def test_a_stolen_card_is_used_for_one_day_at_terminals_near_and_far():
    X, y, scenario = make_transactions(n_incidents=1, random_state=0)
    stolen = X[scenario == "stolen_card"]
    assert stolen.customer.nunique() == 1
    assert stolen.time.max() - stolen.time.min() < pd.Timedelta("1D")
    own = X[(y == 1) & (X.customer == stolen.customer.iloc[0])]
    assert own.terminal.nunique() <= 10
    assert not stolen.terminal.isin(own.terminal).all()


def test_every_second_payment_at_a_compromised_terminal_is_raised():
    X, y, scenario = make_transactions(400, 10, n_incidents=1, random_state=0)
    raised = X[scenario == "compromised_terminal"]
    assert raised.terminal.nunique() == 1
    span = X.time.between(raised.time.min(), raised.time.max())
    there = span & (X.terminal == raised.terminal.iloc[0])
    assert 0.45 < np.mean(y[there] == -1) < 0.55


def test_data_are_determined_by_the_seed():
    first, again, other = (make_transactions(random_state=s) for s in (0, 0, 1))
    assert_frame_equal(first[0], again[0])
    assert_array_equal(first[1], again[1])
    assert_array_equal(first[2], again[2])
    assert len(first[0]) != len(other[0])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_customers": 0}, ValueError, "n_customers == 0, must be >= 1"),
        ({"n_terminals": 0}, ValueError, "n_terminals == 0, must be >= 1"),
        ({"n_days": 9}, ValueError, "n_days == 9, must be >= 10"),
        ({"n_days": 30.5}, TypeError, "n_days must be an instance of"),
        ({"n_incidents": -1}, ValueError, "n_incidents == -1, must be >= 0"),
        ({"random_state": "x"}, ValueError, "cannot be used to seed"),
    ],
)
def test_bad_parameter_raises(params, error, message):
    with pytest.raises(error, match=message):
        make_transactions(**params)
