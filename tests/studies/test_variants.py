"""The parts that the course's model does not have: each differs in the one thing that its study is about."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from vit_tutorial import patchify, sincos_1d
from vit_tutorial.datasets import load
from vit_tutorial.studies import variants
from vit_tutorial.training.optimizers import make_optimizers

from .toys import TINY


def test_row_and_column_positions_share_halves_and_are_not_decayed():
    torch.manual_seed(0)
    position = variants.RowColumnPositions(7, 8, grid_size=(2, 3))
    added = position(torch.zeros(1, 7, 8))[0]
    grid = added[1:].view(2, 3, 8)
    assert torch.equal(grid[0, :, 4:], grid[0, :1, 4:].expand(3, 4))  # one row, one half
    assert torch.equal(grid[:, 1, :4], grid[:1, 1, :4].expand(2, 4))  # one column, the other half
    assert len(added.unique(dim=0)) == 7
    decayed, others = make_optimizers(position, "adamw", 0.1, 0.1)[0].param_groups
    assert (len(decayed["params"]), len(others["params"])) == (0, 3)
    assert variants.RowColumnPositions(6, 8, grid_size=(2, 3))(torch.zeros(1, 6, 8)).shape == (1, 6, 8)
    for tokens, dim in ((5, 8), (7, 7)):
        with pytest.raises(ValueError, match="takes 6 tokens or more of an even number of values; got"):
            variants.RowColumnPositions(tokens, dim, grid_size=(2, 3))


def test_row_and_column_positions_begin_as_small_as_the_others():
    torch.manual_seed(0)
    for table in variants.RowColumnPositions(30 * 40 + 50, 128, grid_size=(30, 40)).parameters():
        assert table.std().item() == pytest.approx(0.02, rel=0.1)


def test_each_name_of_positions_gives_the_model_these_positions():
    data = load("fashion_mnist")
    models = {name: variants.make_model(TINY(positions=name), data, seed=0) for name in variants.POSITIONS}
    learned = {name: any("pos_embed" in key for key, _ in model.named_parameters()) for name, model in models.items()}
    assert learned == {name: name.startswith("learned") for name in variants.POSITIONS}
    assert isinstance(models["none"].position, torch.nn.Identity)
    assert isinstance(models["learned 2-D"].position, variants.RowColumnPositions)
    wave = models["sin-cos 1-D"].position.pos_embed[0]
    assert torch.equal(wave, torch.cat([torch.zeros(1, 8), sincos_1d(4, 8)]))
    assert torch.equal(variants.line_of_waves(7, 8, (2, 3)).pos_embed[0, 1:], sincos_1d(6, 8))
    assert not torch.equal(wave, models["sin-cos 2-D"].position.pos_embed[0])
    first = {name: model.patch_embed.proj.weight for name, model in models.items()}
    assert all(torch.equal(weight, first["none"]) for weight in first.values())  # only the positions differ


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("name", "divisor"), [("sqrt(d)", 3), ("1", 1), ("d", 9)])
def test_divided_attention_divides_the_scores_by_that_number(name, divisor, fused):
    attention = variants.DividedAttention(36, 4, divide_by=name, fused=fused).double()
    tokens = torch.randn(2, 70, 36, dtype=torch.float64)
    q, k, v = (rows.view(2, 70, 4, 9).transpose(1, 2) for rows in F.linear(tokens, attention.qkv.weight).chunk(3, -1))
    mixed = F.scaled_dot_product_attention(q, k, v, scale=1 / divisor).transpose(1, 2).reshape(2, 70, 36)
    torch.testing.assert_close(attention(tokens), attention.proj(mixed), rtol=1e-12, atol=1e-12)
    weights = (q @ k.transpose(-2, -1) / divisor).softmax(dim=-1)
    torch.testing.assert_close(attention(tokens, return_weights=True)[1], weights, rtol=1e-12, atol=1e-12)


def test_only_what_the_scores_are_divided_by_differs_in_a_model():
    data = load("fashion_mnist")
    shape = {"dim": 16, "num_heads": 4}
    models = {name: variants.make_model(TINY(divide_by=name, **shape), data, seed=0) for name in variants.DIVISORS}
    images = data.normalize(data.test_images[:4])
    logits = {}
    for name, model in models.items():
        assert isinstance(model.blocks[0].attn, variants.DividedAttention) == (name != "sqrt(d)")
        for key, tensor in model.state_dict().items():
            assert torch.equal(tensor, models["1"].state_dict()[key])
        with torch.no_grad():
            logits[name] = model.eval()(images)
    assert len(torch.stack(list(logits.values())).unique(dim=0)) == 3


def test_queries_that_start_smaller_undo_a_division_that_is_missing_until_training_begins():
    data = load("fashion_mnist")
    change = {"dim": 16, "num_heads": 4}
    divided, small, plain = (
        variants.make_model(TINY(**change, **how), data, seed=0).eval()
        for how in ({}, {"divide_by": "1", "start_by": "sqrt(d)"}, {"divide_by": "1"})
    )
    images = data.normalize(data.test_images[:4])
    with torch.no_grad():
        torch.testing.assert_close(small(images), divided(images))
        assert not torch.allclose(plain(images), divided(images), atol=1e-3)
    changed = {key for key, tensor in small.state_dict().items() if not torch.equal(tensor, plain.state_dict()[key])}
    assert changed == {f"blocks.{i}.attn.qkv.weight" for i in range(len(small.blocks))}
    for block, other in zip(small.blocks, plain.blocks, strict=True):
        torch.testing.assert_close(block.attn.qkv.weight[:16], other.attn.qkv.weight[:16] / 2)
        assert torch.equal(block.attn.qkv.weight[16:], other.attn.qkv.weight[16:])


def test_a_jigsaw_differs_in_nothing_but_the_arrangement():
    data = load("fashion_mnist")
    puzzle = variants.jigsaw(data, patch_size=7)
    assert puzzle.name == "jigsaw of fashion_mnist"
    assert puzzle.train_labels.bincount().tolist() == [2500] * 4
    assert torch.equal(puzzle.test_images[::4], data.test_images)  # arrangement 0
    rows = patchify(puzzle.test_images[:8], 7).view(2, 4, 16, 49)
    for picture in rows:
        heaps = [arrangement.unique(dim=0) for arrangement in picture]  # unique also sorts
        assert all(torch.equal(heap, heaps[0]) for heap in heaps)
    assert len(puzzle.test_images[:4].unique(dim=0)) == 4


def test_a_run_trains_with_its_seed_and_tells_its_last_epoch(monkeypatch):
    asked = {}
    data = replace(load("fashion_mnist"), name="few")
    history = SimpleNamespace(
        validation_accuracy=[0.25, 0.123456],
        train_loss=[2.345678, 1.5],
        model={"parameters": 7},
        data={"name": "few", "training": 9},
        environment={"torch": "9"},
    )

    def fit(model, pictures, config, progress):
        asked.update(model=model, config=config, progress=progress, threads=torch.get_num_threads())
        return history

    def make_model(recipe, pictures, seed):
        asked["seed"] = seed
        return "a model"

    for name, stand_in in (("make_data", lambda recipe: data), ("make_model", make_model), ("fit", fit)):
        monkeypatch.setattr(variants, name, stand_in)
    passed, worked = iter([100.0, 107.5]), iter([50.0, 53.25, 60.0, 64.0])  # the clocks, each time they are asked
    clocks = SimpleNamespace(perf_counter=lambda: next(passed), process_time=lambda: next(worked))
    monkeypatch.setattr(variants, "time", clocks)
    monkeypatch.setattr(variants, "evaluate", lambda model, images, labels: SimpleNamespace(accuracy=0.5, loss=3.0))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        told = variants.run_once(TINY(epochs=2), seed=6)
    finally:
        torch.set_num_threads(threads)
    assert (asked["seed"], asked["config"].seed, asked["config"].epochs) == (6, 6, 2)
    assert (asked["model"], asked["progress"], asked["threads"]) == ("a model", False, 1)
    assert told == told | {
        "seed": 6,
        "validation_accuracy": 0.123456,
        "test_accuracy": 0.5,
        "parameters": 7,
        "curve": {"train_loss": [2.3457, 1.5], "validation_accuracy": [0.25, 0.1235]},
        "data": {"name": "few", "training": 9, "test": 2000},
        "environment": {"torch": "9"},
        "seconds": 7.5,
        "processor_seconds": 3.25,
        "test_seconds_per_image": 4 / 2000,
    }


def test_all_pictures_may_be_asked_for_and_no_more():
    data = variants.make_data(TINY(training_images=10_000))
    assert torch.equal(data.train_labels.bincount(), load("fashion_mnist").train_labels.bincount())
    with pytest.raises(ValueError, match="training_images is 10,001"):
        variants.make_data(TINY(training_images=10_001))


def test_a_model_without_positions_gives_all_arrangements_one_answer():
    data = variants.make_data(TINY("jigsaw", patch_size=7))
    images = data.normalize(data.test_images[:40]).double()
    for positions, same in (("none", True), ("learned 1-D", False)):
        model = variants.make_model(TINY("jigsaw", patch_size=7, positions=positions), data, seed=0).double().eval()
        with torch.no_grad():
            logits = model(images).view(10, 4, 4)
        assert torch.allclose(logits, logits[:, :1].expand_as(logits), rtol=0, atol=1e-12) == same
