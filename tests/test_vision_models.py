"""Vision models of Hugging Face as pyramids; tiny ones, of random weights."""

import json
import shutil
import socket
import sys

import pytest
import torch

transformers = pytest.importorskip("transformers")

from skad._nets._backbones import (  # noqa: E402
    IMAGENET_MEAN,
    IMAGENET_STD,
    Level,
    load_backbone,
)
from skad._nets._weights import checksum  # noqa: E402

VIT = {
    "hidden_size": 8,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 4,
}
STAGES = {"hidden_sizes": [4, 8, 12, 16], "depths": [1, 1, 1, 1]}
N_REGISTERS = 3
TEXT = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 50,
}


def vit():
    return transformers.ViTModel(transformers.ViTConfig(**VIT))


def classifier():
    return transformers.ViTForImageClassification(transformers.ViTConfig(**VIT))


def dinov2():
    return transformers.Dinov2Model(transformers.Dinov2Config(**VIT, mlp_ratio=2))


def registers():
    config = transformers.Dinov2WithRegistersConfig(
        **VIT, mlp_ratio=2, num_register_tokens=N_REGISTERS
    )
    return transformers.Dinov2WithRegistersModel(config)


def clip_vision():
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VIT))


def clip():
    config = transformers.CLIPConfig(
        text_config=TEXT, vision_config=VIT, projection_dim=8
    )
    return transformers.CLIPModel(config)


def siglip():
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**VIT))


def resnet():
    config = transformers.ResNetConfig(embedding_size=4, layer_type="basic", **STAGES)
    return transformers.ResNetModel(config)


def convnext():
    return transformers.ConvNextModel(transformers.ConvNextConfig(**STAGES))


def mobilenet():
    config = transformers.MobileNetV2Config(depth_multiplier=0.1)
    return transformers.MobileNetV2Model(config)


def swin():
    config = transformers.SwinConfig(
        embed_dim=4,
        depths=[1, 1, 1],
        num_heads=[1, 1, 1],
        window_size=2,
        image_size=32,
        patch_size=4,
    )
    return transformers.SwinModel(config)


def made(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()


@pytest.fixture
def saved(tmp_path):
    def save(make):
        made(make).save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return save


def images(height=16, width=16):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def normalized(x, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    parts = [(x[:, c] - mean[c]) / std[c] for c in range(3)]
    return torch.stack(parts, dim=1)


@pytest.mark.parametrize(
    ("make", "n_prefix"),
    [
        (vit, 1),
        (classifier, 1),
        (dinov2, 1),
        (registers, 1 + N_REGISTERS),
        (clip_vision, 1),
        (clip, 1),
        (siglip, 0),
    ],
)
def test_tokens_are_maps_at_the_place_of_their_patches(make, n_prefix, saved):
    teacher = load_backbone(saved(make))
    x = images()
    model = made(make)
    model = getattr(model, "vit", getattr(model, "vision_model", model))
    with torch.no_grad():
        states = model(normalized(x), output_hidden_states=True).hidden_states
    # A quarter, a half and three quarters of four layers.
    for level, tokens in zip(teacher(x), states[1:4], strict=True):
        assert level.shape == (2, 8, 4, 4)
        for row in range(4):
            for column in range(4):
                expected = tokens[:, n_prefix + 4 * row + column]
                assert torch.equal(level[:, :, row, column], expected)


@pytest.mark.parametrize("make", [vit, dinov2, registers, clip_vision, siglip])
def test_tokens_are_maps_at_other_sizes_than_those_of_the_training(make, saved):
    teacher = load_backbone(str(saved(make)))
    assert teacher.describe(3, (24, 40)) == 3 * [Level(8, (6, 10))]
    # What sticks out makes a patch of its own.
    assert teacher.describe(1, (21, 17)) == 3 * [Level(8, (6, 5))]


def test_a_change_in_a_patch_is_greatest_in_its_token(saved):
    teacher = load_backbone(saved(vit))
    x = images(24, 40)
    other = x.clone()
    other[:, :, 12:16, 20:24] = 1 - other[:, :, 12:16, 20:24]
    for before, after in zip(teacher(x), teacher(other), strict=True):
        change = (after - before).square().sum(1)
        assert (change.flatten(1).argmax(1) == 3 * 10 + 5).all()


@pytest.mark.parametrize(("n_layers", "n_levels"), [(1, 1), (2, 2), (3, 2), (6, 3)])
def test_a_model_of_few_layers_has_fewer_levels(n_layers, n_levels):
    config = transformers.ViTConfig(**{**VIT, "num_hidden_layers": n_layers})
    teacher = load_backbone(transformers.ViTModel(config))
    assert len(teacher(images())) == n_levels


@pytest.mark.parametrize(
    ("make", "chosen"),
    [
        (resnet, (1, 2, 3)),
        (convnext, (1, 2, 3)),
        # The last of each resolution, of 17 states.
        (mobilenet, (1, 4, 11)),
    ],
)
def test_stages_of_a_convolutional_model_are_the_maps(make, chosen, saved):
    teacher = load_backbone(saved(make))
    x = images(64, 64)
    with torch.no_grad():
        states = made(make)(normalized(x), output_hidden_states=True).hidden_states
    maps = teacher(x)
    assert [level.shape[2] for level in maps] == [16, 8, 4]
    for level, state in zip(maps, [states[i] for i in chosen], strict=True):
        assert torch.equal(level, state)


def test_windowed_transformers_have_maps_of_several_sizes(saved):
    levels = load_backbone(saved(swin)).describe(3, (64, 48))
    assert [level.size for level in levels] == [(16, 12), (8, 6), (4, 3)]


def test_the_teacher_is_frozen(saved):
    teacher = load_backbone(saved(resnet)).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    teacher(images())
    assert not any(part.training for part in teacher.modules())
    assert not any(values.requires_grad for values in teacher.parameters())
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_model_may_be_given_itself_and_is_given_back(saved):
    model = made(vit).train()
    teacher = load_backbone(model)
    x = images()
    for a, b in zip(teacher(x), load_backbone(saved(vit))(x), strict=True):
        assert torch.equal(a, b)
    assert all(part.training for part in model.modules())
    assert all(values.requires_grad for values in model.parameters())


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({}, IMAGENET_MEAN, IMAGENET_STD),
        (
            {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.3]},
            (0.5, 0.4, 0.3),
            (0.1, 0.2, 0.3),
        ),
        ({"do_normalize": False, "image_mean": [9, 9, 9]}, (0, 0, 0), (1, 1, 1)),
    ],
)
def test_pixels_are_normalised_as_the_directory_says(settings, mean, std, saved):
    directory = saved(resnet)
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    teacher = load_backbone(directory)
    assert teacher.mean.flatten().tolist() == pytest.approx(mean)
    assert teacher.std.flatten().tolist() == pytest.approx(std)


def test_half_precision_is_loaded_as_single(saved):
    directory = saved(vit)
    made(vit).half().save_pretrained(directory)
    assert {p.dtype for p in load_backbone(directory).parameters()} == {torch.float32}


def test_what_a_classifier_lacks_is_the_same_every_time(saved):
    directory = saved(classifier)
    before = torch.random.get_rng_state()
    sums = {checksum(load_backbone(directory)) for _ in range(2)}
    assert len(sums) == 1
    assert torch.equal(before, torch.random.get_rng_state())


def test_weights_do_not_change_with_the_file_that_they_were_loaded_from(saved):
    directory = saved(vit)
    teacher = load_backbone(directory)
    before = checksum(teacher)
    path = directory / "model.safetensors"
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert checksum(teacher) == before


def broken(directory):
    (directory / "model.safetensors").write_text("no weights")


def unknown(directory):
    (directory / "config.json").write_text('{"model_type": "nonsense"}')


def none(directory):
    (directory / "model.safetensors").unlink()


def incomplete(directory):
    from safetensors.torch import load_file, save_file

    path = directory / "model.safetensors"
    weights = load_file(path)
    kept = {name: v for name, v in weights.items() if "layers.0" not in name}
    assert len(kept) < len(weights)
    save_file(kept, path, metadata={"format": "pt"})


def unreadable_settings(directory):
    (directory / "preprocessor_config.json").write_text("[")


def three_means_needed(directory):
    (directory / "preprocessor_config.json").write_text('{"image_mean": [0.5]}')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (broken, r"^backbone '.*model' cannot be loaded"),
        (unknown, r"^backbone '.*model' cannot be loaded: .*nonsense"),
        (none, r"^backbone '.*model' cannot be loaded: .*model\.safetensors"),
        (incomplete, r"^backbone '.*model' has no weights for '.*0.* ResNetModel"),
        (unreadable_settings, r"^backbone '.*model' cannot be loaded: Expecting"),
        (three_means_needed, r"^mean of backbone is \[0\.5\]; expected three"),
    ],
)
def test_a_directory_that_cannot_be_loaded_is_refused(damage, message, saved):
    directory = saved(resnet)
    damage(directory)
    with pytest.raises(ValueError, match=message):
        load_backbone(directory)


def test_a_model_of_texts_is_refused(saved):
    def bert():
        return transformers.BertModel(transformers.BertConfig(**TEXT))

    with pytest.raises(ValueError, match="^backbone is a BertModel, which takes no"):
        load_backbone(saved(bert))


def test_a_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^backbone is the directory .*config\.json"):
        load_backbone(tmp_path)


def test_a_missing_package_is_named(saved, monkeypatch):
    directory = saved(resnet)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r'transformers.*"skad\[vision\]"'):
        load_backbone(directory)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Make the hub's client work from a directory, and without a network."""

    def connect(*args):
        raise AssertionError("a test has used the network")

    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_name_is_looked_for_in_the_cache_of_the_hub(saved, cache):
    directory = saved(resnet)
    repository = cache / "models--owner--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(directory, repository / "snapshots" / ("0" * 40))
    assert checksum(load_backbone("owner/tiny")) == checksum(load_backbone(directory))


def test_a_name_that_cannot_be_found_is_refused(cache):
    message = "^backbone 'owner/unknown' cannot be loaded: "
    with pytest.raises(ValueError, match=message):
        load_backbone("owner/unknown")


@pytest.mark.parametrize("name", ["owner/net.pth", "a/b/c", "../net", "/net", "owner/"])
def test_what_is_no_name_is_not_looked_for(name, cache):
    with pytest.raises(ValueError, match="there is no such file or directory"):
        load_backbone(name)
