import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skad import BayesianVAE
from skad._nets._bayesian_vae import BayesianAutoencoder, NegativeELBO
from skad._nets._layers import MapAttention, MonteCarloDropout
from skad.datasets import make_brain_phantom
from skad.inspection import explain
from skad.metrics import roc_auc_score

IMAGES, Y, MASKS = make_brain_phantom(70, 20, size=40, random_state=0)
TRAIN, TEST = IMAGES[:50], IMAGES[50:]
SMALL = {"channels": (8, 16), "latent_dim": 8, "n_passes": 4, "image_size": 16}


def small(X=TRAIN, max_epochs=2, **params):
    detector = BayesianVAE(random_state=0, max_epochs=max_epochs, **SMALL)
    return detector.set_params(**params).fit(X)


@pytest.fixture(scope="module")
def trained():
    return BayesianVAE(max_epochs=30, random_state=0).fit(TRAIN)


@pytest.fixture(scope="module")
def quick():
    return small()


def module(**params):
    """Return a net for images of 16 x 16 pixels with random weights."""
    given = {
        "augment": False,
        "noise": 0.0,
        "predict_variance": True,
        "mirror": True,
        "uncertainty_weight": 0.25,
        "n_channels": 1,
        "size": (16, 16),
        "channels": (8, 16),
        "latent_dim": 8,
        "n_heads": 2,
        "dropout": 0.2,
        "n_passes": 5,
    }
    torch.manual_seed(0)
    return BayesianAutoencoder(**{"n_members": 1, **given, **params}).eval()


def rows(n_rows=6, n_channels=1):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n_rows, n_channels, 16, 16, generator=generator)
    return torch.cat([images, torch.ones(n_rows, 1, 16, 16)], dim=1)


def test_planted_lesions_are_found_and_located(trained):
    assert roc_auc_score(Y[50:], trained.score_samples(TEST)) > 0.9
    inside = np.where(MASKS[70:], -1, 1).ravel()
    assert roc_auc_score(inside, -trained.anomaly_map(IMAGES[70:]).ravel()) > 0.85


def test_training_is_what_finds_them(trained):
    untrained = BayesianVAE(max_epochs=1, lr=1e-12, random_state=0).fit(TRAIN)
    before = roc_auc_score(Y[50:], untrained.score_samples(TEST))
    assert roc_auc_score(Y[50:], trained.score_samples(TEST)) > before + 0.05
    error = np.abs(trained.reconstruct(TEST) - TEST)[:20].mean()
    assert error < np.abs(untrained.reconstruct(TEST) - TEST)[:20].mean() / 2


def test_training_finds_them_without_the_mirror_image():
    params = {"mirror": False, "random_state": 0}
    untrained = BayesianVAE(max_epochs=1, lr=1e-12, **params).fit(TRAIN)
    alike = BayesianVAE(max_epochs=30, **params).fit(TRAIN)
    before = roc_auc_score(Y[50:], untrained.score_samples(TEST))
    assert roc_auc_score(Y[50:], alike.score_samples(TEST)) > before + 0.05


@pytest.mark.parametrize(
    "change", [lambda X: 255 - X, lambda X: np.roll(X, 20, axis=2)], ids=["grey", "at"]
)
def test_what_was_never_seen_is_more_uncertain(trained, change):
    far = trained.score_terms(change(TEST[:20]))["uncertainty"]
    assert far.min() > 2 * trained.score_terms(TEST)["uncertainty"].max()


def test_the_score_is_the_sum_of_its_parts(quick):
    terms = quick.score_terms(TEST)
    assert list(terms) == ["error", "uncertainty"]
    expected = -terms["error"] - 0.25 * terms["uncertainty"]
    assert_allclose(quick.score_samples(TEST), expected, rtol=1e-5)
    other = small(uncertainty_weight=2.0).score_samples(TEST)
    assert_allclose(other, -terms["error"] - 2 * terms["uncertainty"], rtol=1e-5)


def test_the_parts_are_usual_for_most_training_images(quick):
    for term in quick.score_terms(TRAIN).values():
        assert abs(np.median(term)) < 0.05
        low, high = np.quantile(term, [0.1587, 0.8413])
        assert abs(high - low - 2) < 0.01


def test_total_uncertainty_is_the_sum(quick):
    maps = quick.predict_uncertainty(TEST)
    assert sorted(maps) == ["aleatoric", "epistemic", "total"]
    assert_allclose(maps.total, maps.epistemic + maps.aleatoric)
    for values in maps.values():
        assert values.shape == TEST.shape and values.dtype == np.float64
        assert values.min() > 0


def test_uncertainty_and_reconstruction_are_in_units_of_the_images(quick):
    scaled = small(3.0 * TRAIN + 7)
    assert_allclose(
        scaled.reconstruct(3.0 * TEST + 7), 3 * quick.reconstruct(TEST) + 7, rtol=1e-3
    )
    assert_allclose(
        scaled.predict_uncertainty(3.0 * TEST + 7).total,
        9 * quick.predict_uncertainty(TEST).total,
        rtol=1e-2,
    )


@pytest.fixture(scope="module")
def of_many_scanners():
    gains = np.random.default_rng(0).uniform(0.6, 1.4, size=(50, 1, 1))
    return small(gains * TRAIN + 20 * (gains - 1))


@given(gain=st.floats(0.8, 1.2), offset=st.floats(-5, 5))
@settings(max_examples=10)
def test_brightness_and_contrast_of_a_scan_do_not_matter(
    of_many_scanners, gain, offset
):
    expected = of_many_scanners.score_samples(TEST[:8])
    changed = of_many_scanners.score_samples(gain * TEST[:8] + offset)
    assert_allclose(changed, expected, atol=0.02)


def test_std_is_that_of_the_passes(quick):
    scores, std = quick.score_samples(TEST, return_std=True)
    assert_array_equal(scores, quick.score_samples(TEST))
    assert std.shape == (40,) and std.min() > 0
    alone = small(n_passes=1).score_samples(TEST, return_std=True)[1]
    assert_array_equal(alone, 0)


def test_maps_add_up_to_the_error(quick):
    mask_free = quick.net_.evaluate(quick._rows(TEST.reshape(40, -1)), "error_map")
    worst = np.sort(mask_free.reshape(40, -1), axis=1)[:, -12:].mean(axis=1)
    net = quick.net_.module_
    centre, spread = float(net.centre[0]), float(net.spread[0])
    error = (np.log(worst) / 2 - centre) / spread
    assert_allclose(quick.score_terms(TEST)["error"], error, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(9, 9), (13, 30), (20, 20, 3), (1, 7), (40, 3)])
def test_maps_have_the_size_of_the_images(shape):
    X = np.random.default_rng(0).normal(size=(12, *shape))
    detector = small(X, max_epochs=1)
    maps = [detector.anomaly_map(X), *detector.predict_uncertainty(X).values()]
    assert {values.shape for values in maps} == {(12, *shape[:2])}
    assert detector.explain(X).shape == detector.reconstruct(X).shape == X.shape
    flat = X.reshape(12, -1)
    assert_array_equal(detector.explain(flat), detector.explain(X).reshape(12, -1))
    if len(shape) == 3:
        assert_allclose(detector.explain(X).sum(axis=3), detector.anomaly_map(X))


def test_every_shape_gives_the_same_scores(quick):
    flat = small(TRAIN.reshape(50, -1), image_shape=(40, 40))
    for X in (TEST, TEST.reshape(40, -1), TEST[..., np.newaxis], TEST.astype(float)):
        assert_array_equal(flat.score_samples(X), quick.score_samples(TEST))


def test_explain_goes_through_the_inspection(quick):
    flat = TEST.reshape(40, -1)
    assert_array_equal(explain(quick, flat), quick.explain(flat))


def test_scores_belong_to_the_row(quick):
    expected = quick.score_samples(TEST)
    for index in (slice(0, 1), slice(5, 22), np.arange(40)[::-1]):
        assert_array_equal(quick.score_samples(TEST[index]), expected[index])
        maps = quick.predict_uncertainty(TEST[index]).total
        assert_array_equal(maps, quick.predict_uncertainty(TEST).total[index])


def test_scoring_draws_nothing(quick):
    torch.manual_seed(1)
    first = quick.score_samples(TEST, return_std=True)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert_array_equal(first, quick.score_samples(TEST, return_std=True))
    assert_array_equal(state, torch.get_rng_state())


def test_the_background_does_not_count():
    detector = small(background=30)
    changed = TEST.copy()
    changed[:, :2, :2] = 30
    assert_allclose(detector.score_samples(changed), detector.score_samples(TEST))
    assert (detector.anomaly_map(TEST)[:, :2, :2] == 0).all()
    assert (detector.predict_uncertainty(TEST).total[:, :2, :2] == 0).all()
    assert (detector.anomaly_map(TEST)[:, 18:22, 18:22] > 0).all()
    nothing = np.zeros((1, 40, 40))
    assert np.isfinite(detector.score_samples(nothing)).all()


def test_members_of_an_ensemble_differ_and_are_averaged():
    net = module(n_members=3, dropout=0, n_passes=1)
    mean, variance = net.passes(rows())
    assert mean.shape == variance.shape == (3, 6, 1, 16, 16)
    assert (mean[0] != mean[1]).any()
    maps = net.maps(rows())
    assert_allclose(maps["mean"].detach(), mean.mean(0).detach())
    assert_allclose(maps["epistemic"].detach(), mean.var(0, correction=0).detach())
    assert_allclose(maps["aleatoric"].detach(), variance.mean(0).detach())
    scores = small(n_members=2, dropout=0, n_passes=1).score_samples(TEST)
    assert np.isfinite(scores).all()


def test_without_the_variance_head_the_variance_is_one():
    _, variance = module(predict_variance=False).passes(rows())
    assert (variance == 1).all()


def test_noise_is_for_training_alone_and_stays_off_the_target():
    net = module(noise=1.0)
    x, seen = rows(), []
    net.members[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x[:, -1, :4] = 0
    assert_array_equal(net(x)[3][: len(x)], x)
    assert_array_equal(seen[0], x[:, :1])
    seen.clear()
    torch.manual_seed(0)
    assert_array_equal(net.train()(x)[3], x)
    noise = seen[0] - x[:, :1]
    assert (noise[:, :, :4] == 0).all() and noise.std() > 0.3
    # No finer than a lesion: neighbours get about the same.
    step = noise[:, :, 4:].diff(dim=-1)
    assert step.square().mean() < 0.2 * noise[:, :, 4:].square().mean()


def test_the_smaller_of_two_errors_counts_in_symmetric_images():
    net, x = module(), rows()
    with torch.no_grad():
        own = net.error_map(x)
        net.symmetry.fill_(0.51)
        coarse = net.coarse(x)
        residual, variance = coarse["residual"], coarse["variance"]
        apart = (residual - residual.flip(-1)).square()
        both = (variance + variance.flip(-1)) * 2  # the mean variance is 1 everywhere
        assert_allclose(net.error_map(x), torch.minimum(own, apart / both.sqrt()))
        assert 0.1 < (net.error_map(x) < own).float().mean() < 0.9


def test_a_difference_from_the_mirror_is_needed_in_symmetric_images():
    detector = small(max_epochs=5)
    assert detector.symmetry_ > 0.5
    assert small(mirror=False).symmetry_ == 0
    stripes = np.random.default_rng(0).normal(size=(50, 16, 16))
    asymmetric = small(stripes)
    assert asymmetric.symmetry_ < 0.2
    alone = small(stripes, mirror=False)
    assert_array_equal(asymmetric.anomaly_map(stripes), alone.anomaly_map(stripes))
    one_side, both_sides = TEST[:1].copy(), TEST[:1].copy()
    one_side[:, 14:20, 8:14] = both_sides[:, 14:20, 8:14] = 250
    both_sides[:, 14:20, 26:32] = 250
    assert detector.score_samples(one_side) < detector.score_samples(both_sides)
    maps = detector.anomaly_map(one_side)
    assert maps[0, 14:20, 8:14].mean() > 1.5 * maps[0, 14:20, 26:32].mean()


def test_the_loss_is_the_negative_evidence_bound():
    x = rows()
    x[:, -1, :4] = 0
    mean, log_variance = torch.randn(2, 6, 1, 16, 16)
    divergence = torch.rand(6)
    loss = NegativeELBO()
    loss.progress = 0.15
    variance = log_variance.exp()
    normal = torch.distributions.Normal(mean, variance.sqrt())
    likelihood = normal.log_prob(x[:, :1]) + np.log(2 * np.pi) / 2
    expected = 0.5 * divergence - likelihood[:, :, 4:].sum(dim=(1, 2, 3))
    found = loss((mean, log_variance, divergence, x), x)
    assert_allclose(found, expected.mean(), rtol=1e-5)


def test_the_divergence_is_that_of_the_latent_variables():
    net = module().members[0].train()
    image = rows(1)[:, :1]
    location, log_variance = net.encoder.eval()(image.repeat(5, 1, 1, 1)).chunk(2, 1)
    standard = torch.distributions.Normal(0, 1)
    latent = torch.distributions.Normal(location, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(latent, standard).sum(1)
    _, _, divergence = net.eval()(image)
    assert_allclose(divergence.detach(), expected.detach(), rtol=1e-4)


def test_attention_is_that_of_torch():
    block = MapAttention(8, 2).eval()
    x = torch.randn(3, 8, 4, 5)
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    weights = block.queries_keys_values
    with torch.no_grad():
        reference.in_proj_weight.copy_(weights.weight[..., 0, 0])
        reference.in_proj_bias.copy_(weights.bias)
        reference.out_proj.weight.copy_(block.output.weight[..., 0, 0])
        reference.out_proj.bias.copy_(block.output.bias)
        tokens = block.norm(x).flatten(2).transpose(1, 2)
        mixed, _ = reference(tokens, tokens, tokens)
        expected = x + mixed.transpose(1, 2).reshape(x.shape)
        assert_allclose(block(x), expected, atol=1e-5)


@given(st.floats(0, 0.9), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=30)
def test_a_pass_drops_the_same_maps_of_every_row(p, n_passes, n_rows, seed):
    torch.manual_seed(seed)
    dropout = MonteCarloDropout(p, 16, n_passes).eval()
    ones = torch.ones(n_passes * n_rows, 16, 2, 2)
    kept = dropout(ones).unflatten(0, (n_passes, n_rows))
    assert (kept == kept[:, :1, :, :1, :1]).all()
    assert_allclose(kept[kept != 0], 1 / (1 - p), rtol=1e-6)
    assert_array_equal(dropout(ones), kept.flatten(0, 1))


def test_training_goes_on_where_it_was():
    once = small(max_epochs=2, warm_start=True)
    n_before, size = once.n_iter_, once.image_size_
    once.fit(TRAIN)
    assert once.n_iter_ == n_before + 2 and once.image_size_ == size
    assert np.isfinite(once.score_samples(TEST)).all()


def test_it_stops_early_on_held_out_images():
    detector = small(max_epochs=200, n_iter_no_change=2, lr=0.05)
    assert detector.n_iter_ < 200
    assert "valid_loss" in detector.history_[0]


@pytest.mark.parametrize("image_size", [1, 9, 16, 500])
def test_the_net_sees_no_more_than_there_is(image_size):
    detector = small(TRAIN[:, :10], image_size=image_size, max_epochs=1)
    expected = [4 * -(-min(side, image_size) // 4) for side in (10, 40)]
    assert detector.image_size_ == tuple(expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_heads": 3}, r"n_heads is 3, which does not divide .* \(8, 16\)"),
        ({"channels": ()}, r"channels is \(\); expected 1 to 8 positive"),
        ({"channels": (8, 0.5)}, "channels is .* positive integers"),
        ({"dropout": 1.0}, "'dropout' parameter"),
    ],
)
def test_what_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        small(**params)


def test_images_without_any_contrast_are_scored():
    flat = np.full((20, 16, 16), 7)
    detector = small(flat, max_epochs=1)
    assert np.isfinite(detector.score_samples(flat)).all()


def test_a_clone_is_not_fitted(quick):
    again = clone(quick)
    assert not hasattr(again, "net_")
    assert_array_equal(again.fit(TRAIN).score_samples(TEST), quick.score_samples(TEST))
