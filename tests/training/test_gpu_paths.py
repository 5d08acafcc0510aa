"""What a GPU would be given, checked without one: no step of training mixes its tensors with the processor's."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter

from training.examples import make_data
from vit_tutorial import ViT, ViTConfig
from vit_tutorial.training import TrainingConfig, augmentation, loop
from vit_tutorial.training.augmentation import COLOUR_OPERATIONS, SHAPE_OPERATIONS, draw

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.__version__ < "2.14", reason="older versions of PyTorch ask for a real driver"),
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),  # by copy.deepcopy
]

GPU = torch.device("cuda", 0)
CHANGES = {"flip": True, "max_shift": 1, "distort": 1.0, "erase": 0.5, "cutmix": 0.4, "mixup": 0.4}


class PretendedGPU(TorchFunctionMode):
    """Here tensors on the GPU have a shape and no numbers; as on a real one, it is an error to mix devices."""

    def __init__(self):
        super().__init__()
        self.without_numbers = FakeTensorMode(allow_non_fake_inputs=True)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = tree_iter((args, kwargs))
        if any(isinstance(value, FakeTensor) or (isinstance(value, torch.device) and value == GPU) for value in given):
            with self.without_numbers:
                return function(*args, **kwargs)
        return function(*args, **kwargs)


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU on which all gradients are 0: gradients themselves need a real one."""

    def backward(loss):
        for parameter in backward.parameters:
            parameter.grad = torch.zeros_like(parameter)

    def move(module, device):
        for part in module.modules():
            for name, parameter in part.named_parameters(recurse=False):
                part.register_parameter(name, torch.nn.Parameter(torch.zeros_like(parameter, device=device)))
        backward.parameters = list(module.parameters())
        return module

    monkeypatch.setattr(loop, "choose_device", lambda name: GPU)
    monkeypatch.setattr(torch.nn.Module, "to", move)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    with PretendedGPU():
        yield


def one_step(optimizer="adamw"):
    grey = make_data()
    data = replace(
        grey, train_images=grey.train_images.expand(-1, 3, -1, -1), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
    )
    config = TrainingConfig(**CHANGES, optimizer=optimizer, average=0.9, precision="float32")
    learner = loop.Learner(ViT(ViTConfig(8, 4, 3, 2, 8, 2, 2)), data, config)
    images, labels = data.train_images[:64].to(GPU), data.train_labels[:64].to(GPU)
    draws = draw(64, (8, 8), **CHANGES, generator=torch.Generator().manual_seed(0))
    assert set(draws.shape.tolist()) == set(range(len(SHAPE_OPERATIONS)))
    assert set(draws.colour.tolist()) == set(range(len(COLOUR_OPERATIONS)))
    learner.forward_backward(images, labels, draws, 64)
    learner.step(0.1)
    return learner


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_on_a_gpu_mixes_no_devices(gpu, optimizer):
    learner = one_step(optimizer)
    state = [value for one in learner.optimizers for values in one.state.values() for value in values.values()]
    weights = [*learner.model.parameters(), *learner.average.model.parameters()]
    assert {tensor.device for tensor in (learner.loss, learner.sums, learner.norm, *weights)} == {GPU}
    assert GPU in {tensor.device for tensor in state}


@pytest.mark.parametrize("forgotten", ["send", "partners"])
def test_a_tensor_left_on_the_processor_is_found(gpu, monkeypatch, forgotten):
    if forgotten == "send":
        monkeypatch.setattr(augmentation, "send", lambda values, device: values)
    else:
        monkeypatch.setattr(loop, "partners", lambda labels: torch.zeros(len(labels), dtype=torch.long))
    with pytest.raises(RuntimeError, match="same device"):
        one_step()
