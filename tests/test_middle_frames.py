"""The net that predicts the middle of a clip from both sides."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from skad._nets._middle_frames import MiddleFrameNet

N_CONTEXT, N_TARGET = 2, 3
N_FRAMES = 2 * N_CONTEXT + N_TARGET
TARGETS = range(N_CONTEXT, N_CONTEXT + N_TARGET)
SMALL = {
    "n_context": N_CONTEXT,
    "n_target": N_TARGET,
    "n_layers": 1,
    "n_heads": 2,
    "dropout": 0.0,
    "bridge": True,
    "kernel_size": 3,
    "merge_weight": 0.5,
    "residual": False,
    "patch_size": 4,
}


def made(n_colors=1, channels=(2, 4), **changes):
    """Return a net that is as large as a test needs, with weights by chance.

    Those of its last layer, which a residual net begins without, as well.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = begun(n_colors, channels, **changes)
        net.output.reset_parameters()
    return net.eval()


def begun(n_colors=1, channels=(2, 4), **changes):
    return MiddleFrameNet(n_colors, channels, **{**SMALL, **changes})


def made_clips(n_clips=2, n_frames=N_FRAMES, n_colors=1, height=6, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n_clips, n_frames, n_colors, height, width, generator=generator)


def n_parameters(net):
    return sum(weight.numel() for weight in net.parameters())


def logits(predicted):
    """Undo the last step of a prediction that is not residual."""
    return (2 * predicted - 1).atanh()


def test_the_net_of_the_paper_is_as_large_as_the_paper_s():
    net = made(
        channels=(16, 32, 64),
        n_context=3,
        n_layers=5,
        n_heads=8,
        kernel_size=5,
        merge_weight=0.85,
    )
    # What was released has a third input of 16 maps to the 64 gates of each ConvLSTM,
    # which in the first one of each direction is always zero and left out here.
    assert n_parameters(net) == 8_468_673 - 2 * 16 * 64 * 5 * 5
    assert n_parameters(net.layers[0]) == 443_200
    assert n_parameters(net.forwards.decoder[0]) == 591_040
    assert n_parameters(net.forwards.merge) == 76_992


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("n_colors", [1, 3])
@pytest.mark.parametrize("size", [(8, 4), (5, 7), (1, 3)])
def test_predicted_frames_are_as_large_as_the_frames(size, n_colors, residual):
    height, width = size
    net = made(n_colors, (2, 2, 4), residual=residual)
    clips = made_clips(n_colors=n_colors, height=height, width=width)
    with torch.no_grad():
        assert net(clips).shape == (2, N_TARGET, n_colors, height, width)


@pytest.mark.parametrize("channels", [(4,), (2, 4), (2, 2, 4)])
@pytest.mark.parametrize(("n_context", "n_target"), [(1, 1), (1, 3), (3, 2)])
def test_clips_and_nets_of_other_sizes(n_context, n_target, channels):
    net = made(channels=channels, n_context=n_context, n_target=n_target)
    with torch.no_grad():
        found = net(made_clips(n_frames=2 * n_context + n_target, height=8))
    assert found.shape == (2, n_target, 1, 8, 4)
    assert found.std() > 1e-3


def test_all_stages_but_the_first_halve_the_size():
    fine, coarse = made(channels=(2, 3, 4)).encode(made_clips(height=8)[0])
    assert fine.shape == (N_FRAMES, 2, 8, 4)
    assert coarse.shape == (N_FRAMES, 4, 2, 1)


def test_frames_are_enlarged_to_whole_blocks_by_repeating_their_borders():
    net, clips = made(channels=(2, 2, 4)), made_clips(height=5, width=7)
    enlarged = F.pad(clips.flatten(0, 1), (0, 1, 0, 3), mode="replicate")
    enlarged = enlarged.unflatten(0, clips.shape[:2])
    with torch.no_grad():
        assert_close(net(clips), net(enlarged)[..., :5, :7])


def test_what_is_beyond_the_border_of_a_frame_looks_grey():
    net = made()
    with torch.no_grad():
        grey = net.encode(torch.full((1, 1, 6, 4), 0.5)).fine
        white = net.encode(torch.ones(1, 1, 6, 4)).fine
    assert_close(grey, grey[..., :1, :1].expand_as(grey))
    assert (white - white[..., 2:3, 1:2]).abs().max() > 0.1


def test_the_encoding_of_a_frame_does_not_depend_on_others():
    net, frames = made(), made_clips()[0]
    together = net.encode(frames)
    for i, frame in enumerate(frames):
        for maps, alone in zip(together, net.encode(frame[None]), strict=True):
            assert_close(maps[i], alone[0], rtol=1e-4, atol=1e-5)


def test_predictions_of_a_clip_do_not_depend_on_others():
    net, clips = made(), made_clips(3)
    with torch.no_grad():
        alone = torch.cat([net(clip[None]) for clip in clips])
        assert_close(net(clips), alone, rtol=1e-4, atol=1e-5)


def influence(net, clips):
    """Return how much the prediction of each middle frame depends on each frame.

    Returns
    -------
    influence : tensor of shape (n_target, n_frames)
        The largest gradient.
    """
    clips = clips.clone().requires_grad_()
    # Not the sum, which a normalisation might hold constant.
    weights = made_clips(n_frames=N_TARGET, seed=1)
    values = (net(clips) * weights).sum((0, 2, 3, 4))
    gradients = [torch.autograd.grad(v, clips, retain_graph=True)[0] for v in values]
    return torch.stack([g.abs().amax((0, 2, 3, 4)) for g in gradients])


def expected_influence(merge_weight):
    """Tell which middle frame is predicted from which frames, by the definition."""
    expected = torch.zeros(N_TARGET, N_FRAMES, dtype=bool)
    for slot, target in enumerate(TARGETS):
        for frame in range(N_FRAMES):
            is_source = frame not in TARGETS
            is_before = merge_weight > 0 and frame < target
            is_after = merge_weight < 1 and frame > target
            expected[slot, frame] = is_source or is_before or is_after
    return expected


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("bridge", [False, True])
@pytest.mark.parametrize("merge_weight", [0, 0.3, 0.5, 1])
def test_a_frame_is_predicted_from_all_that_it_should_and_not_from_itself(
    merge_weight, bridge, residual
):
    net = made(merge_weight=merge_weight, bridge=bridge, residual=residual)
    found = influence(net, made_clips())
    expected = expected_influence(merge_weight)
    assert (found[~expected] == 0).all()
    assert (found[expected] > 0).all()


def test_without_layers_the_frames_before_are_all_that_is_known():
    net = made(n_layers=0, merge_weight=1)
    assert_close(
        influence(net, made_clips()) > 0,
        torch.tensor(
            [
                [False, True, False, False, False, False, False],
                [False, True, True, False, False, False, False],
                [False, True, True, True, False, False, False],
            ]
        ),
    )
    net = made(n_layers=0, merge_weight=0, bridge=False)
    assert_close(
        influence(net, made_clips()) > 0,
        torch.tensor(
            [
                [False, False, False, True, False, False, False],
                [False, False, False, False, True, False, False],
                [False, False, False, False, False, True, False],
            ]
        ),
    )


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("bridge", [False, True])
def test_a_reversed_clip_has_reversed_predictions(bridge, residual):
    net = made(bridge=bridge, residual=residual, n_layers=2)
    clips = made_clips()
    with torch.no_grad():
        assert not torch.allclose(net(clips.flip(1)), net(clips).flip(1), atol=1e-3)
        net.backwards.load_state_dict(net.forwards.state_dict())
        found, expected = net(clips.flip(1)), net(clips).flip(1)
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_directions_are_merged_by_their_weight():
    net, clips = made(merge_weight=0.3), made_clips()
    with torch.no_grad():
        merged = logits(net(clips))
        net.merge_weight = 1.0
        forwards = logits(net(clips))
        net.merge_weight = 0.0
        backwards = logits(net(clips))
    assert not torch.allclose(forwards, backwards, atol=1e-2)
    assert_close(merged, 0.3 * forwards + 0.7 * backwards, rtol=1e-4, atol=1e-5)


def test_a_direction_of_no_weight_is_left_out():
    both, forwards, backwards = (made(merge_weight=w) for w in (0.5, 1, 0))
    assert forwards.backwards is None
    assert backwards.forwards is None
    for net, direction in (forwards, forwards.forwards), (backwards, both.backwards):
        assert n_parameters(net) + n_parameters(direction) == n_parameters(both)


def test_parts_that_are_left_out_have_no_parameters():
    whole, clips = made(), made_clips()
    for net in made(n_layers=0), made(bridge=False), made(n_layers=0, bridge=False):
        assert n_parameters(net) < n_parameters(whole)
        with torch.no_grad():
            assert net(clips).shape == (2, N_TARGET, 1, 6, 4)
    names = [name for name, _ in made(n_layers=0).named_parameters()]
    assert not any("decoder" in name or name.startswith("layers") for name in names)
    names = [name for name, _ in made(bridge=False).named_parameters()]
    assert not any("memory." in name or "merge" in name for name in names)


@pytest.mark.parametrize("size", [(6, 4), (5, 3)])
def test_a_residual_net_begins_with_the_mean_of_both_neighbours(size):
    net, clips = begun(residual=True), made_clips(height=size[0], width=size[1])
    found = net(clips)
    for slot, target in enumerate(TARGETS):
        neighbours = torch.stack([clips[:, target - 1], clips[:, target + 1]])
        assert_close(found[:, slot], neighbours.mean(0))


@pytest.mark.parametrize("merge_weight, side", [(1, -1), (0, 1)])
def test_a_residual_net_of_one_direction_begins_with_the_frame_on_its_side(
    merge_weight, side
):
    net, clips = begun(residual=True, merge_weight=merge_weight), made_clips()
    beside = [target + side for target in TARGETS]
    assert_close(net(clips), clips[:, beside])


def test_values_of_predicted_frames_are_from_0_to_1():
    net, clips = made(3), made_clips(n_colors=3)
    with torch.no_grad():
        net.output.weight *= 1000
        found = net(clips)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.min() < 0.01
    assert found.max() > 0.99


def test_without_conv_lstms_all_frames_of_a_static_clip_are_predicted_alike():
    clips = made_clips(n_frames=1).expand(-1, N_FRAMES, -1, -1, -1)
    with torch.no_grad():
        found = made(bridge=False)(clips)
    assert_close(found, found[:, :1].expand_as(found), rtol=1e-4, atol=1e-5)


def test_errors_of_patches_are_of_the_frame_in_the_very_middle():
    net, clips = made(3), made_clips(n_colors=3, height=8)
    with torch.no_grad():
        found, predicted = net.patch_errors(clips), net(clips)
    assert found.shape == (2, 3, 1)
    slot = N_TARGET // 2
    for clip in range(2):
        squares = (predicted[clip, slot] - clips[clip, TARGETS[slot]]) ** 2
        expected = [squares[:, start : start + 4].mean() for start in (0, 2, 4)]
        assert_close(found[clip, :, 0], torch.stack(expected))


def test_training_makes_predictions_better():
    net, clips = made(n_target=1), made_clips(n_frames=1)
    clips = clips.expand(-1, 5, -1, -1, -1)  # What does not move can be learned.
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.mse_loss(net(clips), clips[:, 2:3])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


def test_all_parts_of_a_net_are_trained():
    for residual in False, True:
        net = made(residual=residual)
        net(made_clips()).square().mean().backward()
        for name, weight in net.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().max() > 0, name
