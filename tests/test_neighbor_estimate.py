"""What neighbours say of a node: the net, its loss, and what it is given."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad._nets._canemon import NeighborEstimate, NeighborLoss
from skad._nets._rows import Batches
from skad._nets._snapshots import LastSnapshots, Snapshots, Stars
from skad._network import Scene

N_CHANNELS, N_ATTRIBUTES, N_FEATURES, WINDOW = 2, 1, 3, 4
OF_NODES = ("values", "masks", "attributes", "readings", "seen")


def net_of(seed=0, is_trained=True, window_size=WINDOW, **options):
    """Return a net in float64, whose rounding no test mistakes for an error."""
    sizes = {"window_size": window_size, "hidden_size": 8, "attention_size": 4}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = NeighborEstimate(N_CHANNELS, N_ATTRIBUTES, N_FEATURES, **sizes, **options)
        for parameter in net.parameters() if is_trained else ():
            torch.nn.init.normal_(parameter, std=0.5)
    return net.double()


def batch_of(seed=0, n_nodes=6, n_neighbors=3, share=0.7, n_batches=2):
    """Return a batch; `share` is that of neighbours and readings that are there."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return torch.tensor(rng.normal(size=(n_batches, n_nodes, *shape)))

    def some(*shape):
        return torch.tensor(rng.random((n_batches, n_nodes, *shape)) < share)

    masks = some(N_CHANNELS * WINDOW).double()
    ranks = rng.permuted(
        np.tile(np.arange(1, n_nodes), (n_batches, n_nodes, 1)), axis=2
    )
    others = (np.arange(n_nodes)[:, np.newaxis] + ranks) % n_nodes
    index = torch.tensor(others[:, :, :n_neighbors])
    return {
        "values": draw(N_CHANNELS * WINDOW) * masks,
        "masks": masks,
        "attributes": draw(N_ATTRIBUTES),
        "readings": 3 * draw(N_CHANNELS),
        "seen": some(N_CHANNELS),
        "index": torch.where(some(n_neighbors), index, -1),
        "pairs": draw(n_neighbors, N_FEATURES),
    }


def told_by(batch):
    """Return which neighbour tells which channel, of shape of index plus channels."""
    told = np.zeros((*batch["index"].shape, N_CHANNELS), dtype=bool)
    for b, i, k in np.ndindex(*batch["index"].shape):
        if batch["index"][b, i, k] >= 0:
            told[b, i, k] = batch["seen"][b, batch["index"][b, i, k]]
    return told


def numbers(found):
    return {name: part.detach().numpy() for name, part in found.items()}


batches = st.builds(
    batch_of,
    seed=st.integers(0, 999),
    n_nodes=st.integers(4, 9),
    n_neighbors=st.integers(1, 3),
    share=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)
nets = st.builds(net_of, seed=st.integers(0, 99))


@given(nets, batches)
def test_attention_sums_to_one_or_is_zero(net, batch):
    found, told = numbers(net(**batch)), told_by(batch)
    speaks = told.any(axis=3)
    attention = found["attention"]
    assert_array_equal(attention[~speaks], 0)
    assert np.all(attention[speaks] > 0)
    assert_allclose(attention.sum(axis=2), speaks.any(axis=2), rtol=1e-12)
    assert_array_equal(found["is_told"], told.any(axis=2))
    assert_array_equal(found["n_neighbors"], speaks.sum(axis=2))
    attended = net.attend(batch)["attention"].detach()
    assert_array_equal(attended, attention)
    assert all(np.isfinite(part).all() for part in found.values())


@given(nets, batches)
def test_who_says_nothing_has_no_influence(net, batch):
    told = told_by(batch)
    speaks = told.any(axis=3)
    other = {name: part.clone() for name, part in batch.items()}
    other["readings"][~batch["seen"]] = 1e6
    other["pairs"][~torch.tensor(speaks)] = 1e3
    for b in range(len(speaks)):
        counts = {0, *batch["index"][b, 0][speaks[b, 0]].tolist()}
        for node in set(range(speaks.shape[1])) - counts:
            for name in OF_NODES[:4]:
                other[name][b, node] = 1e3
    found, again = numbers(net(**batch)), numbers(net(**other))
    for name in found:
        assert_array_equal(again[name][:, 0], found[name][:, 0])


@given(nets, batches, st.floats(-10, 10))
def test_what_is_added_to_all_neighbors_is_added_to_the_estimate(net, batch, number):
    found = numbers(net(**batch))
    moved = numbers(net(**batch | {"readings": batch["readings"] + number}))
    expected = found["estimate"] + number * found["is_told"]
    assert_allclose(
        moved["estimate"][found["is_told"]],
        expected[found["is_told"]],
        rtol=1e-9,
        atol=1e-9,
    )
    assert_allclose(moved["log_spread"], found["log_spread"], rtol=1e-7, atol=1e-7)
    for name in ("attention", "own_estimate", "own_log_spread"):
        assert_array_equal(moved[name], found[name])


@given(nets, batches, st.randoms(use_true_random=False))
def test_the_order_of_neighbors_does_not_matter(net, batch, random):
    width = batch["index"].shape[2]
    order = random.sample(range(width), width)
    parts = {name: batch[name][:, :, order] for name in ("index", "pairs")}
    found, again = numbers(net(**batch)), numbers(net(**batch | parts))
    attention = found.pop("attention")[:, :, order]
    assert_allclose(again.pop("attention"), attention, rtol=1e-9, atol=1e-12)
    for name in found:
        assert_allclose(again[name], found[name], rtol=1e-7, atol=1e-9)


def estimate_by_hand(net, batch, b, i):
    """Return attention and estimate for a node, neighbour by neighbour."""
    told = told_by(batch)[b, i]
    share = batch["masks"][b].mean(-1, keepdim=True)
    parts = [batch[name][b] for name in ("values", "masks", "attributes")]
    nodes = net.encoder(torch.cat([*parts, share], dim=-1))
    attention, total, weight_sum = np.zeros(len(told)), np.zeros(2), np.zeros(2)
    for k in np.flatnonzero(told.any(axis=1)):
        j, pair = batch["index"][b, i, k], batch["pairs"][b, i, k]
        logit = net.query(nodes[i]) @ net.key(nodes[j]) / 2 + net.affinity(pair)
        attention[k] = logit.exp().item()
        hidden = net.scale_of_target(nodes[i]) + net.scale_of_neighbor(nodes[j])
        hidden = torch.relu(hidden + net.scale_of_pair(pair))
        log_scale, shift = net.scale(hidden).detach().numpy().reshape(2, N_CHANNELS)
        weights = attention[k] * np.exp(log_scale) * told[k]
        total += weights * (batch["readings"][b, j].numpy() + shift)
        weight_sum += weights
    return attention / attention.sum(), total / weight_sum


@given(nets, batches)
def test_neighbors_are_moved_scaled_and_weighed(net, batch):
    found = numbers(net(**batch))
    for b, i in np.argwhere(found["is_told"].all(axis=2)):
        attention, estimate = estimate_by_hand(net, batch, b, i)
        assert_allclose(found["attention"][b, i], attention, rtol=1e-9, atol=1e-12)
        assert_allclose(found["estimate"][b, i], estimate, rtol=1e-9, atol=1e-9)


@given(batches)
def test_before_it_has_learnt_neighbors_are_taken_as_they_are(batch):
    found, told = numbers(net_of(is_trained=False)(**batch)), told_by(batch)
    readings = batch["readings"].numpy()
    for b, i, c in zip(*np.nonzero(found["is_told"]), strict=True):
        speaks = told[b, i, :, c]
        says = readings[b, batch["index"][b, i].numpy()[speaks], c]
        weights = found["attention"][b, i, speaks]
        mean = np.average(says, weights=weights)
        assert_allclose(found["estimate"][b, i, c], mean, rtol=1e-9, atol=1e-12)


def test_weights_sum_to_one_however_attention_is_shared():
    net, batch = net_of(is_trained=False), batch_of(share=1.0, n_neighbors=2)
    with torch.no_grad():
        net.affinity[0].weight.fill_(1)
        net.affinity[0].bias.fill_(0)
        net.affinity[2].weight.fill_(10)
    # Nearly all attention is on a neighbour that does not tell the first channel.
    first, second = batch["index"][0, 0]
    batch["pairs"][:] = 0
    batch["pairs"][0, 0, 0] = 1.0
    batch["seen"][0, first, 0] = False
    found = numbers(net(**batch))
    assert found["attention"][0, 0, 0] > 1 - 1e-12
    expected = batch["readings"][0, second, 0]
    assert_allclose(found["estimate"][0, 0, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("log_scale", [-1e3, 1e3])
def test_no_scale_is_too_large_or_too_small(log_scale):
    batch = batch_of(share=0.7)
    usual, net = (net_of(is_trained=False).float() for _ in range(2))
    with torch.no_grad():
        net.scale.bias[:N_CHANNELS] += log_scale
    batch = {n: p.float() if p.is_floating_point() else p for n, p in batch.items()}
    found, expected = numbers(net(**batch)), numbers(usual(**batch))
    # All scales are the same, and weights sum to one; what is added of them in float32
    # is known to 1000 * 2 ** -23.
    told = expected["is_told"]
    assert_allclose(found["estimate"][told], expected["estimate"][told], atol=2e-3)


@given(batches)
def test_from_the_past_only_contexts_count(batch):
    net = net_of(is_trained=False, from_past=True)
    found = numbers(net(**batch))
    now = {"readings": batch["readings"] + 1e6, "seen": ~batch["seen"]}
    again = numbers(net(**batch | now))
    for name in found:
        assert_array_equal(again[name], found[name])
    shape = (*batch["values"].shape[:2], N_CHANNELS, WINDOW)
    values, masks = (batch[name].reshape(shape).numpy() for name in ("values", "masks"))
    n_seen = masks.sum(axis=3)
    means = torch.tensor(values.sum(axis=3) / np.maximum(n_seen, 1))
    present = net_of(is_trained=False)
    present.load_state_dict(net.state_dict(), strict=False)
    expected = numbers(
        present(**batch | {"readings": means, "seen": torch.tensor(n_seen > 0)})
    )
    for name in found:
        assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-12)


def test_own_estimates_count_where_nobody_speaks():
    net, batch = net_of(), batch_of(share=0.4, n_nodes=20)
    found, judged = numbers(net(**batch)), numbers(net.judge(batch))
    told = found["is_told"]
    assert told.any() and not told.all()
    expected = np.where(told, found["estimate"], found["own_estimate"])
    assert_array_equal(judged["estimate"], expected)
    log_spread = np.where(told, found["log_spread"], found["own_log_spread"])
    assert_allclose(judged["spread"], np.exp(log_spread) + 0.1)
    assert_array_equal(judged["n_neighbors"], found["n_neighbors"])


def test_the_loss_is_that_of_what_was_seen():
    net, batch = net_of(), batch_of(share=0.6)
    found = net(**batch)
    loss = NeighborLoss()(found, batch)
    parts, seen = numbers(found), batch["seen"].numpy()
    expected = 0
    for name, counts in (("", seen & parts["is_told"]), ("own_", seen)):
        error = np.abs(batch["readings"].numpy() - parts[f"{name}estimate"])[counts]
        huber = np.where(error < 0.5, error**2 / 2, 0.5 * (error - 0.25))
        log_spread = parts[f"{name}log_spread"][counts]
        expected += np.mean(huber + error / np.exp(log_spread) + log_spread)
    assert_allclose(loss.item(), expected, rtol=1e-9)
    batch["readings"][~batch["seen"]] = 1e6
    assert NeighborLoss()(found, batch).item() == loss.item()


def gradients(net, batch):
    net.zero_grad()
    NeighborLoss()(net(**batch), batch).backward()
    return {name: part.grad.clone() for name, part in net.named_parameters()}


@pytest.mark.parametrize("from_past", [False, True])
@pytest.mark.parametrize("silent", ["index", "seen", "masks", "all"])
def test_silence_leaves_loss_and_gradients_finite(from_past, silent):
    net, batch = net_of(from_past=from_past), batch_of(share=0.5)
    nothing = {
        "index": torch.full_like(batch["index"], -1),
        "seen": torch.zeros_like(batch["seen"]),
        "masks": torch.zeros_like(batch["masks"]),
    }
    nothing = nothing if silent == "all" else {silent: nothing[silent]}
    batch |= nothing
    assert torch.isfinite(NeighborLoss()(net(**batch), batch))
    assert all(part.isfinite().all() for part in gradients(net, batch).values())


def test_spreads_do_not_teach_estimates():
    net, batch = net_of(), batch_of()
    before = gradients(net, batch)
    with torch.no_grad():
        for layers in (net.spread, net.own_spread):
            layers[-1].bias += 3
    after = gradients(net, batch)
    for name in before:
        if "spread" not in name:
            assert_array_equal(after[name], before[name])
    assert torch.any(before["spread.2.bias"] != after["spread.2.bias"])


def scene_of(n_steps=9, n_targets=4, n_nodes=4, n_neighbors=2, seed=0):
    rng = np.random.default_rng(seed)
    channels = rng.normal(size=(n_steps, n_nodes, N_CHANNELS))
    channels[rng.random(channels.shape) < 0.3] = np.nan
    return Scene(
        channels,
        rng.integers(-1, n_nodes, (n_targets, n_neighbors)),
        rng.normal(size=(n_targets, n_neighbors, N_FEATURES)),
        rng.normal(size=(n_nodes, N_ATTRIBUTES)),
        np.full(n_targets, -1),
    )


def assert_same(batch, expected):
    assert batch.keys() == expected.keys()
    for name, part in batch.items():
        assert_array_equal(part, expected[name])


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5))
def test_contexts_end_a_horizon_before_their_step(n_steps, window_size, horizon):
    scene = scene_of(n_steps)
    snapshots = Snapshots(scene, window_size, horizon)
    batch = snapshots[:]
    assert len(snapshots) == len(batch["readings"]) == n_steps
    seen = ~np.isnan(scene.channels)
    values = np.where(seen, scene.channels, 0).astype(np.float32)
    shape = (n_steps, 4, N_CHANNELS, window_size)
    found, masks = (batch[name].reshape(shape) for name in ("values", "masks"))
    for step in range(n_steps):
        for k in range(window_size):
            past = step - window_size - horizon + 1 + k
            here = values[past] if past >= 0 else np.zeros((4, N_CHANNELS))
            was_seen = seen[past] if past >= 0 else np.zeros((4, N_CHANNELS))
            assert_array_equal(found[step, :, :, k], here)
            assert_array_equal(masks[step, :, :, k], was_seen)
    assert_array_equal(batch["readings"], values)
    assert_array_equal(batch["seen"], seen)
    for step in range(n_steps):
        assert_array_equal(batch["index"][step], scene.index)
        assert_array_equal(batch["pairs"][step], scene.pairs.astype(np.float32))
        assert_array_equal(batch["attributes"][step], np.float32(scene.attributes))


@pytest.mark.parametrize("kind", [Snapshots, Stars])
def test_parts_are_those_of_the_whole(kind):
    scene = scene_of(n_targets=9, n_nodes=12)
    rows = Snapshots(scene, 3, 2) if kind is Snapshots else Stars(scene)
    whole = rows[:]
    for part in (slice(2, 5), slice(8, 99), torch.tensor([7, 0, 7]), np.array([8, 3])):
        assert_same(rows[part], {name: every[part] for name, every in whole.items()})
    passes = [batch for batch, _ in Batches(rows, 4)]
    assert len(passes) == 3
    together = {name: torch.cat([batch[name] for batch in passes]) for name in whole}
    assert_same(together, whole)


def test_contexts_are_views_until_they_are_asked_for():
    snapshots = Snapshots(scene_of(50), 20, 5)
    for part in snapshots._contexts:
        assert part.untyped_storage().nbytes() == 4 * (50 + 24) * 4 * N_CHANNELS


def test_a_star_holds_a_node_and_its_neighbors():
    scene = scene_of(1, n_targets=3, n_nodes=8)
    scene.index[:] = [[5, 3], [-1, 7], [4, -1]]
    stars = Stars(scene)
    batch = stars[:]
    assert len(stars) == 3
    values = np.nan_to_num(scene.channels[0]).astype(np.float32)
    for star, nodes in enumerate([[0, 5, 3], [1, 7], [2, 4]]):
        there = [0, *(1 + np.flatnonzero(scene.index[star] >= 0))]
        assert_array_equal(batch["readings"][star, there], values[nodes])
        seen = ~np.isnan(scene.channels[0, nodes])
        assert_array_equal(batch["seen"][star, there], seen)
        attributes = scene.attributes[nodes].astype(np.float32)
        assert_array_equal(batch["attributes"][star, there], attributes)
    assert_array_equal(batch["index"], [[[1, 2]], [[-1, 2]], [[1, -1]]])
    assert_array_equal(batch["pairs"][:, 0], scene.pairs.astype(np.float32))
    assert batch["values"].shape == batch["masks"].shape == (3, 3, 0)


def test_stars_are_judged_as_the_whole_is():
    scene = scene_of(1, n_targets=6, n_nodes=9)
    stars = {
        name: part.double() if part.is_floating_point() else part
        for name, part in Stars(scene)[:].items()
    }
    nothing = torch.zeros(1, 9, 0, dtype=torch.float64)
    whole = {
        "values": nothing,
        "masks": nothing,
        "attributes": torch.tensor(np.float32(scene.attributes))[None],
        "readings": torch.tensor(np.float32(np.nan_to_num(scene.channels))),
        "seen": torch.tensor(~np.isnan(scene.channels)),
        "index": torch.tensor(scene.index)[None],
        "pairs": torch.tensor(np.float32(scene.pairs))[None],
    }
    whole = {n: p.double() if p.is_floating_point() else p for n, p in whole.items()}
    net = net_of(window_size=0)
    found, expected = numbers(net(**stars)), numbers(net(**whole))
    for name in found:
        assert_allclose(found[name][:, 0], expected[name][0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("fraction", "n_held"), [(0.01, 1), (0.1, 2), (0.25, 5), (0.95, 19)]
)
def test_the_last_steps_are_held_out(fraction, n_held):
    train, valid = LastSnapshots(fraction)(Snapshots(scene_of(20), 3, 1))
    assert_array_equal(train.indices, np.arange(20 - n_held))
    assert_array_equal(valid.indices, np.arange(20 - n_held, 20))


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="validation_fraction=0.5 of 1 time steps"):
        LastSnapshots(0.5)(Snapshots(scene_of(1), 3, 1))


def test_nodes_are_judged_alike_in_parts(monkeypatch):
    net, batch = net_of(seed=3), batch_of(seed=3, n_nodes=9)
    expected = numbers(net.judge(batch)) | numbers(net.attend(batch))
    monkeypatch.setattr("skad._nets._canemon._N_TARGETS", 4)
    found = numbers(net.judge(batch)) | numbers(net.attend(batch))
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert_allclose(values, expected[name], rtol=1e-12)
