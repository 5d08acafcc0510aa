"""What the studies of lesson 8 measure: each method ranks every patch, and a stored result can be measured again."""

import pytest
import torch

from vit_tutorial import attention_maps, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.introspection import answer_attention
from vit_tutorial.studies import load_study
from vit_tutorial.studies.inside import METHODS, faithfulness, lens, patching


@pytest.mark.parametrize("method", METHODS)
def test_each_method_ranks_every_patch_of_every_picture(method):
    model, pixels = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors"), load("fashion_mnist").test_images[:3]
    ranking = METHODS[method](model, model.card.normalize(pixels), pixels, "black", torch.Generator().manual_seed(0))
    assert ranking.shape == (3, 49)
    assert ranking.isfinite().all()
    assert ranking.std(dim=1).min() > 0


@pytest.mark.parametrize(("weights", "channels"), [("vit_fashion_mnist", 1), ("vit_cifar10", 3)])
def test_who_answers_looks_at_the_patches(weights, channels):
    model = load_model(DATA_FOLDER / f"{weights}.safetensors")
    side = model.config.image_size
    maps = attention_maps(model, torch.randn(2, channels, side, side))
    for looks, weights_of_block in zip(answer_attention(maps, model), maps, strict=True):
        heads = weights_of_block.mean(dim=1)
        expected = heads[:, 0, 1:] if model.num_prefix_tokens else heads.mean(dim=1)
        torch.testing.assert_close(looks, expected)


@pytest.mark.parametrize(
    ("job", "study", "variant", "key"),
    [
        (faithfulness, "faithfulness", "fashion_mnist, noise, rollout", "probability"),
        (lens, "lens", "fashion_mnist", "accuracy"),
        (patching, "patching", "heads, another picture", "accuracy"),
        (patching, "patching", "class token, zero", "accuracy"),
        (patching, "patching", "patches, mean", "accuracy"),
    ],
)
def test_a_stored_measurement_can_be_made_again(job, study, variant, key):
    stored = load_study(study)
    settings = stored.settings | stored.variants[variant]["settings"]
    (run,) = [run for run in stored.runs if (run["variant"], run["seed"]) == (variant, 3)]
    assert job(settings, 3)[key] == pytest.approx(run[key], abs=0.011)
