"""The table of all studies: what each one claims and compares, and how often it repeats it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, is_dataclass

from vit_tutorial.evidence import FEWEST_RATES
from vit_tutorial.studies import clothes, inside, unfair, versus
from vit_tutorial.studies.transfer import SEARCH_SEEDS, methods, rates_of, transfer, traps
from vit_tutorial.studies.variants import Recipe, recipe, train


class StudyError(RuntimeError):
    """A study cannot go on, or its record cannot be used; the message has the way out."""


@dataclass(frozen=True)
class Search:
    """The first stage of a study: every variant tries the same learning rates, and keeps the one best for itself.

    Raises ValueError for fewer than three rates: then nothing is chosen.
    """

    rates: tuple[float, ...]
    seeds: tuple[int, ...] = (100,)  # others than those of the study, so that no seed judges what it chose
    by: str = "validation_accuracy"  # the entry of a result that chooses, the higher the better; never the test's
    setting: str = "training.learning_rate"  # where the settings of a variant hold the rate
    own: dict[str, tuple[float, ...]] | None = None  # variants that try other rates; () where nothing is searched

    def __post_init__(self):
        for rates in (self.rates, *(rates for rates in (self.own or {}).values() if rates)):
            if len(set(rates)) < FEWEST_RATES:
                raise ValueError(
                    f"a search among {len(set(rates))} rates chooses too little; try {FEWEST_RATES} or more"
                )

    def rates_of(self, variant: str) -> tuple[float, ...]:
        """Give the rates that a variant tries."""
        return (self.own or {}).get(variant, self.rates)


@dataclass(frozen=True)
class Experiment:
    """A study to be run: the claim it tests, what is compared, how often, and what is done each time.

    A variant is the settings of one job: a recipe, or any other dataclass or dictionary of what JSON can hold. The job
    is a function at the top of a module, from such settings (a dictionary) and a seed to a result that JSON can hold.
    """

    claim: str
    variants: dict[str, Recipe | dict]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    paper: dict | None = None  # figures of others on the same question, with their source
    job: Callable[[dict, int], dict] = train
    search: Search | None = None  # None: each variant has the learning rate that its settings say

    def settings(self, variant: str, rate: float | None = None) -> dict:
        """Give the settings of a variant as a dictionary, with a learning rate of the search in its place.

        Raises ValueError if the settings do not have that place.
        """
        settings = self.variants[variant]
        settings = asdict(settings) if is_dataclass(settings) else deepcopy(settings)
        if rate is None:
            return settings
        *path, last = self.search.setting.split(".")
        place = settings
        for key in path:
            place = place.get(key, {})
        if last not in place:
            raise ValueError(f"the settings of {variant!r} have no {self.search.setting}, where the search puts a rate")
        place[last] = rate
        return settings


def _transfer(
    claim: str,
    variants: dict[str, dict],
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    searched_with: tuple[int, ...] = SEARCH_SEEDS,
) -> Experiment:
    """Make a study of lesson 10, in which each method searches among rates of its own."""
    own = rates_of(variants)
    search = Search(next(filter(None, own.values())), searched_with, setting="learning_rate", own=own)
    return Experiment(claim=claim, variants=variants, seeds=seeds, job=transfer, search=search)


RATES = Search((0.001, 0.003, 0.01, 0.03))
LOW_RATES = Search((0.0001, 0.0003, 0.001, 0.003, 0.01))  # post-norm needs small ones

# The recipe of the preset for a CPU, and those that differ from it in one thing.
INGREDIENTS = {
    name: recipe(**{"dim": 64, "depth": 4, "num_heads": 4, "epochs": 36} | change)
    for name, change in {
        "the preset": {},
        "no augmentation": {"max_shift": 0},
        "erase a quarter": {"erase": 0.25},
        "CutMix on half": {"cutmix": 0.5, "plain_epochs": 4},
        "no label smoothing": {"label_smoothing": 0.0},
        "no warm-up": {"warmup_epochs": 0.0},
        "Muon": {"optimizer": "muon"},
        "moving average": {"average": 0.998},
        "bfloat16": {"precision": "bfloat16"},
        "batches of 512": {"batch_size": 512},
        "mean pooling": {"pool": "mean"},
        "half the epochs": {"epochs": 18},
        "patches of 14": {"patch_size": 14},
    }.items()
}

EXPERIMENTS = {
    "patch_size": Experiment(
        claim="smaller patches keep detail and cost more; larger ones are cheap and coarse",
        variants={f"P = {size}": recipe(patch_size=size, epochs=24) for size in (28, 14, 7, 4)},
        seeds=(0, 1, 2),
        search=RATES,
        paper={
            "source": "torchvision.models.ViT_B_32_Weights and ViT_B_16_Weights, IMAGENET1K_V1, meta",
            "what": "ViT-B trained on ImageNet-1k, much the same recipe, top-1 accuracy",
            "accuracy": {"P = 32": 0.75912, "P = 16": 0.81072},
        },
    ),
    "pooling": Experiment(
        claim="the class token aggregates the image better than averaging",
        variants={
            f"{name}, {rate:g}": recipe(pool=pool, learning_rate=rate)
            for rate in (0.0003, 0.003, 0.01, 0.03)
            for name, pool in (("class token", "cls"), ("mean", "mean"))
        },
    ),
    "positions": Experiment(
        claim="1-D learned positions are as good as 2-D ones",
        variants={
            name: recipe(patch_size=4, positions=name)
            for name in ("none", "learned 1-D", "sin-cos 1-D", "learned 2-D", "sin-cos 2-D")
        },
        paper={
            "source": "Dosovitskiy et al. 2021, appendix D.4, table 8, first column",
            "what": "ViT-B/16, ImageNet 5-shot linear accuracy",
            "accuracy": {"none": 0.61382, "learned 1-D": 0.64206, "learned 2-D": 0.64001, "relative": 0.64032},
        },
        search=RATES,
    ),
    "jigsaw": Experiment(
        claim="without positions the model must solve a jigsaw",
        variants={
            name: recipe("jigsaw", training_images=4000, positions=name, epochs=8, max_shift=0)
            for name in ("none", "learned 1-D", "sin-cos 2-D")
        },
        search=RATES,
    ),
    "norm": Experiment(
        claim="pre-norm trains more stably than post-norm",
        variants={
            f"{norm}-norm, {depth} blocks, {'with' if warmup else 'no'} warm-up": recipe(
                norm=norm, depth=depth, warmup_epochs=warmup, epochs=3, clip_norm=None
            )
            for depth in (12, 24)
            for warmup in (0.0, 1.0)
            for norm in ("pre", "post")
        },
        seeds=(0, 1, 2),
        search=LOW_RATES,
    ),
    "norm_batch": Experiment(
        claim="pre-norm suits small batches",
        variants={
            f"{norm}-norm, batches of {size}": recipe(
                norm=norm, depth=12, batch_size=size, warmup_epochs=1.0, epochs=3, clip_norm=None
            )
            for size in (8, 32, 128)
            for norm in ("pre", "post")
        },
        search=LOW_RATES,
    ),
    "heads": Experiment(
        claim="several heads see several things: better than one, at no more parameters",
        variants={f"h = {heads}": recipe(num_heads=heads) for heads in (1, 2, 4, 8, 16)},
        search=RATES,
    ),
    "scale": Experiment(
        claim="scores must be divided by sqrt(d), or the softmax saturates",
        variants={
            name: recipe(dim=64, num_heads=1, **change)
            for name, change in {
                "divided by sqrt(d)": {},
                "not divided": {"divide_by": "1"},
                "not divided, W_Q started at 1/sqrt(d)": {"divide_by": "1", "start_by": "sqrt(d)"},
            }.items()
        },
        seeds=(0, 1, 2),
        search=Search((0.001, 0.003, 0.01)),
    ),
    "hybrid": Experiment(
        claim="a hybrid helps at small budgets, and no more at large ones",
        variants={
            f"{name}, {depth} block{'s' * (depth > 1)}": recipe(patch_size=4, depth=depth, epochs=5, **stem)
            for name, stem, depths in (
                ("pure", {"stem": "patch"}, (1, 2, 4, 8)),
                ("hybrid", {"stem": "hybrid", "stem_layers": ()}, (1, 2, 4)),
            )
            for depth in depths
        },
        seeds=(0, 1, 2),
        search=Search((0.003, 0.01, 0.03)),
    ),
    "ingredients": Experiment(
        claim="a list of tricks (bf16, batch size, augmentation) decides how well a model learns from scratch",
        variants=INGREDIENTS,
        seeds=(0, 1, 2),
    ),
    "tricks": Experiment(
        claim="bf16, larger batches and augmentation make a recipe better, each recipe at its own rate",
        variants={name: INGREDIENTS[name] for name in ("the preset", "bfloat16", "batches of 512", "no augmentation")},
        seeds=(0, 1, 2),
        search=Search((0.0003, 0.001, 0.003, 0.01, 0.03), seeds=(100, 101)),  # recipes this close need more than one
    ),
    "faithfulness": Experiment(
        claim="attention maps show what the model looks at",
        variants={
            f"{source}, {fill}, {method}": {"source": source, "fill": fill, "method": method}
            for source in inside.WEIGHTS
            for fill in inside.FILLS
            for method in inside.METHODS
        },
        seeds=tuple(range(inside.GROUPS)),
        job=inside.faithfulness,
    ),
    "lens": Experiment(
        claim="the answer can be read before the last block",
        variants={source: {"source": source} for source in inside.WEIGHTS},
        seeds=tuple(range(inside.GROUPS)),
        job=inside.lens,
    ),
    "patching": Experiment(
        claim="the knowledge moves from the patches to the class token",
        variants={
            f"{what}, {put_in}": {"source": "fashion_mnist", "what": what, "put_in": put_in}
            for what in ("class token", "patches", "heads")
            for put_in in ("zero", "mean", "another picture")
        },
        seeds=tuple(range(inside.GROUPS)),
        job=inside.patching,
    ),
    "versus": Experiment(
        claim="a ViT needs more pictures than a CNN",
        variants=versus.contests("fashion_mnist", budgets=(1, 4, 16)),
        seeds=(0, 1, 2),
        job=versus.compete,
        search=Search(versus.RATES),
    ),
    "versus_photos": Experiment(
        claim="on photographs too a ViT needs more pictures than a CNN",
        variants=versus.contests("cifar10", (1,)) | versus.contests("cifar10", (4,), (2_000, 45_000)),
        seeds=(0, 1, 2),
        job=versus.compete,
        search=Search(versus.RATES),
    ),
    "locality": Experiment(
        claim="a CNN needs neighbours that belong together, a ViT does not",
        variants=versus.scrambles("fashion_mnist", 9_000, budget=1),
        seeds=tuple(range(10)),
        job=versus.compete_scrambled,
        search=Search(versus.RATES[1:4]),
    ),
    "locality_photos": Experiment(
        claim="on photographs a CNN needs neighbours that belong together, a ViT does not",
        variants=versus.scrambles("cifar10", 45_000, budget=1),
        seeds=(0, 1, 2),
        job=versus.compete_scrambled,
        search=Search(versus.RATES),
    ),
    "patch_photos": Experiment(
        claim="on photographs smaller patches keep detail, and are worth what they cost",
        variants=versus.patch_sizes("cifar10", 45_000, ((16, 1), (8, 1), (4, 1), (8, 4))),
        seeds=(0, 1, 2),
        job=versus.compete,
        search=Search(versus.RATES[:4]),
    ),
    "reach": Experiment(
        claim="with larger patches a token answers to what lies farther away",
        variants=versus.patch_sizes("fashion_mnist", 9_000, ((4, 1), (7, 1), (14, 1))),
        seeds=tuple(range(10)),
        job=versus.compete_and_reach,
        search=Search(versus.RATES),
    ),
    "unfair": Experiment(
        claim="with 500 pictures a CNN is better than a ViT",
        variants=unfair.trainings(),
        seeds=(0, 1, 2),
        job=unfair.follow,
    ),
    "transfer": _transfer(
        "a model that was trained on six kinds of photographs helps with the other four",
        methods("first six", 10, 1, 100),
    ),
    "transfer_clothes": Experiment(
        claim="a model that was trained on six kinds of clothes helps with the other four",
        variants=clothes.variants(),
        job=clothes.transfer_clothes,
        search=Search(clothes.METHODS["all weights"][2], SEARCH_SEEDS, setting="learning_rate", own=clothes.rates()),
    ),
    "transfer_thousand": _transfer(
        "with a thousand pictures a class it still helps",
        methods("first six", 1000),
        seeds=(0, 1, 2),
        searched_with=SEARCH_SEEDS[:1],
    ),
    "transfer_trap": _transfer(
        "a rate that is too high, a forgotten mean and std, an old head and enlarged pictures ruin a fine-tuning",
        traps("first six", 100),
    ),
}
