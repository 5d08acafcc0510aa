"""Studies: what the lessons claim about training, tried out with several seeds, and written down.

    python -m vit_tutorial.studies                      all of them; about 30 hours on one core
    python -m vit_tutorial.studies pooling --workers 2  one, with two trainings side by side

    patch_size   P in 28, 14, 7, 4, each at its own rate: what accuracy does a smaller patch buy, and at what cost?
    pooling      class token against mean, each at four learning rates
    positions    none, learned and fixed, on a line and on a grid, each at its own rate
    jigsaw       which of four arrangements do the patches of this picture have?
    norm         pre-norm and post-norm, 12 and 24 blocks, with and without warm-up, each at five rates
    norm_batch   pre-norm and post-norm, in batches of 8, 32 and 128, each at its own rate
    heads        1, 2, 4, 8 and 16 heads that share the same number of parameters
    scale        scores divided by sqrt(d), not divided, and not divided but with a W_Q that starts smaller
    hybrid       a ResNet's first layers in front, or the pixels themselves, with 1 to 8 blocks, each at its own rate
    ingredients  the recipe of the preset for a CPU, with one thing changed at a time, all at one rate
    tricks       three of these changes again, each recipe at its own rate
    lens         after which block the answer of a trained model can be read
    patching     where the answer of a trained model sits: tokens and heads exchanged after each block
    versus       a ViT, a hybrid and a CNN of equal cost, on 500 to 9,000 pictures, each at its own rate
    locality     a ViT and a CNN on pictures whose patches, or pixels, are in another order
    versus_photos         what versus compares, on 2,000 to 45,000 photographs
    locality_photos       what locality compares, on photographs
    patch_photos          P in 16, 8, 4 on photographs, and P = 8 for as many operations as P = 4
    reach        what a token of a ViT with patches of 4, 7 and 14 answers to, after one block
    unfair       the trainings from which lesson 9's unfair comparisons pick what they show
    transfer     a ViT that knows six kinds of photographs goes to the other four, by twelve methods
    transfer_clothes      a ViT that knows six kinds of clothes goes to the other four, by five methods
    transfer_thousand     the same with a thousand pictures of each
    transfer_trap         the same in twelve ways, nine of which are mistakes
    faithfulness which patches the answer of a trained model needs, and which methods find them

Every training runs on one thread, and is kept in runs/studies as soon as it is done: the same command again goes on
where the last one was stopped. A study that is whole becomes data/results/study_NAME.json.

    >>> study = load_study("pooling")
    >>> study.accuracies()    # test accuracy of each seed, by variant
"""

from vit_tutorial.studies.experiments import EXPERIMENTS, Experiment, Search, StudyError
from vit_tutorial.studies.record import Study, load_study
from vit_tutorial.studies.variants import Recipe, make_data, make_model, recipe

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "Recipe",
    "Search",
    "Study",
    "StudyError",
    "load_study",
    "make_data",
    "make_model",
    "recipe",
]
