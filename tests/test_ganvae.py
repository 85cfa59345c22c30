import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import GANVAE
from skad.datasets import make_planted_anomalies
from skad.inspection import explain
from skad.metrics import roc_auc_score

TERMS = ["reconstruction", "kl", "discriminator", "features"]
FEW = settings(max_examples=25)


def make_rows(n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_samples)
    counts = rng.poisson(3, size=n_samples)
    return np.column_stack([x, 2 * x + rng.normal(size=n_samples), np.exp(x), counts])


X = make_rows()
TABLE = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(
    kind=np.where(X[:, 0] > 0, "shop", "online")
)


def small(**params):
    given = {"hidden_sizes": (16, 8), "max_epochs": 5, "random_state": 0, **params}
    return GANVAE(**given)


@pytest.fixture(scope="module")
def detector():
    return small().fit(X)


@pytest.fixture(scope="module")
def mixed():
    return small(max_epochs=20).fit(TABLE)


def numpy_of(tensor):
    return tensor.detach().numpy().astype(float)


# What it finds


@pytest.mark.parametrize("kind", ["extreme", "joint"])
def test_planted_anomalies_come_first(kind):
    rows, y, _ = make_planted_anomalies(1000, kind=kind, random_state=0)
    scores = GANVAE(random_state=0).fit(rows).score_samples(rows)
    assert roc_auc_score(y, scores) > 0.95


def test_each_term_finds_what_is_extreme():
    rows, y, _ = make_planted_anomalies(1000, kind="extreme", random_state=0)
    terms = GANVAE(random_state=0).fit(rows).score_terms(rows)
    assert list(terms) == TERMS
    for name, term in terms.items():
        assert roc_auc_score(y, -term) > 0.7, name


def test_explain_names_the_planted_entries():
    rows, y, mask = make_planted_anomalies(1000, kind="extreme", random_state=0)
    found = GANVAE(random_state=0).fit(rows).explain(rows)[y == -1]
    found -= np.median(found, axis=0)
    largest = np.argsort(-found, axis=1)[:, :1]
    assert np.take_along_axis(mask[y == -1], largest, axis=1).mean() > 0.9


def test_a_strange_category_and_a_strange_combination_are_found():
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=600)
    table = pd.DataFrame({"kind": np.array(["x", "y", "z"])[kind]})
    table["size"] = 5.0 * kind + rng.normal(size=600)
    fitted = GANVAE(random_state=0).fit(table)
    strange = pd.DataFrame({"kind": ["x", "new"], "size": [10.0, 0.0]})
    assert (fitted.score_samples(strange) < fitted.offset_).all()
    assert fitted.explain(strange)[1].argmax() == 0


def test_farther_out_is_stranger_to_the_end_of_the_numbers(detector):
    for far in (10.0 ** np.arange(1, 15), -(10.0 ** np.arange(1, 15))):
        rows = np.repeat([[0.0, 0.0, 1.0, 3.0]], far.size, axis=0)
        rows[:, 1] = far
        assert (np.diff(detector.score_samples(rows)) < 0).all()
    assert np.isfinite(detector.score_samples([[0, 1e300, 1, 3]])).all()


def test_a_few_values_of_any_size_do_not_hide_the_rest():
    wild = X.copy()
    wild[:2, 1] = [1e12, -1e12]
    fitted = small(max_epochs=30).fit(wild)
    normal = fitted.score_samples(X[2:])
    assert fitted.score_samples([[0, 20, 1, 3]]) < np.quantile(normal, 0.01)


def test_trimming_keeps_anomalies_from_being_learned():
    rng = np.random.default_rng(0)
    strange = rng.normal(size=(40, 4)) / 4 + [4, -4, 4, -4]
    rows = np.vstack([rng.normal(size=(560, 4)), strange])
    y = np.repeat([1, -1], [560, 40])
    areas = [
        roc_auc_score(y, GANVAE(trim=t, random_state=0).fit(rows).score_samples(rows))
        for t in (0.0, 0.1)
    ]
    assert areas[1] > areas[0]
    assert areas[1] > 0.95


# The score


@FEW
@given(weights=st.lists(st.floats(0, 10), min_size=4, max_size=4).filter(any))
def test_a_score_is_minus_the_weighted_sum_of_the_terms(detector, weights):
    weighted = clone_of(detector).set_params(term_weights=tuple(weights))
    terms = detector.score_terms(X)
    expected = -sum(w * terms[name] for w, name in zip(weights, TERMS, strict=True))
    assert_array_equal(weighted.score_samples(X), expected)


def clone_of(fitted):
    copy = clone(fitted)
    vars(copy).update(vars(fitted))
    return copy


def test_terms_are_standardised_robustly_on_the_training_rows(detector):
    for name, term in detector.score_terms(X).items():
        low, median, high = np.quantile(np.sinh(term), [0.25, 0.5, 0.75])
        assert abs(median) < 1e-6, name
        assert high - low <= 1.349 + 1e-6, name


def test_a_nat_counts_alike_in_both_terms_of_the_bound(detector):
    nats = detector.net_.evaluate(detector._rows(X), "terms")
    terms = detector.score_terms(X)
    units = [np.ptp(nats[name]) / np.ptp(np.sinh(terms[name])) for name in TERMS[:2]]
    assert_allclose(units[0], units[1])
    widths = [np.subtract(*np.quantile(nats[n], [0.75, 0.25])) for n in TERMS[:2]]
    assert_allclose(units[0], max(*widths, 1.349) / 1.349)


@FEW
@given(rows=st.lists(st.integers(0, 199), min_size=1, max_size=30))
def test_terms_and_features_belong_to_the_row_alone(detector, rows):
    terms = detector.score_terms(X)
    for name, term in detector.score_terms(X[rows]).items():
        assert_array_equal(term, terms[name][rows])
    assert_array_equal(detector.transform(X[rows]), detector.transform(X)[rows])


@FEW
@given(
    rows=st.lists(
        st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), min_size=1, max_size=5
    )
)
def test_explanations_add_up_to_the_reconstruction_term(detector, rows):
    parts = detector.explain(rows)
    assert (parts >= 0).all()
    sums = (parts.sum(axis=1) - detector._location["reconstruction"]) / (
        detector._spread["reconstruction"]
    )
    expected = detector.score_terms(rows)["reconstruction"]
    assert_allclose(np.arcsinh(sums), expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=5)
@given(
    factors=st.lists(st.sampled_from([0.25, 8.0, -3.0]), min_size=4, max_size=4),
    shifts=st.lists(st.integers(-50, 50), min_size=4, max_size=4),
)
def test_units_of_the_columns_hardly_matter(factors, shifts):
    continuous = X.copy()
    continuous[:, 3] += np.random.default_rng(0).normal(size=len(X))
    expected = small(max_epochs=2).fit(continuous)
    factors = np.abs(factors)
    other = small(max_epochs=2).fit(continuous * factors + shifts)
    assert_allclose(
        other.score_samples(continuous * factors + shifts),
        expected.score_samples(continuous),
        rtol=1e-2,
        atol=1e-2,
    )


# References


def test_the_likelihood_is_that_of_a_logistic_cell(mixed):
    likelihood = mixed.net_.module_.likelihood
    rng = np.random.default_rng(0)
    outputs = torch.tensor(rng.normal(size=(5, likelihood.n_outputs))).float()
    rows = torch.tensor(mixed._net_input(mixed._validate(TABLE[:5], reset=False)))
    found = likelihood.negative_log_likelihood(outputs, rows.float())
    out, half = numpy_of(outputs), numpy_of(likelihood.half_width)
    mean, std = out[:, :4], np.logaddexp(out[:, 4:8], 0) / np.log(2) + half / 2
    cell = stats.logistic(mean, std * np.sqrt(3) / np.pi)
    x = rows.numpy()[:, :4]
    expected = -np.log(cell.cdf(x + half) - cell.cdf(x - half))
    assert_allclose(numpy_of(found)[:, :4], expected, rtol=1e-3)
    logs = special.log_softmax(out[:, 8:], axis=1) + np.log1p(-1 / 201)
    codes = rows.numpy()[:, 4].astype(int)
    assert_allclose(numpy_of(found)[:, 4], -logs[np.arange(5), codes], rtol=1e-5)


def test_probabilities_sum_to_one(mixed):
    likelihood = mixed.net_.module_.likelihood
    outputs = torch.zeros(2001, likelihood.n_outputs)
    step, origin = float(likelihood.step[3]), float(likelihood.origin[3])
    assert step > 0 and not likelihood.step[:3].any()
    grid = torch.zeros(2001, 5)
    grid[:, 3] = origin + step * torch.arange(-1000, 1001)
    nll = likelihood.negative_log_likelihood(outputs, grid)[:, 3]
    assert_allclose(numpy_of(torch.exp(-nll)).sum(), 1, rtol=1e-4)
    codes = torch.zeros(3, 5)
    codes[:, 4] = torch.tensor([0, 1, 2])
    nll = likelihood.negative_log_likelihood(outputs[:3], codes)[:, 4]
    assert_allclose(numpy_of(torch.exp(-nll)).sum(), 1, rtol=1e-5)


def perceptron(layers, rows):
    for i, (weight, bias) in enumerate(layers):
        rows = rows @ weight.T + bias
        if i < len(layers) - 1:
            rows = np.where(rows > 0, rows, 0.2 * rows)
    return rows


def weights_of(net):
    layers = [layer for layer in net if hasattr(layer, "weight")]
    return [(numpy_of(layer.weight), numpy_of(layer.bias)) for layer in layers]


def bent(numbers):
    return 3 * np.arcsinh(numbers / 3)


def spectral(layer):
    weight, left = numpy_of(layer.weight), numpy_of(layer.left)
    right = weight.T @ left
    return weight / (left @ weight @ right) * np.linalg.norm(right), numpy_of(
        layer.bias
    )


def test_terms_equal_their_formulas_on_fixed_weights(detector):
    module = detector.net_.module_
    z = detector._net_input(X)
    encoded = perceptron(weights_of(module.encoder), bent(z))
    mean, log_variance = encoded[:, :4], np.clip(encoded[:, 4:], -10, 5)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
    half = numpy_of(module.likelihood.half_width)
    nll = 0
    for draw in numpy_of(module.draws)[:, 0]:
        latent = mean + draw * np.exp(log_variance / 2)
        decoded = perceptron(weights_of(module.decoder), latent)
        std = np.logaddexp(decoded[:, 4:], 0) / np.log(2) + half / 2
        cell = stats.logistic(decoded[:, :4], std * np.sqrt(3) / np.pi)
        nll -= np.log(cell.cdf(z + half) - cell.cdf(z - half)).sum(axis=1) / 8
    expected = perceptron(weights_of(module.decoder), mean)[:, :4]
    *hidden, last = [spectral(layer) for layer in module.discriminator.hidden] + [
        spectral(module.discriminator.last)
    ]

    def features(rows):
        for weight, bias in hidden:
            rows = rows @ weight.T + bias
            rows = np.where(rows > 0, rows, 0.2 * rows)
        return rows

    real = features(bent(z))
    found = detector.net_.evaluate(detector._rows(X), "terms")
    assert_allclose(found["reconstruction"], nll, rtol=1e-3)
    assert_allclose(found["kl"], kl, rtol=1e-3, atol=1e-4)
    logit = (real @ last[0].T + last[1])[:, 0]
    assert_allclose(found["discriminator"], logit, rtol=1e-3, atol=1e-4)
    gap = np.linalg.norm(real - features(bent(expected)), axis=1)
    assert_allclose(found["features"], gap, rtol=1e-3, atol=1e-4)


@FEW
@given(st.data())
def test_the_discriminator_is_lipschitz(detector, data):
    numbers = st.lists(st.floats(-20, 20, width=32), min_size=4, max_size=4)
    pair = torch.tensor([data.draw(numbers), data.draw(numbers)])
    with torch.inference_mode():
        logits, _ = detector.net_.module_.eval().discriminator(pair)
    distance = torch.dist(pair[0], pair[1])
    assert abs(logits[0] - logits[1]) <= 1.05 * distance + 1e-5


# Training


def test_generated_rows_resemble_the_data():
    rows = np.random.default_rng(0).normal([5, -1], [2, 0.5], size=(1000, 2))
    fitted = GANVAE(random_state=0).fit(rows)
    module = fitted.net_.module_.eval()
    with torch.inference_mode():
        latent = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
        generated = numpy_of(module.likelihood.sample(module.generator(latent)))
    real = bent(fitted._net_input(rows))
    assert_allclose(generated.mean(axis=0), real.mean(axis=0), atol=0.3)
    assert_allclose(generated.std(axis=0), real.std(axis=0), rtol=0.3)


def test_adversarial_training_draws_the_generator_to_what_fools():
    def log_odds(weight):
        fitted = small(
            adversarial_weight=weight, feature_weight=0, max_epochs=30, trim=0
        ).fit(X)
        module = fitted.net_.module_.eval()
        with torch.inference_mode():
            latent = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
            fakes = module.likelihood.sample(module.generator(latent))
            real = module.likelihood.view(fitted._rows(X)[:])
            return module.discriminator(real)[0].mean() - (
                module.discriminator(fakes)[0].mean()
            )

    assert log_odds(20.0) < log_odds(0.0)


def test_without_weights_no_discriminator_is_trained():
    vae = small(term_weights=(1, 0.5, 0, 0)).fit(X)
    assert vae.net_.module_.discriminator is None
    assert list(vae.score_terms(X)) == TERMS[:2]
    assert vae.transform(X).shape == (200, 4 + 4 + 2)


def test_the_decoder_is_shared_or_not(detector):
    assert detector.net_.module_.generator is detector.net_.module_.decoder
    apart = small(share_decoder=False).fit(X).net_.module_
    assert apart.generator is not apart.decoder


@pytest.mark.parametrize(
    "change",
    [
        {"constraint": "gradient_penalty"},
        {"share_decoder": False},
        {"latent_dim": 3},
        {"hidden_sizes": (8,)},
        {"beta": 3.0},
        {"beta_warmup": 0.0},
        {"adversarial_weight": 3.0},
        {"feature_weight": 0.0},
        {"trim": 0.3},
        {"term_weights": (1, 1, 1, 1)},
        {"categorical_features": [3]},
        {"lr": 0.01},
    ],
    ids=str,
)
def test_each_parameter_changes_the_scores(detector, change):
    changed = small(**change).fit(X)
    assert not np.allclose(changed.score_samples(X), detector.score_samples(X))


def test_a_heavier_divergence_leaves_less_of_it():
    left = [
        small(beta=beta, max_epochs=30)
        .fit(X)
        .net_.evaluate(small().fit(X)._rows(X), "terms")["kl"]
        .mean()
        for beta in (0.1, 10.0)
    ]
    assert left[1] < left[0]


def test_a_warm_start_goes_on():
    detector = small(warm_start=True).fit(X)
    first = detector.net_
    before = detector.score_samples(X)
    detector.fit(X)
    assert detector.net_ is first
    assert detector.n_iter_ == 10
    assert not np.allclose(detector.score_samples(X), before)


def test_early_stopping_keeps_the_best():
    detector = small(max_epochs=200, lr=0.05, n_iter_no_change=3).fit(X)
    assert detector.n_iter_ < 200
    assert "valid_loss" in detector.history_[0]


def test_a_file_is_as_good_as_memory(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, X.astype(np.float32))
    on_disk = np.load(path, mmap_mode="r")
    expected = small().fit(X.astype(np.float32)).score_samples(X.astype(np.float32))
    assert_array_equal(small().fit(on_disk).score_samples(on_disk), expected)


# Tables and pipelines


def test_categories_are_found_named_or_masked_alike(mixed):
    expected = mixed.score_samples(TABLE)
    for named in (["kind"], [4], [False] * 4 + [True]):
        other = small(max_epochs=20, categorical_features=named).fit(TABLE)
        assert_array_equal(other.score_samples(TABLE), expected)


def test_an_unseen_category_costs_what_its_probability_says(mixed):
    new = TABLE.assign(kind="telephone")
    assert_allclose(mixed.explain(new)[:, 4], np.log(201), rtol=1e-6)


def test_nothing_but_categories_is_fine():
    table = TABLE[["kind"]].assign(other=np.where(X[:, 3] > 3, "many", "few"))
    assert np.isfinite(small().fit(table).score_samples(table)).all()


def test_missing_values_are_refused(mixed):
    table = TABLE.copy()
    table.loc[3, "a"] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        mixed.score_samples(table)
    for name in ("a", "kind"):
        table = TABLE.copy()
        table.loc[3, name] = None
        with pytest.raises(ValueError, match="contains NaN"):
            small().fit(table)


def test_a_missing_category_is_one_that_training_did_not_show(mixed):
    new = mixed.score_samples(TABLE.assign(kind="telephone"))
    assert_array_equal(mixed.score_samples(TABLE.assign(kind=None)), new)


def test_features_for_another_estimator_have_names(mixed):
    names = mixed.get_feature_names_out()
    assert names.tolist() == [
        *["latent0", "latent1", "latent2", "latent3"],
        *["nll_a", "nll_b", "nll_c", "nll_d", "nll_kind"],
        *TERMS,
    ]
    made = mixed.transform(TABLE)
    assert made.shape == (200, len(names))
    assert_array_equal(made[:, 4:9], mixed.explain(TABLE))
    assert_array_equal(made[:, 9:].T, list(mixed.score_terms(TABLE).values()))
    framed = clone_of(mixed).set_output(transform="pandas").transform(TABLE)
    assert framed.columns.tolist() == names.tolist()


def test_a_classifier_learns_from_its_features():
    strange = make_rows(60, seed=1) + [0, 8, 0, 0]
    rows, y = np.vstack([X, strange]), np.repeat([0, 1], [200, 60])
    pipeline = make_pipeline(small(), StandardScaler(), LogisticRegression())
    assert pipeline.fit(rows, y).score(rows, y) > 0.9


def test_explanations_go_through_a_pipeline(detector):
    pipeline = make_pipeline(StandardScaler(), small()).fit(X)
    assert explain(pipeline, X[:3]).shape == (3, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"term_weights": (1, 1, 1)}, r"term_weights=\(1, 1, 1\) must be 4 numbers"),
        ({"term_weights": (0, 0, 0, 0)}, "one must not be 0"),
        ({"term_weights": (1, -1, 0, 0)}, "none may be negative"),
        ({"hidden_sizes": ()}, r"hidden_sizes=\(\) must be"),
        ({"hidden_sizes": (8, 0)}, "positive integers"),
    ],
)
def test_wrong_tuples_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        small(**wrong).fit(X)
