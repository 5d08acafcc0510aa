"""What lesson 10 measures: a small ViT learns six kinds of photographs, and is taken to the other four.

The first training is done once for each split of the ten kinds, and kept in runs/transfer: with labels, and on the same
pictures without them (masked patches). Each job then takes 1 to 1,000 pictures of each of the other four kinds, by one
method, and is judged on all test pictures of these four. A seed decides which pictures are drawn, the order and the
augmentation, a new head, and an untrained model: an interval over the seeds speaks of other pictures of the same kinds,
and of this one pre-trained model. The learning rate of a method is chosen with seeds of its own, on pictures that no
job learns from.

Sources: Dosovitskiy et al. 2021, appendix B.1.2 (half of the patches corrupted); Xie et al. 2022, "SimMIM" (one linear
layer says the pixels); He et al. 2022, "Masked Autoencoders" (pixels normalised in each patch); Hu et al. 2022 (LoRA).
"""

import json
import math
import time
from dataclasses import asdict, replace
from functools import cache

import torch
from filelock import FileLock
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.datasets import Dataset, load
from vit_tutorial.patches import patchify
from vit_tutorial.recipes import build_model
from vit_tutorial.support.differences import differences
from vit_tutorial.support.files import write_json
from vit_tutorial.support.paths import RUNS
from vit_tutorial.support.seeds import seeded
from vit_tutorial.training import TrainingConfig, add_lora, evaluate, fit, learning_rate_at, reset_head
from vit_tutorial.training.augmentation import augment, draw
from vit_tutorial.training.checkpoint import CHECKPOINT_NAME
from vit_tutorial.training.fine_tuning import frozen
from vit_tutorial.training.loop import augmentation_options, mix_seed
from vit_tutorial.training.optimizers import MovingAverage, make_optimizers
from vit_tutorial.vit import ViT
from vit_tutorial.weights import ModelCard, load_model, load_weights, save_model

# Which kinds are learned first, said before the run: the first six of the list, and for a second look the last six.
SPLITS = {"first six": (0, 1, 2, 3, 4, 5), "last six": (4, 5, 6, 7, 8, 9)}
SHAPE = {"patch_size": 4, "dim": 64, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0, "pool": "mean"}
SEARCH_SEEDS = (100, 101)
HELD_OUT = 500  # training pictures of each kind that only choose learning rates

# --- Pictures --------------------------------------------------------------------------------------------------------


@cache
def photographs() -> Dataset:
    """Load CIFAR-10, once a process."""
    return load("cifar10")


def draw_few(data: Dataset, per_class: int, seed: int) -> tuple[Dataset, Tensor, Tensor]:
    """Draw so many training pictures of each class; give them, and the held-out pictures and labels.

    The last HELD_OUT of each class are never drawn. Raises ValueError if a class has too few pictures.
    """
    generator = torch.Generator().manual_seed(mix_seed(seed, -1))
    chosen, held_out = [], []
    for label in range(data.num_classes):
        members = (data.train_labels == label).nonzero()[:, 0]
        free = len(members) - HELD_OUT
        if free < per_class:
            raise ValueError(f"{data.class_names[label]} has {free} pictures to learn from, and {per_class} are asked")
        chosen.append(members[torch.randperm(free, generator=generator)[:per_class]])
        held_out.append(members[free:])
    rows, out = torch.cat(chosen), torch.cat(held_out)
    few = replace(data, train_images=data.train_images[rows], train_labels=data.train_labels[rows])
    return few, data.train_images[out], data.train_labels[out]


def half_size(images: Tensor) -> Tensor:
    """Shrink pictures to half their side, each new pixel the mean of four: [B, C, H, W] -> [B, C, H/2, W/2], bytes."""
    return F.avg_pool2d(images.float(), 2).round().to(torch.uint8)


def enlarged(images: Tensor) -> Tensor:
    """Blow pictures up to twice their side: [B, C, H, W] -> [B, C, 2H, 2W], bytes. Nothing is seen that was not."""
    big = F.interpolate(images.float(), scale_factor=2, mode="bilinear", align_corners=False)
    return big.round().clamp(0, 255).to(torch.uint8)


PICTURES = {
    "as they are": lambda images: images,
    "half size": half_size,
    "half size, enlarged": lambda images: enlarged(half_size(images)),
}

# --- The first training ----------------------------------------------------------------------------------------------

PRETRAINING = TrainingConfig(
    epochs=16,
    learning_rate=5e-3,
    optimizer="muon",
    average=0.998,
    flip=True,
    max_shift=4,
    validation_fraction=0.0,
    precision="float32",
    device="cpu",
)


class MaskedPatches(nn.Module):
    """A ViT that learns without labels: half of the patches are hidden, and it says what their pixels are.

    Shapes: images [B, C, H, W], hidden [B, N] -> the mean squared error of the pixels of the hidden patches. The pixels
    of each patch are brought to mean 0 and variance 1, so that it has to know what is there, not how bright it is.
    Sources: Dosovitskiy et al. 2021, appendix B.1.2; He et al. 2022, "Masked Autoencoders", section 3 (those pixels).
    """

    def __init__(self, model: ViT):
        super().__init__()
        config = model.config
        self.model = model
        self.mask_token = nn.Parameter(0.02 * torch.randn(config.dim))
        self.to_pixels = nn.Linear(config.dim, config.in_channels * config.patch_size**2)

    def forward(self, images: Tensor, hidden: Tensor) -> Float[Tensor, ""]:
        model = self.model
        x = model.patch_embed(images)  # [B, C, H, W] -> [B, N, D]
        x = torch.where(hidden[:, :, None], self.mask_token, x)
        x = model.norm(model.blocks(model.position(x)))
        pixels = patchify(images, model.config.patch_size)  # [B, N, P*P*C]
        pixels = F.layer_norm(pixels, pixels.shape[-1:], eps=1e-4)
        return F.mse_loss(self.to_pixels(x)[hidden], pixels[hidden])


def learn_masked_patches(model: ViT, data: Dataset, config: TrainingConfig) -> None:
    """Train the model in place on the training pictures of `data`, without their labels; mean pooling only."""
    with seeded(config.seed):
        whole = MaskedPatches(model)
    average = MovingAverage(whole, config.average)
    optimizers = make_optimizers(whole, config.optimizer, config.learning_rate, config.weight_decay)
    steps = math.ceil(len(data.train_images) / config.batch_size)
    patches = math.prod(model.grid_size)
    for epoch in range(config.epochs):
        generator = torch.Generator().manual_seed(mix_seed(config.seed, epoch))
        order = torch.randperm(len(data.train_images), generator=generator)
        for step, rows in enumerate(order.split(config.batch_size)):
            images = data.train_images[rows]
            draws = draw(len(rows), images.shape[-2:], **augmentation_options(config, epoch), generator=generator)
            place = torch.rand(len(rows), patches, generator=generator).argsort(dim=1).argsort(dim=1)
            loss = whole(model.card.normalize(augment(images, draws)), place < patches // 2)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(whole.parameters(), config.clip_norm)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(epoch * steps + step, steps, config)
                optimizer.step()
            average.update(whole)
    model.load_state_dict(average.model.model.state_dict())


@cache
def pretrained(split: str, how: str) -> tuple[ViT, dict]:
    """Give the model that has learned the six classes of a split by "labels" or "masked patches", and what came out.

    It is trained once, and kept in runs/transfer. A training with labels that was stopped goes on.
    Raises ValueError if the one that is kept had other settings.
    """
    folder = RUNS / "transfer" / f"{split}, {how}".replace(", ", "-").replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.safetensors"
    with FileLock(folder / "model.lock"):
        if not file.exists():
            data = photographs().of_classes(SPLITS[split])
            model, worked = build_model(data, SHAPE, PRETRAINING.seed), time.process_time()
            said = {"images": len(data.train_labels), "shape": SHAPE, "training": asdict(PRETRAINING)}
            resumed = (folder / CHECKPOINT_NAME).exists()
            if how == "labels":
                fit(model, data, PRETRAINING, checkpoint=folder, progress=False)
                said["test_accuracy"] = evaluate(model, data.test_images, data.test_labels).accuracy
            else:
                learn_masked_patches(model, data, PRETRAINING)
            if not resumed:  # else this process did only a part of the work
                said["processor_seconds"] = round(time.process_time() - worked, 1)
            write_json(folder / "result.json", said)
            save_model(model, file)
    said = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    made = said["shape"] | asdict(TrainingConfig(**said["training"]))  # a setting that is younger had its default
    if changes := differences(made, SHAPE | asdict(PRETRAINING)):
        raise ValueError(
            f"the first training in {folder} had other settings ({changes}); delete that folder, or move it"
        )
    return load_model(file), said


# --- Frozen features and raw pixels ----------------------------------------------------------------------------------

NEIGHBOURS = {1: 1, 10: 3, 100: 10, 1000: 20}  # by pictures a class, said before the run
LINEAR_STEPS = 300


@torch.no_grad()
def features_of(model: ViT | None, card: ModelCard, images: Tensor) -> Float[Tensor, "B F"]:
    """Give what the head of a model would read of each picture [B, D]; without a model, the pixels [B, C*H*W]."""
    views = (card.normalize(batch) for batch in images.split(500))
    if model is None:
        return torch.cat([view.flatten(1) for view in views])
    return torch.cat([model.forward_intermediates(view)["pool"] for view in views])


@cache
def _features_once(split: str, start: str, statistics: str, judge: bool) -> Tensor:
    """Compute the features of the pictures that choose rates, or of those that judge, once a process."""
    data = other_four(split)
    images = data.test_images if judge else draw_few(data, 1, 0)[1]
    model = starting_model({"split": split, "start": start}, 0)
    return features_of(model, _card(split, statistics), images)


def nearest(train: Tensor, labels: Tensor, asked: Tensor, neighbours: int, cosine: bool) -> Tensor:
    """Let the nearest training pictures vote, the nearer ones first where votes are equal; gives labels [B]."""
    near = F.normalize(asked, dim=1) @ F.normalize(train, dim=1).T if cosine else -torch.cdist(asked, train)
    found = near.topk(min(neighbours, len(train)), dim=1).indices  # [B, k], the nearest first
    votes = F.one_hot(labels[found], int(labels.max()) + 1).double()  # [B, k, K]
    weight = 1 + 1e-3 * torch.arange(votes.shape[1], 0, -1, dtype=torch.double) / votes.shape[1]
    return (votes * weight[:, None]).sum(dim=1).argmax(dim=1)


def linear_probe(train: Tensor, labels: Tensor, classes: int, rate: float) -> nn.Linear:
    """Train one linear layer on features [N, F], all pictures at once, from zero, with AdamW and half a cosine."""
    layer = nn.Linear(train.shape[1], classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, LINEAR_STEPS)
    for _ in range(LINEAR_STEPS):
        optimizer.zero_grad()
        F.cross_entropy(layer(train), labels).backward()
        optimizer.step()
        schedule.step()
    return layer


# --- One job ---------------------------------------------------------------------------------------------------------

# epochs and pictures a batch, by pictures a class
BUDGETS = {1: (100, 4), 10: (60, 20), 100: (25, 64), 1000: (12, 128)}
LAST_BLOCK = ("pos_embed", "patch_embed", *(f"blocks.{i}" for i in range(SHAPE["depth"] - 1)))
RANK, LAYER_DECAY = 4, 0.7
FORGOTTEN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # mean and std of somebody who does not normalise


@cache
def other_four(split: str) -> Dataset:
    """Give the pictures of the four classes that the first training has not seen, with its mean and std."""
    first = SPLITS[split]
    data = photographs().of_classes([kind for kind in range(10) if kind not in first])
    card = _card(split, "own")
    return replace(data, mean=card.mean, std=card.std)


@cache
def _card(split: str, statistics: str) -> ModelCard:
    if statistics == "forgotten":
        return ModelCard((), *FORGOTTEN)
    data = photographs().of_classes(SPLITS[split])
    return ModelCard((), data.mean, data.std)


def starting_model(settings: dict, seed: int) -> ViT | None:
    """Give the model that a job begins with, "labels", "masked patches" or "untrained"; None for "pixels"."""
    if settings["start"] == "pixels":
        return None
    if settings["start"] == "untrained":
        return build_model(other_four(settings["split"]), SHAPE, seed).eval()
    kept, _ = pretrained(settings["split"], settings["start"])
    model = ViT(kept.config)
    model.load_state_dict(kept.state_dict())
    return model.eval()


def transfer(settings: dict, seed: int) -> dict:
    """Take one model to the other four classes by one method; a seed of the search is judged on held-out pictures.

    `settings` are those of `variant`. The result has `validation_accuracy` for such a seed, `test_accuracy` else.
    """
    torch.set_num_threads(1)
    data = other_four(settings["split"])
    few, held_out, held_out_labels = draw_few(data, settings["images"], seed)
    judge = seed not in SEARCH_SEEDS
    asked, truth = (data.test_images, data.test_labels) if judge else (held_out, held_out_labels)
    first = {how: pretrained(settings["split"], how)[1] for how in ("labels", "masked patches")}
    worked = time.process_time()
    if settings["method"] in ("nearest", "linear"):
        accuracy, numbers = _from_features(settings, seed, few, asked, truth, judge)
    else:
        accuracy, numbers = _from_training(settings, seed, few, asked, truth)
    return {
        "test_accuracy" if judge else "validation_accuracy": accuracy,
        "processor_seconds": round(time.process_time() - worked, 2),
        "parameters": numbers,
        "data": {
            "name": data.name,
            "class_names": data.class_names,
            "validation": len(held_out_labels),
            "test": len(data.test_labels),
            "first_training": first,
        },
    }


def _from_features(
    settings: dict, seed: int, few: Dataset, asked: Tensor, truth: Tensor, judge: bool
) -> tuple[float, int]:
    split, start, statistics = (settings[key] for key in ("split", "start", "statistics"))
    card, model = _card(split, statistics), starting_model(settings, seed)
    train = features_of(model, card, few.train_images)
    once = start != "untrained"  # of which there is one a seed
    asked = _features_once(split, start, statistics, judge) if once else features_of(model, card, asked)
    if settings["method"] == "nearest":
        answers = nearest(train, few.train_labels, asked, NEIGHBOURS[settings["images"]], cosine=model is not None)
        return (answers == truth).double().mean().item(), 0
    probe = linear_probe(train, few.train_labels, few.num_classes, settings["learning_rate"])
    right = probe(asked).argmax(dim=1) == truth
    return right.double().mean().item(), sum(p.numel() for p in probe.parameters())


def _from_training(settings: dict, seed: int, few: Dataset, asked: Tensor, truth: Tensor) -> tuple[float, int]:
    model, show = starting_model(settings, seed), PICTURES[settings["pictures"]]
    if settings["pictures"] == "half size":
        smaller = ViT(replace(model.config, image_size=model.config.image_size // 2))
        model = load_weights(smaller, model.state_dict(), grid_size=model.grid_size)  # positions are interpolated
    if settings["head"] == "new":
        reset_head(model, few.num_classes, seed)
    model.card = _card(settings["split"], settings["statistics"])
    if settings["method"] == "LoRA":
        add_lora(model, RANK, seed=seed)
    few = replace(few, train_images=show(few.train_images), mean=model.card.mean, std=model.card.std)
    epochs, batch_size = BUDGETS[settings["images"]]
    config = TrainingConfig(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=settings["learning_rate"],
        warmup_epochs=settings["warm_up"] * epochs,
        flip=True,
        max_shift=2 if settings["pictures"] == "half size" else 4,
        freeze=LAST_BLOCK if settings["method"] == "last block" else (),
        layer_decay=LAYER_DECAY if settings["method"] == "layer-wise" else 1.0,
        validation_fraction=0.0,
        seed=seed,
        precision="float32",
        device="cpu",
    )
    with frozen(model, config.freeze):
        learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    fit(model, few, config, progress=False)
    return evaluate(model, show(asked), truth).accuracy, learned


# --- The variants ----------------------------------------------------------------------------------------------------

# Each method: what it begins with, what is done, and the learning rates among which it searches.
METHODS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "pixels, nearest": ("pixels", "nearest", ()),
    "pixels, linear": ("pixels", "linear", (1e-4, 3e-4, 1e-3, 3e-3)),
    "untrained features, linear": ("untrained", "linear", (1e-3, 3e-3, 1e-2, 3e-2)),
    "features, nearest": ("labels", "nearest", ()),
    "features, linear": ("labels", "linear", (1e-3, 3e-3, 1e-2, 3e-2)),
    "last block": ("labels", "last block", (3e-4, 1e-3, 3e-3, 1e-2)),
    "all weights": ("labels", "all weights", (1e-4, 3e-4, 1e-3, 3e-3)),
    "all weights, layer-wise": ("labels", "layer-wise", (3e-4, 1e-3, 3e-3, 1e-2)),
    "LoRA": ("labels", "LoRA", (1e-3, 3e-3, 1e-2, 3e-2)),
    "from scratch": ("untrained", "all weights", (3e-4, 1e-3, 3e-3, 1e-2)),
    "masked features, linear": ("masked patches", "linear", (1e-3, 3e-3, 1e-2, 3e-2)),
    "masked, all weights": ("masked patches", "all weights", (1e-4, 3e-4, 1e-3, 3e-3)),
}
# Each way to ruin it, alone and together, for all weights; a rate that is given is not searched.
TRAPS: dict[str, dict] = {
    "nothing wrong": {},
    "rate 0.001, no warm-up": {"learning_rate": 1e-3, "warm_up": 0.0},
    "rate 0.01, no warm-up": {"learning_rate": 1e-2, "warm_up": 0.0},
    "mean and std forgotten": {"statistics": "forgotten"},
    "head not reset": {"head": "kept"},
    "half size, positions interpolated": {"pictures": "half size"},
    "half size, enlarged": {"pictures": "half size, enlarged"},
    "three at once, 0.001": {"learning_rate": 1e-3, "warm_up": 0.0, "statistics": "forgotten", "head": "kept"},
    "three at once, 0.01": {"learning_rate": 1e-2, "warm_up": 0.0, "statistics": "forgotten", "head": "kept"},
    "all at once, 0.01": {
        "learning_rate": 1e-2,
        "warm_up": 0.0,
        "statistics": "forgotten",
        "head": "kept",
        "pictures": "half size, enlarged",
    },
}


def variant(split: str, images: int, method: str, start: str, **others) -> dict:
    """Make the settings of a job: what is taken where, by which method, and what else is done differently."""
    usual = {"learning_rate": None, "warm_up": 0.1, "statistics": "own", "head": "new", "pictures": "as they are"}
    return {"split": split, "images": images, "method": method, "start": start} | usual | others


def methods(split: str, *sizes: int) -> dict[str, dict]:
    """Give all methods with so many pictures a class, as variants "METHOD, N a class"."""
    return {
        f"{name}, {images} a class": variant(split, images, method, start)
        for images in sizes
        for name, (start, method, _) in METHODS.items()
    }


def traps(split: str, images: int) -> dict[str, dict]:
    """Give all ways to ruin it as variants, and a linear probe with and without the right mean and std beside them."""
    return {name: variant(split, images, "all weights", "labels", **harm) for name, harm in TRAPS.items()} | {
        "linear probe": variant(split, images, "linear", "labels"),
        "linear probe, mean and std forgotten": variant(split, images, "linear", "labels", statistics="forgotten"),
    }


def rates_of(variants: dict[str, dict]) -> dict[str, tuple[float, ...]]:
    """Give the learning rates that each variant tries: those of its method, or none where its rate is given."""
    by_method = {(start, method): rates for start, method, rates in METHODS.values()}
    return {
        name: () if settings["learning_rate"] else by_method[settings["start"], settings["method"]]
        for name, settings in variants.items()
    }
