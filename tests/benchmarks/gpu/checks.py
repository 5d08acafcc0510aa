"""Step `checks`: the model, the augmentation and the training on a device, compared with what they must equal.

Each check gives names with two numbers: what was found and the most that it may be. Errors are lengths of differences
over lengths, without units, unless the name says otherwise. All of them also run on a CPU.
"""

import contextlib
import copy
import math
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator

import torch
from gpu.common import device_of, error, step_of
from gpu.journal import Journal, OutOfTime
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from vit_tutorial import MLP, ClassToken, EncoderBlock, MultiHeadAttention, PatchEmbedding, ViT, ViTConfig
from vit_tutorial.datasets import Dataset
from vit_tutorial.positions import PositionEmbedding
from vit_tutorial.support.seeds import seeded
from vit_tutorial.training import TrainingConfig, fit
from vit_tutorial.training.augmentation import (
    COLOUR_OPERATIONS,
    SHAPE_OPERATIONS,
    augment,
    change_colour,
    change_shape,
    draw,
    erase,
    flip,
    mix,
    shift,
)
from vit_tutorial.training.devices import autocast, number_format
from vit_tutorial.training.optimizers import MovingAverage, make_optimizers

Numbers = dict[str, tuple[float, float]]  # name: found, at most
FLOAT32, TF32, BFLOAT16 = 2e-5, 2e-3, 4e-2  # errors that these formats may make in a model of a few layers
EVERYTHING = {"flip": True, "max_shift": 3, "distort": 0.5, "erase": 0.5, "cutmix": 0.4, "mixup": 0.4}
SMALL = {"image_size": 32, "patch_size": 4, "in_channels": 3, "num_classes": 10, "dim": 48, "depth": 2, "num_heads": 3}
VARIANTS = {
    "class token": {},
    "mean": {"pool": "mean"},
    "post-norm": {"norm": "post"},
    "tanh GELU": {"gelu": "tanh"},
    "sin-cos positions": {"position": "sincos"},
    "no positions": {"position": "none"},
    "no bias": {"qkv_bias": False},
    "extra layer": {"representation_size": 16},
}


def run(settings: dict, journal: Journal) -> None:
    """Run all checks, the most important first, and write each down; a failure does not stop the others."""
    device = device_of(settings)
    for check in CHECKS:
        journal.check_time(3.0)
        started = time.perf_counter()
        torch.manual_seed(0)
        entry = {"name": check.__doc__.splitlines()[0].rstrip("."), "passed": False}
        try:
            numbers = check(device)
            failed = [name for name, (found, most) in numbers.items() if not found <= most]
            entry |= {"passed": not failed, "failed": failed, "numbers": {k: list(v) for k, v in numbers.items()}}
        except OutOfTime:
            journal.add("checks", entry | {"words": "the time was up"})
            raise
        except Exception as problem:
            entry |= {"words": f"{type(problem).__name__}: {problem}"[:500], "traceback": traceback.format_exc()}
        journal.add("checks", entry | {"seconds": round(time.perf_counter() - started, 1)})


# --- The model -------------------------------------------------------------------------------------------------------


def parts_equal_float64(device: torch.device) -> Numbers:
    """Every part of the model on the card equals float64 on the CPU, forward and backward."""
    tokens, images = torch.randn(3, 70, 48), torch.randn(3, 3, 32, 32)
    parts = {
        "patch embedding": (PatchEmbedding(32, 4, 3, 48), images),
        "class token": (ClassToken(48), tokens),
        "positions": (PositionEmbedding(70, 48), tokens),
        "MLP": (MLP(48, 96), tokens),
        "attention, fused": (MultiHeadAttention(48, 3), tokens),
        "attention, explicit": (MultiHeadAttention(48, 3, fused=False), tokens),
        "block, pre-norm": (EncoderBlock(48, 3), tokens),
        "block, post-norm": (EncoderBlock(48, 3, norm="post"), tokens),
    }
    numbers = {}
    for name, (part, x) in parts.items():
        with exactly():
            numbers |= compared(f"{name}, float32", part, x, device, FLOAT32)
        numbers |= compared(f"{name}, bfloat16", part, x, device, BFLOAT16, "bfloat16")
    return numbers


def models_equal_float64(device: torch.device) -> Numbers:
    """The whole ViT on the card equals float64 on the CPU, forward and backward, in every variant."""
    images, numbers = torch.randn(4, 3, 32, 32), {}
    for name, options in VARIANTS.items():
        model = ViT(ViTConfig(**SMALL | options)).eval()
        with exactly():
            numbers |= compared(f"{name}, float32", model, images, device, FLOAT32)
        numbers |= compared(f"{name}, bfloat16", model, images, device, BFLOAT16, "bfloat16")
    with exactly(tf32=True):
        numbers |= compared("class token, TF32 in the patch embedding", model, images, device, TF32)
    return numbers


def compared(
    name: str, part: nn.Module, x: Tensor, device: torch.device, most: float, precision: str = "float32"
) -> Numbers:
    """Give the errors of output and gradients on the device, against the same in float64 on the CPU."""
    exact, inexact = copy.deepcopy(part).double(), copy.deepcopy(part).to(device)
    outputs, gradients = [], []
    for twin, given in ((exact, x.double()), (inexact, x.to(device))):
        given = given.clone().requires_grad_()
        with autocast(device, precision) if twin is inexact else contextlib.nullcontext():
            output = twin(given)
        weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).sin().view(output.shape)
        (output.double() * weights.to(output.device)).sum().backward()
        outputs.append(output)
        gradients.append(torch.cat([t.grad.detach().cpu().double().flatten() for t in (given, *twin.parameters())]))
    return {name: (error(*reversed(outputs)), most), f"{name}, gradients": (error(*reversed(gradients)), most)}


@contextlib.contextmanager
def exactly(tf32: bool = False) -> Iterator[None]:
    """Let float32 be float32 inside this context: by default convolutions on a card use fewer digits (TF32)."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def fused_equals_explicit(device: torch.device) -> Numbers:
    """Fused attention equals explicit attention on the card, forward and backward."""
    numbers = {}
    for tokens in (17, 64, 65, 197):
        fused = MultiHeadAttention(96, 3).to(device)
        explicit = copy.deepcopy(fused)
        explicit.fused = False
        x = torch.randn(4, tokens, 96, device=device)
        for precision, most in (("float32", FLOAT32), ("bfloat16", BFLOAT16)):
            found = []
            for one in (fused, explicit):
                given = x.clone().requires_grad_()
                with autocast(device, precision):
                    output = one(given)
                output.float().square().sum().backward()
                found.append((output, given.grad))
            for what, left, right in zip(("output", "gradient"), *found, strict=True):
                numbers[f"{tokens} tokens, {precision}, {what}"] = (error(left, right), most)
    return numbers


# --- Training --------------------------------------------------------------------------------------------------------


def pictures() -> Dataset:
    """Make small noisy pictures in four classes."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 156, (256, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(256) % 4
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 8 * label : 8 * label + 8] += 100
    return Dataset("made up", images, labels, images, labels, tuple("abcd"), (0.4,) * 3, (0.2,) * 3)


def model_for(data: Dataset, **options) -> ViT:
    """Make an untrained model, the same one each time."""
    with seeded(0):
        return ViT(ViTConfig(**SMALL | {"num_classes": len(data.class_names), "pool": "mean"} | options))


def config_for(device: torch.device, **options) -> TrainingConfig:
    """Give a recipe with everything in it."""
    usual = {"epochs": 2, "batch_size": 64, "learning_rate": 2e-3, "optimizer": "muon", "average": 0.9}
    return TrainingConfig(**usual | {"device": device.type, "precision": "float32"} | EVERYTHING | options)


def steps_are_finite(device: torch.device) -> Numbers:
    """Twelve training steps stay finite in every format, and the loss falls."""
    numbers, data = {}, pictures()
    count = 8 if device.type == "cpu" else 64  # a CPU takes five times as long for float16 as for float32
    for precision in ("bfloat16", "float16", "float32"):
        for optimizer in ("adamw", "muon"):
            plain = dict.fromkeys(("distort", "erase", "cutmix", "mixup"), 0.0) | {"max_shift": 0, "flip": False}
            config = config_for(device, precision=precision, optimizer=optimizer, batch_size=count, **plain)
            step, learner = step_of(model_for(data), data, config)
            losses = []
            for _ in range(12):
                step()
                losses.append(learner.loss.item())
            whole = all(parameter.isfinite().all() for parameter in learner.model.parameters())
            whole = whole and all(map(math.isfinite, losses))
            name = f"{precision}, {optimizer}"
            numbers[f"{name}: losses or weights that are no numbers"] = (0.0 if whole else 1.0, 0.0)
            numbers[f"{name}: last loss over first"] = (losses[-1] / losses[0], 0.99)
    return numbers


def nothing_waits(device: torch.device) -> Numbers:
    """No part of a training step makes the host wait for the card."""
    data = pictures()
    waits = number_format(device, "auto") is torch.float16  # to know whether a gradient overflowed
    config = config_for(device, precision="float32" if waits else "auto")
    step, _ = step_of(model_for(data, drop_path=0.1), data, config)
    step()
    if device.type != "cuda":
        return {}
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return {"steps that waited": (0.0, 0.0)}


def augmentation_equals_the_cpus(device: torch.device) -> Numbers:
    """Every change of a picture on the card equals that on the CPU, in levels of 255 where nothing else is said."""
    generator, count = torch.Generator().manual_seed(0), 64
    noise = torch.rand(count, 3, 5, 5, generator=generator)
    images = (20 + 210 * F.interpolate(noise, (32, 32), mode="bicubic").clamp(0, 1)).to(torch.uint8)
    there, amount, numbers = images.to(device), torch.linspace(-1, 1, count), {}

    def compare(name: str, function: Callable[[Tensor], Tensor], most: float, mean: float = 0.0) -> None:
        difference = (function(there).cpu().double() - function(images).double()).abs()
        numbers[f"{name}, largest"] = (difference.max().item(), most)
        numbers[f"{name}, mean"] = (difference.mean().item(), mean)

    for kind, change, operations in (
        ("shape", change_shape, SHAPE_OPERATIONS),
        ("colour", change_colour, COLOUR_OPERATIONS),
    ):
        for number, name in enumerate(operations):
            which = torch.full((count,), number)
            compare(f"{kind}: {name}", lambda x, c=change, w=which: c(x, w, amount), 1.0, 0.01)  # rounding, .5 levels
    draws = draw(count, (32, 32), **EVERYTHING, generator=generator)
    compare("flip", lambda x: flip(x, draws.mirrored), 0.0)
    compare("shift", lambda x: shift(x, draws.offsets), 0.0)
    compare("all of them", lambda x: augment(x, draws), 255.0, 0.05)  # solarize turns one level into many
    compare("erase and mix, in units of 1", lambda x: mix(erase(x.float() / 255, draws.erased), draws), 1e-6, 1e-7)
    return numbers


def optimizers_equal_the_cpus(device: torch.device) -> Numbers:
    """Three steps of AdamW, Muon and the moving average on the card equal those on the CPU."""
    data, numbers = pictures(), {}
    for name, most in (("adamw", FLOAT32), ("muon", BFLOAT16)):
        models = [model_for(data) for _ in range(2)]
        models[1].to(device)
        start = torch.cat([parameter.detach().flatten() for parameter in models[0].parameters()])
        optimizers = [make_optimizers(model, name, 1e-3, 0.05) for model in models]
        averages = [MovingAverage(model, 0.9) for model in models]
        generator = torch.Generator().manual_seed(0)
        for _ in range(3):
            for here, there in zip(*(model.parameters() for model in models), strict=True):
                here.grad = torch.randn(here.shape, generator=generator)
                there.grad = here.grad.to(device)
            for optimizer in (one for both in optimizers for one in both):
                optimizer.step()
            for average, model in zip(averages, models, strict=True):
                average.update(model)
        for what, pair in ((name, models), (f"{name}, average", [average.model for average in averages])):
            here, there = (torch.cat([t.detach().cpu().flatten() for t in model.parameters()]) for model in pair)
            numbers[what] = (error(there - start, here - start), most)
    return numbers


class _Stop(Exception):
    """Somebody stopped the training."""


def a_stopped_run_ends_alike(device: torch.device) -> Numbers:
    """A training that is stopped and resumed ends with the same weights bit by bit, as far as one does that is not."""
    data, numbers = pictures(), {}

    def train(stop_after: int | None = None) -> Tensor:
        config = config_for(device, precision="auto")

        def on_epoch(history) -> None:
            if history.epochs == stop_after:
                raise _Stop

        with tempfile.TemporaryDirectory() as folder:
            if stop_after is not None:
                with contextlib.suppress(_Stop):
                    fit(model_for(data, drop_path=0.1), data, config, checkpoint=folder, on_epoch=on_epoch)
            model = model_for(data, drop_path=0.1)
            fit(model, data, config, checkpoint=folder)
        return torch.cat([tensor.detach().cpu().flatten() for tensor in model.state_dict().values()])

    straight, again, resumed = train(), train(), train(stop_after=1)
    apart = (straight - again).abs().max().item()
    numbers["two runs that were not stopped, largest difference"] = (apart, math.inf)  # the card's own; 0 is best
    numbers["a resumed one, largest difference"] = ((straight - resumed).abs().max().item(), 10 * apart)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        straight, resumed = train(), train(stop_after=1)
    finally:
        torch.use_deterministic_algorithms(False)
    numbers["a resumed one, with deterministic algorithms"] = ((straight - resumed).abs().max().item(), 0.0)
    return numbers


def one_process_of_many(device: torch.device) -> Numbers:
    """A group of one process (NCCL on a card) gives the gradients of a process alone."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    data, numbers = pictures(), {}
    x, labels = torch.randn(16, 3, 32, 32, device=device), torch.arange(16, device=device) % 4
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        gradients = []
        for wrap in (DistributedDataParallel, nn.Identity):
            model = model_for(data).to(device)
            forward = wrap(model) if wrap is DistributedDataParallel else model
            F.cross_entropy(forward(x), labels).backward()
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        numbers[f"gradients, {backend}"] = (error(*gradients), FLOAT32)
        total = torch.ones(3, device=device)
        dist.all_reduce(total)
        numbers[f"sum over one process, {backend}"] = (error(total, torch.ones(3)), 0.0)
        told = ["words"]
        dist.broadcast_object_list(told, src=0)
        numbers[f"words that did not arrive, {backend}"] = (float(told != ["words"]), 0.0)
    finally:
        dist.destroy_process_group()
    return numbers


def compiled_equals_eager(device: torch.device) -> Numbers:
    """A compiled model equals the model, forward and backward."""
    data, numbers = pictures(), {}
    model = model_for(data)
    x = torch.randn(16, 3, 32, 32)
    exact, eager = copy.deepcopy(model).double(), copy.deepcopy(model).to(device)
    compiled = torch.compile(eager, dynamic=False)
    for precision, most in (("bfloat16", BFLOAT16), ("float32", FLOAT32)):
        if precision == "float32" and device.type == "cpu":
            continue  # one compilation less: a CPU takes half a minute for each
        found = []
        for twin, given in ((exact, x.double()), (eager, x.to(device)), (compiled, x.to(device))):
            twin.zero_grad()
            with exactly(), contextlib.nullcontext() if twin is exact else autocast(device, precision):
                output = twin(given)
            output.double().square().sum().backward()
            gradients = [parameter.grad.detach().cpu().double().flatten() for parameter in twin.parameters()]
            found.append((output.detach().cpu().double(), torch.cat(gradients)))
        for what, right, plain, fast in zip(("output", "gradients"), *found, strict=True):
            name = f"{precision}, {what}"
            numbers[f"{name}, eager"] = (error(plain, right), most)
            numbers[f"{name}, compiled"] = (error(fast, right), most)
    return numbers


CHECKS = (
    parts_equal_float64,
    models_equal_float64,
    fused_equals_explicit,
    steps_are_finite,
    nothing_waits,
    augmentation_equals_the_cpus,
    optimizers_equal_the_cpus,
    a_stopped_run_ends_alike,
    compiled_equals_eager,
    one_process_of_many,
)
