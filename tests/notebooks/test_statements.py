"""What the lessons say in words alone: of other libraries, which a learner need not have, and of the course's records.

A number in a sentence stays when its record is made again; here it is computed from the record.
"""

import inspect
import json
import re
from statistics import fmean

import pytest
import timm
from timm.models.vision_transformer import VisionTransformer

from vit_tutorial.studies import load_study, versus
from vit_tutorial.studies.leads import cells, lead
from vit_tutorial.support.paths import COURSE, RESULTS


def test_timms_weights_of_lesson_10_learned_with_a_mean_and_std_of_one_half():
    settings = timm.models.get_pretrained_cfg("vit_base_patch16_224")
    assert settings.mean == settings.std == (0.5, 0.5, 0.5)


def test_timm_takes_no_representation_size_and_no_distilled():
    arguments = inspect.signature(VisionTransformer.__init__).parameters
    assert not {"representation_size", "distilled"} & set(arguments)


WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def record(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def points(study, one, other):
    """Give by how many points one variant of a study is ahead of another, seed by seed, and in the mean at the end."""
    ahead = load_study(study).scores(one) - load_study(study).scores(other)
    values = [100 * value for value in ahead.by_seed.values()]
    return [*values, fmean(values)]


def speed(kind):
    return next(row for row in record("benchmark_gpu")["speed"] if row["name"] == f"{kind}, muon")


def of_the_preset():
    accuracies = [row["test"] for row in record("benchmark_training")["seeds"]]
    return f"{min(accuracies):.1%}", f"{max(accuracies):.1%}"


def without_augmentation():
    lost = points("tricks", "the preset", "no augmentation")
    return f"{min(lost):.0f}", f"{max(lost):.0f}"


def gap_that_closes():
    few, many = (lead(load_study("versus_photos"), "CNN", "ViT", images, 4) for images in (2_000, 45_000))
    return WORDS[round(100 * fmean((few - many).by_seed.values()))]


def at_the_largest_rate():
    longer = [
        study.scores(versus.name_of("CNN", images, budget)).rate
        for study in map(load_study, ("versus", "versus_photos"))
        for images, budget in cells(study)
        if budget > 1
    ]
    return WORDS[sum(rate.value == max(rate.tried) for rate in longer)]


SENTENCES = {
    ("04", r"Not dividing costs (\d+) points"): lambda: (
        f"{points('scale', 'divided by sqrt(d)', 'not divided')[-1]:.0f}"
    ),
    ("09", r"about (\w+) points of its gap close"): gap_that_closes,
    ("09", r"in (\w+) of the longer trainings the CNN took the largest rate"): at_the_largest_rate,
    ("10", r"costs most: (\d+) points"): lambda: (
        f"{points('transfer_trap', 'nothing wrong', 'rate 0.01, no warm-up')[-1]:.0f}"
    ),
    ("11", r"(\d+%) fewer kernels"): lambda: f"{1 - speed('compiled')['kernels'] / speed('eager')['kernels']:.0%}",
    ("11", r"further up says ([\d.]+%) to ([\d.]+%)"): of_the_preset,
    ("11", r"all three seeds are worse, by (\d+) to (\d+) points"): without_augmentation,
}


@pytest.mark.parametrize(("lesson", "sentence"), SENTENCES)
def test_a_number_in_a_sentence_is_that_of_the_record(lesson, sentence):
    (source,) = (COURSE / "notebooks" / "source").glob(f"{lesson}_*.py")
    text = re.sub(r"\s+#?\s*", " ", source.read_text(encoding="utf-8"))
    assert re.findall(sentence, text) == [SENTENCES[lesson, sentence]()]


def test_how_well_lesson_11_says_that_the_card_is_used():
    assert 0.5 < speed("compiled")["device_ms"] / speed("eager")["device_ms"] < 0.6  # "little more than half the time"
    assert 0.2 < speed("compiled")["mfu"] < 0.3  # "only a quarter of what it can"
