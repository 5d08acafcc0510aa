"""The CNN: equal to torchvision's ResNet, trained by the loop that trains the ViT, and what the paper says of it."""

from functools import partial
from itertools import pairwise

import pytest
import shapes
import torch
import torchvision
from references import assert_same, exactly, randomize
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet
from training.examples import CONFIG, make_data, same, weights

from vit_tutorial import ViT, count_parameters
from vit_tutorial.cnn import BLOCKS, CNN, RESNETS, BasicBlock, Bottleneck, CNNConfig
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.training import TrainingError, evaluate, fit, predict
from vit_tutorial.weights import ModelCard

SMALL = {"image_size": 12, "num_classes": 5, "layers": (1, 2, 1), "width": 4, "stem": "3x3"}


def cnn(**options):
    """Make a small network whose norms, too, have numbers that would show a fault."""
    model = randomize(CNN(CNNConfig(**(SMALL | options))).double())
    generator = torch.Generator().manual_seed(2)
    for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
        for numbers in (norm.weight.data, norm.running_var):
            numbers.copy_(1 + torch.rand(numbers.shape, generator=generator))
        norm.running_mean.copy_(torch.randn(norm.running_mean.shape, generator=generator) / 5)
    return model.eval()


def torchvisions(config):
    """Build torchvision's network of the same blocks. It has four stages, and the large stem."""
    block = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}[config.block]
    return torchvision.models.ResNet(block, list(config.layers), num_classes=config.num_classes).double().eval()


def pictures(batch=2, channels=3, size=(12, 12)):
    return torch.randn(batch, channels, *size, dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- torchvision


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("training", [False, True], ids=["in use", "in training"])
@pytest.mark.parametrize("size", [(64, 64), (45, 70)])
def test_weights_go_to_torchvision_and_give_the_same_logits_and_gradients(block, training, size):
    ours = cnn(block=block, layers=(2, 1, 1, 2), width=64, stem="7x7").train(training)
    theirs = torchvisions(ours.config).train(training)
    theirs.load_state_dict(ours.state_dict())
    images = pictures(4, size=size)
    one, other = ours(images), theirs(images)
    assert_same(one, other)
    one.square().sum().backward()
    other.square().sum().backward()
    assert_same(ours.conv1.weight.grad, theirs.conv1.weight.grad)
    for name, numbers in theirs.state_dict().items():  # the running means, too, have moved alike
        torch.testing.assert_close(ours.state_dict()[name], numbers, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", BLOCKS)
def test_weights_come_from_torchvision(block):
    ours = cnn(block=block, layers=(1, 1, 1, 1), width=64, stem="7x7")
    theirs = randomize(torchvisions(ours.config))
    ours.load_state_dict(theirs.state_dict())
    images = pictures(size=(40, 40))
    assert_same(ours(images), theirs(images))


@pytest.mark.parametrize("name", RESNETS)
def test_the_networks_of_the_paper_have_torchvisions_tensors_and_its_count_of_operations(name):
    with torch.device("meta"):
        ours = CNN.from_name(name)
        theirs = getattr(torchvision.models, name.lower().replace("-", ""))()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    about = torchvision.models.get_model_weights(name.lower().replace("-", "")).IMAGENET1K_V1.meta
    assert count_parameters(ours) == about["num_params"]
    assert flops_per_image(ours.config) / 2e9 == pytest.approx(about["_ops"], abs=5e-4)


def test_the_first_weights_are_torchvisions():
    torch.manual_seed(0)
    ours = CNN.from_name("ResNet-18")
    assert ours.config == CNNConfig()
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18()
    for name, numbers in theirs.state_dict().items():
        one, other = (ours.state_dict()[name].double(), numbers.double())
        if one.ndim > 1:
            assert one.std().item() == pytest.approx(other.std().item(), rel=0.1), name
        elif not name.startswith("fc"):
            assert torch.equal(one, other), name


# ---------------------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_block_adds_its_input(block):
    part = block(4 * block.expansion, 4).eval()
    last = part.bn2 if block is BasicBlock else part.bn3
    nn.init.zeros_(last.weight)  # the branch is silent
    x = torch.rand(2, 4 * block.expansion, 6, 6)
    assert part.downsample is None
    assert torch.equal(part(x), x)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize(("channels", "stride"), [(3, 1), (3, 2), (8, 2)])
def test_the_shortcut_changes_where_the_shape_does(block, channels, stride):
    part = block(channels, 8 // block.expansion, stride)
    assert part(torch.rand(2, channels, 7, 6)).shape == (2, 8, -(-7 // stride), 6 // stride)
    assert part.downsample is not None


# ---------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"stem": (4, 12, 12), "layer1.0": (4, 12, 12), "layer2.0": (8, 6, 6), "layer2.1": (8, 6, 6)}),
        ({"stem": "7x7"}, {"stem": (4, 3, 3), "layer1.0": (4, 3, 3), "layer2.0": (8, 2, 2), "layer3.0": (16, 1, 1)}),
        ({"block": "bottleneck"}, {"stem": (4, 12, 12), "layer1.0": (16, 12, 12), "layer3.0": (64, 3, 3)}),
    ],
)
def test_every_stage_has_its_name_and_the_last_is_the_answer(options, expected):
    model, images = cnn(**options), pictures()
    stages = model.forward_intermediates(images)
    assert list(stages) == ["stem", "layer1.0", "layer2.0", "layer2.1", "layer3.0", "pool", "logits"]
    assert {name: tuple(stages[name].shape[1:]) for name in expected} == expected
    assert torch.equal(stages["pool"], stages["layer3.0"].mean(dim=(2, 3)))
    assert torch.equal(stages["logits"], model(images))


def test_images_of_any_size_have_the_same_weights():
    model = cnn()
    assert model(pictures(size=(9, 20))).shape == (2, 5)
    assert model(pictures(1, size=(1, 1))).shape == (1, 5)


def test_an_image_does_not_see_the_rest_of_its_batch_in_use_but_in_training():
    model, images = cnn(), pictures(3)
    assert_same(model(images)[:1], model(images[:1]))
    model.train()
    assert not torch.allclose(model(images)[:2], model(images[:2]))  # batch norm: mean and variance of the batch


def test_every_parameter_gets_a_gradient():
    for block in BLOCKS:
        model = cnn(block=block).train()
        model(pictures(4)).square().sum().backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


@pytest.mark.parametrize(
    "options",
    [{}, {"stem": "7x7"}, {"block": "bottleneck"}, {"image_size": (13, 30), "in_channels": 1}, {"padding": "circular"}],
)
def test_the_flops_are_those_that_torch_counts(options):
    model = cnn(**options)
    size = model.config.image_size
    images = pictures(1, model.config.in_channels, size if isinstance(size, tuple) else (size, size))
    with FlopCounterMode(display=False) as counter:
        model(images)
    assert flops_per_image(model.config) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("make", "expected"),
    [(partial(CNN.from_name, "ResNet-50"), (4.0, 4.0, 4.0)), (partial(ViT.from_name, "ViT-B/16"), (4.5, 5.7, 8.8))],
    ids=["ResNet-50", "ViT-B/16"],
)
def test_twice_the_side_costs_a_cnn_four_times_as_much_and_a_vit_more_and_more(make, expected):
    with torch.device("meta"):
        costs = [flops_per_image(make(side).config) for side in (224, 448, 896, 1792)]
    ratios = [more / less for less, more in pairwise(costs)]
    assert ratios == pytest.approx(expected, abs=0.05)


def test_a_larger_picture_costs_a_vit_positions_and_a_cnn_no_parameters():
    with torch.device("meta"):
        small, large = (ViT.from_name("ViT-S/16", side) for side in (64, 128))
        assert count_parameters(large) - count_parameters(small) == 18_432 == (64 - 16) * 384
        more = large.position.pos_embed.numel() - small.position.pos_embed.numel()
        assert more == 18_432  # all of them are positions
        networks = [CNN.from_name("ResNet-50", side) for side in (64, 128)]
    assert len({count_parameters(network) for network in networks}) == 1


def test_published_accuracies_depend_on_the_recipe_as_much_as_on_the_model():
    """On ImageNet-1k, by torchvision: the ViT is above one ResNet-50 and level with another of the very same shape."""
    old, new = torchvision.models.ResNet50_Weights.IMAGENET1K_V1, torchvision.models.ResNet50_Weights.IMAGENET1K_V2
    accuracy = {
        name: weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        for name, weights in (("old", old), ("new", new), ("ViT", torchvision.models.ViT_B_16_Weights.IMAGENET1K_V1))
    }
    assert accuracy == {"old": 76.13, "new": 80.858, "ViT": 81.072}
    assert old.meta["num_params"] == new.meta["num_params"]


# ---------------------------------------------------------------------------------------------- moved pictures


def test_a_convolution_is_equivariant_to_every_shift_where_the_border_is_the_other_side():
    """To shift and then to convolve is to convolve and then to shift."""
    model = cnn(padding="circular", layers=(2,))
    images, shift = pictures(), {"shifts": (3, -5), "dims": (2, 3)}
    stages, moved = model.forward_intermediates(images), model.forward_intermediates(images.roll(**shift))
    for name in ("stem", "layer1.0", "layer1.1"):
        assert_same(moved[name], stages[name].roll(**shift))
    assert_same(moved["logits"], stages["logits"])  # and the mean over all places does not change at all


def test_with_strides_only_whole_multiples_of_them_pass():
    model, images = cnn(padding="circular"), pictures()  # two stages halve the sides: the stride is 4
    logits = model(images)
    assert_same(model(images.roll((4, -8), (2, 3))), logits)
    for pixels in (1, 2, 3):
        assert (model(images.roll(pixels, 3)) - logits).abs().max() > 1e-3


def test_a_border_of_zeros_tells_where_things_are():
    """A picture of one colour looks the same everywhere, unless there is a border to be near to."""
    grey = torch.full((1, 3, 12, 12), 0.5, dtype=torch.float64)
    for padding, tells in (("circular", False), ("zeros", True)):
        features = cnn(padding=padding, layers=(2,)).forward_intermediates(grey)["layer1.1"]
        middle = features[..., 6:7, 6:7]
        assert bool((features - middle).abs().max() > 1e-3) is tells
        assert_same(features[..., 5:7, 5:7], middle.expand(-1, -1, 2, 2))  # it sees 5 pixels to each side


# ---------------------------------------------------------------------------------------------- training


def trained(folder=None, epochs=CONFIG.epochs, **options):
    torch.manual_seed(0)
    data = make_data()
    model = CNN(CNNConfig(data.image_size, data.in_channels, data.num_classes, layers=(1, 1), width=4, stem="3x3"))
    return model, data, fit(model, data, CONFIG, checkpoint=folder, progress=False, **options)


@shapes.not_while_checking
def test_the_loop_of_the_vit_trains_it():
    model, data, history = trained()
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.model | {"width": 4, "layers": [1, 1], "parameters": count_parameters(model)} == history.model
    assert model.card == ModelCard.of(data)
    assert not model.training
    result = evaluate(model, data.test_images, data.test_labels)
    assert result.accuracy == (predict(model, data.test_images).argmax(1) == data.test_labels).double().mean()


@shapes.not_while_checking
def test_a_training_that_was_stopped_ends_with_the_same_weights_and_running_means(tmp_path):
    whole, *_ = trained()

    class Stop(Exception):
        pass

    def stop(history):
        raise Stop

    with pytest.raises(Stop):
        trained(tmp_path, on_epoch=stop)
    again, *_ = trained(tmp_path)
    assert same(weights(again), weights(whole))


@shapes.not_while_checking
def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    trained(tmp_path)
    data = make_data()
    other = CNN(CNNConfig(data.image_size, data.in_channels, data.num_classes, layers=(1, 1), width=8, stem="3x3"))
    with pytest.raises(TrainingError, match="width was 4 and is 8"):
        fit(other, data, CONFIG, checkpoint=tmp_path, progress=False)


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ()}, "layers is (); give one to four stages of 1 block or more each"),
        ({"layers": (1, 0)}, "a part of layers is 0; it must be 1 or more"),
        ({"layers": (1, 1, 1, 1, 1)}, "layers is (1, 1, 1, 1, 1); give one to four stages"),
        ({"width": 0}, "width is 0; it must be 1 or more"),
        ({"image_size": 0}, "image_size is 0; it must be 1 or more"),
        ({"image_size": (8, 8, 8)}, "the size is (8, 8, 8); give one whole number, or two as (height, width)"),
        ({"num_classes": 0}, "num_classes is 0; it must be 1 or more"),
        ({"block": "wide"}, "block is 'wide'; it must be one of 'basic', 'bottleneck'"),
        ({"padding": "reflect"}, "padding is 'reflect'; it must be one of 'zeros', 'circular'"),
        ({"layers": 3}, "layers is 3; it must be a tuple of whole numbers"),
    ],
)
def test_configs_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=exactly(message)):
        CNNConfig(**options)


def test_a_config_is_frozen():
    assert hash(CNNConfig()) == hash(CNNConfig())
    with pytest.raises(AttributeError):
        CNNConfig().width = 3


@shapes.not_while_checking
def test_a_list_from_json_is_a_tuple():
    assert CNNConfig(layers=[1, 2], image_size=[8, 9]) == CNNConfig(layers=(1, 2), image_size=(8, 9))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.zeros(2, 1, 12, 12), ValueError, "images have 1 channels but in_channels is 3; convert them"),
        (torch.zeros(3, 12, 12), ValueError, "got rank 3, shape [3, 12, 12]; add the batch axis with images[None]"),
        (torch.zeros(2, 12, 12, 3), ValueError, "with their 3 channels last; a model takes [B, C, H, W]: turn them"),
        (torch.zeros(2, 3, 12, 12), TypeError, "images are torch.float32 and the weights torch.float64; convert them"),
        (torch.full((1, 3, 12, 12), torch.nan).double(), ValueError, "images hold NaN or infinity in 432 of 432 val"),
        (torch.zeros(2, 3, 12, 12, dtype=torch.uint8), TypeError, "images are torch.uint8, but a model computes"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, error, message):
    with pytest.raises(error, match=exactly(message)):
        cnn()(images)


def test_a_config_is_that_of_a_cnn():
    with pytest.raises(TypeError, match=exactly("config must be a CNNConfig; got int")):
        CNN(64)


def test_a_name_that_is_not_in_the_paper_is_refused():
    with pytest.raises(ValueError, match=exactly("'ResNet-20' is no network of the paper; they are ResNet-18,")):
        CNN.from_name("ResNet-20")
