"""What the study of transfer measures, on planted pictures: who sees what, and who is judged by what."""

import json
from dataclasses import replace

import pytest
import torch

from vit_tutorial import ViT, ViTConfig, studies
from vit_tutorial.datasets import Dataset, channel_statistics
from vit_tutorial.evidence import FEWEST_RATES
from vit_tutorial.studies import Experiment, Search, transfer
from vit_tutorial.studies.runner import Job
from vit_tutorial.training import TrainingConfig
from vit_tutorial.weights import ModelCard, save_model

NAMES = tuple(f"kind {i}" for i in range(10))
TINY = ViTConfig(image_size=32, patch_size=8, num_classes=4, dim=16, depth=2, num_heads=2, pool="mean")


def make_stripes(per_class, seed, side=32):
    """Stripes of ten directions, each picture with a phase, two colours and noise of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(10).repeat(per_class)
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angle = (labels * torch.pi / 10)[:, None, None]
    phase = 2 * torch.pi * torch.rand(len(labels), 1, 1, generator=generator)
    waves = torch.sin(0.9 * (column * angle.cos() + row * angle.sin()) + phase)[:, None]  # [B, 1, H, W]
    colour = 60 * torch.randn(len(labels), 3, 1, 1, generator=generator)
    noise = 10 * torch.randn(len(labels), 3, side, side, generator=generator)
    return (128 + colour * waves + noise).clamp(0, 255).to(torch.uint8), labels


def make_data(per_class=20):
    images, labels = make_stripes(per_class, seed=0)
    test_images, test_labels = make_stripes(8, seed=1)
    return Dataset("stripes", images, labels, test_images, test_labels, NAMES, *channel_statistics(images))


CACHED = ("photographs", "pretrained", "other_four", "_features_once", "_card")


@pytest.fixture(scope="module")
def first_trainings(tmp_path_factory):
    """The folder of the first trainings, which all tests share that do not ask how these went."""
    return tmp_path_factory.mktemp("first-trainings")


@pytest.fixture
def stripes(monkeypatch, first_trainings):
    """Let the study work with stripes: 8 of each kind are held out, and the first trainings take a moment."""
    data = make_data()
    originals = [getattr(transfer, name) for name in CACHED]
    monkeypatch.setattr(transfer, "photographs", lambda: data)
    monkeypatch.setattr(transfer, "HELD_OUT", 8)
    monkeypatch.setattr(transfer, "RUNS", first_trainings)
    monkeypatch.setattr(transfer, "PRETRAINING", replace(transfer.PRETRAINING, epochs=1, warmup_epochs=0.5))
    monkeypatch.setattr(transfer, "BUDGETS", dict.fromkeys((1, 10), (1, 8)))
    for function in originals:
        function.cache_clear()
    yield data
    for function in originals:
        function.cache_clear()


# --- Pictures --------------------------------------------------------------------------------------------------------


def test_the_other_four_are_those_that_were_not_learned_first(stripes):
    assert transfer.other_four("first six").class_names == NAMES[6:]
    assert transfer.other_four("last six").class_names == NAMES[:4]
    assert transfer.pretrained("last six", "labels")[0].card.class_names == NAMES[4:]
    first = stripes.of_classes(transfer.SPLITS["first six"])
    assert (transfer.other_four("first six").mean, transfer.other_four("first six").std) == (first.mean, first.std)


def test_few_pictures_are_drawn_and_those_held_out_never(stripes):
    data = transfer.other_four("first six")
    drawn = []
    for seed in range(40):
        few, held_out, labels = transfer.draw_few(data, 3, seed)
        assert few.train_labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
        drawn += [picture.numpy().tobytes() for picture in few.train_images]
    expected = torch.cat([data.train_images[data.train_labels == label][-8:] for label in range(4)])
    assert torch.equal(held_out, expected)
    assert labels.tolist() == torch.arange(4).repeat_interleave(8).tolist()
    assert len(set(drawn)) == 4 * 12  # all others, sooner or later
    assert not set(drawn) & {picture.numpy().tobytes() for picture in held_out}
    again, other = (transfer.draw_few(data, 3, seed)[0] for seed in (39, 0))
    assert torch.equal(again.train_images, few.train_images)
    assert not torch.equal(other.train_images, few.train_images)
    with pytest.raises(ValueError, match=r"^kind 6 has 12 pictures to learn from, and 13 are asked$"):
        transfer.draw_few(data, 13, 0)


def test_pictures_are_halved_by_means_of_four_and_enlarged_to_what_they_were():
    images = torch.tensor([[0, 40, 8, 8], [20, 20, 8, 8], [255, 255, 0, 0], [255, 255, 0, 2]], dtype=torch.uint8)
    small = transfer.half_size(images[None, None])
    assert small.tolist() == [[[[20, 8], [255, 0]]]]
    big = transfer.enlarged(small)
    assert (big.shape, big.dtype) == ((1, 1, 4, 4), torch.uint8)
    assert big[0, 0].tolist()[0] == [20, 17, 11, 8]  # bilinear
    flat = torch.full((2, 3, 8, 8), 77, dtype=torch.uint8)
    assert torch.equal(transfer.enlarged(transfer.half_size(flat)), flat)


# --- The first training ----------------------------------------------------------------------------------------------


def test_what_is_hidden_is_not_seen():
    model, images = ViT(TINY), torch.randn(3, 3, 32, 32)
    whole = transfer.MaskedPatches(model)
    hidden = torch.zeros(3, 16, dtype=torch.bool)
    hidden[:, :5] = True
    seen = []
    whole.to_pixels.register_forward_pre_hook(lambda layer, args: seen.append(args[0].detach().clone()))
    whole(images, hidden)
    other = images.clone()
    other[:, :, :8] = torch.randn(3, 3, 8, 32)  # the first row of patches, 0 to 3
    whole(other, hidden)
    assert torch.equal(seen[0], seen[1])
    other[:, :, 16:24] = 0  # patches 8 to 11 are seen
    whole(other, hidden)
    assert not torch.allclose(seen[0], seen[2])


def test_the_loss_is_about_the_pixels_of_the_hidden_patches():
    model, images = ViT(TINY), 5 + 3 * torch.randn(2, 3, 32, 32)
    whole = transfer.MaskedPatches(model)
    torch.nn.init.zeros_(whole.to_pixels.weight)
    torch.nn.init.zeros_(whole.to_pixels.bias)
    hidden = torch.rand(2, 16) < 0.5
    assert whole(images, hidden).item() == pytest.approx(1, abs=1e-3)  # who says the mean is wrong by the variance
    whole.to_pixels.bias.data.fill_(2)
    assert whole(images, hidden).item() == pytest.approx(5, abs=1e-3)


def test_masked_patches_are_learned_without_labels():
    data = make_data(4)
    config = TrainingConfig(epochs=2, batch_size=16, optimizer="muon", average=0.9, validation_fraction=0)
    models = [transfer.build_model(data, transfer.SHAPE, 0) for _ in range(2)]
    start = {name: tensor.clone() for name, tensor in models[0].state_dict().items()}
    shuffled = replace(data, train_labels=data.train_labels.flip(0))
    for model, own in zip(models, (data, shuffled), strict=True):
        transfer.learn_masked_patches(model, own, config)
    first, second = (model.state_dict() for model in models)
    for name in start:
        assert torch.equal(first[name], second[name])
        assert torch.equal(first[name], start[name]) == name.startswith("head."), name


def test_half_of_the_patches_of_each_picture_are_hidden_each_time_others(monkeypatch):
    seen, forward = [], transfer.MaskedPatches.forward
    monkeypatch.setattr(
        transfer.MaskedPatches,
        "forward",
        lambda self, images, hidden: seen.append(hidden) or forward(self, images, hidden),
    )
    data = make_data(2)
    config = TrainingConfig(epochs=2, batch_size=10, validation_fraction=0)
    transfer.learn_masked_patches(transfer.build_model(data, transfer.SHAPE, 0), data, config)
    hidden = torch.cat(seen)
    patches = hidden.shape[1]
    assert hidden.shape == (2 * len(data.train_images), patches)
    assert (hidden.sum(dim=1) == patches // 2).all()
    assert len(hidden.unique(dim=0)) == len(hidden)


@pytest.mark.parametrize("how", ["labels", "masked patches"])
def test_the_first_training_is_done_once_and_kept(stripes, how, monkeypatch, tmp_path):
    monkeypatch.setattr(transfer, "RUNS", tmp_path)
    model, said = transfer.pretrained("first six", how)
    assert model.config.num_classes == 6
    assert model.card.class_names == NAMES[:6]
    assert said["images"] == 6 * 20
    assert ("test_accuracy" in said) == (how == "labels")
    transfer.pretrained.cache_clear()
    monkeypatch.setattr(transfer, "photographs", lambda: pytest.fail("it is trained again"))
    again, same_said = transfer.pretrained("first six", how)
    assert said == same_said
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_the_time_of_a_first_training_that_was_stopped_is_not_told_in_part(stripes, monkeypatch, tmp_path):
    monkeypatch.setattr(transfer, "RUNS", tmp_path)
    assert transfer.pretrained("first six", "labels")[1]["processor_seconds"] > 0
    (tmp_path / "transfer" / "first_six-labels" / "model.safetensors").unlink()  # as if stopped before it was saved
    transfer.pretrained.cache_clear()
    assert "processor_seconds" not in transfer.pretrained("first six", "labels")[1]


def test_a_first_training_of_other_settings_is_refused(stripes, monkeypatch, tmp_path):
    monkeypatch.setattr(transfer, "RUNS", tmp_path)
    transfer.pretrained("first six", "masked patches")
    transfer.pretrained.cache_clear()
    result = tmp_path / "transfer" / "first_six-masked_patches" / "result.json"
    before = result.read_text()
    kept = json.loads(before)
    del kept["training"]["layer_decay"]  # as if that setting were younger than the training
    result.write_text(json.dumps(kept))
    transfer.pretrained("first six", "masked patches")
    transfer.pretrained.cache_clear()
    monkeypatch.setattr(transfer, "PRETRAINING", replace(transfer.PRETRAINING, epochs=2))
    with pytest.raises(ValueError, match=r"had other settings \(epochs was 1 and is 2\); delete that folder"):
        transfer.pretrained("first six", "masked patches")


# --- Frozen features and pixels --------------------------------------------------------------------------------------


def test_features_are_what_the_head_reads_and_pixels_are_pixels():
    model, card = ViT(TINY).eval(), ModelCard((), (0.5,) * 3, (0.2,) * 3)
    images = torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = model.forward_intermediates(card.normalize(images))["pool"]
    torch.testing.assert_close(transfer.features_of(model, card, images), expected)
    assert torch.equal(transfer.features_of(None, card, images), card.normalize(images).flatten(1))


def test_the_nearest_vote_and_the_nearer_one_decides_a_tie():
    train = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 4.0]])
    labels = torch.tensor([2, 0, 1, 1])
    asked = torch.tensor([[0.2, 0.0], [0.8, 0.1], [0.0, 2.0]])
    assert transfer.nearest(train, labels, asked, 1, cosine=False).tolist() == [2, 0, 1]
    assert transfer.nearest(train, labels, asked, 3, cosine=False).tolist() == [2, 0, 1]
    assert transfer.nearest(train, labels, asked, 9, cosine=False).tolist() == [
        1,
        1,
        1,
    ]  # all vote
    angles = torch.tensor([[100.0, 1.0], [0.1, 1.0]])
    assert transfer.nearest(angles, torch.tensor([0, 1]), torch.tensor([[0.9, 0.1]]), 1, cosine=True).tolist() == [0]


def test_a_linear_probe_separates_what_a_line_separates():
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(200, 5, generator=generator), torch.arange(200) % 3
    x[torch.arange(200), labels] += 6
    probe = transfer.linear_probe(x, labels, 3, 0.03)
    assert (probe(x).argmax(dim=1) == labels).all()
    still = transfer.linear_probe(x, labels, 3, 0.0)
    assert not still.weight.any()


# --- Jobs ------------------------------------------------------------------------------------------------------------

JOBS = {name: (start, method) for name, (start, method, _) in transfer.METHODS.items()}


@pytest.mark.parametrize("name", JOBS)
def test_a_seed_of_the_search_sees_no_test_picture_and_another_seed_no_held_out_one(stripes, name):
    start, method = JOBS[name]
    settings = transfer.variant("first six", 10, method, start, learning_rate=0.01)
    judged, searched = (transfer.transfer(settings, seed) for seed in (0, 100))
    assert "validation_accuracy" not in judged
    assert "test_accuracy" not in searched
    for result, key, count in ((judged, "test_accuracy", 32), (searched, "validation_accuracy", 32)):
        assert result[key] * count == pytest.approx(round(result[key] * count))
        assert set(result["data"]["first_training"]) == {"labels", "masked patches"}
    four = transfer.other_four("first six")
    ruined = four.train_images.clone()
    held_out = torch.cat([(four.train_labels == label).nonzero()[-8:, 0] for label in range(4)])
    ruined[held_out] = 0
    for function in (transfer.other_four, transfer._features_once):
        function.cache_clear()

    def with_pictures(data, seed):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transfer, "other_four", lambda split: data)
            transfer._features_once.cache_clear()
            return transfer.transfer(settings, seed)

    key = "test_accuracy"
    assert with_pictures(replace(four, train_images=ruined), 0)[key] == judged[key]
    key = "validation_accuracy"
    assert with_pictures(replace(four, test_images=torch.zeros_like(four.test_images)), 100)[key] == searched[key]
    assert with_pictures(replace(four, test_images=torch.zeros_like(four.test_images)), 0)["test_accuracy"] == 0.25


def test_each_method_learns_as_many_numbers_as_it_says(stripes):
    def numbers(method, start="labels"):
        return transfer.transfer(transfer.variant("first six", 1, method, start, learning_rate=1e-3), 0)["parameters"]

    D, block, head = 64, 4 * 64 * 64 + 2 * 2 * 64 * 64 * 1 + (3 + 1 + 2 + 1 + 4) * 64, 4 * 64 + 4
    assert numbers("linear") == head
    assert numbers("linear", "pixels") == 4 * 3 * 32 * 32 + 4
    assert numbers("nearest") == 0
    assert numbers("last block") == block + 2 * D + head
    assert numbers("LoRA") == 4 * 2 * transfer.RANK * 2 * D + head
    assert numbers("all weights") == numbers("layer-wise") == 4 * block + (3 * 16 + 1) * D + 64 * D + 2 * D + head


@pytest.mark.parametrize("name", transfer.TRAPS)
def test_each_trap_is_what_it_says(stripes, name, monkeypatch):
    harm, seen = transfer.TRAPS[name], {}

    def look(model, data, config, **_):
        seen.update(model=model, data=data, config=config)

    monkeypatch.setattr(transfer, "fit", look)
    settings = transfer.variant("first six", 10, "all weights", "labels", **harm)
    settings["learning_rate"] = settings["learning_rate"] or 0.005
    transfer.transfer(settings, 0)
    model, config = seen["model"], seen["config"]
    kept, _ = transfer.pretrained("first six", "labels")
    assert config.learning_rate == harm.get("learning_rate", 0.005)
    assert config.warmup_epochs == harm.get("warm_up", 0.1) * config.epochs
    forgotten = "statistics" in harm
    assert model.card.mean == seen["data"].mean == ((0.0,) * 3 if forgotten else kept.card.mean)
    assert model.card.std == ((1.0,) * 3 if forgotten else kept.card.std)
    assert torch.equal(model.head.weight, kept.head.weight) == ("head" in harm)
    assert model.head.out_features == (6 if "head" in harm else 4)
    side = 16 if harm.get("pictures") == "half size" else 32
    assert seen["data"].train_images.shape[-1] == side
    assert model.position.pos_embed.shape[1] == (side // 4) ** 2
    if side == 32:
        assert torch.equal(model.position.pos_embed, kept.position.pos_embed)


@pytest.mark.slow
def test_planted_stripes_that_six_directions_teach_are_told_apart_in_the_other_four(stripes, monkeypatch, tmp_path):
    monkeypatch.setattr(transfer, "RUNS", tmp_path)
    monkeypatch.setattr(transfer, "PRETRAINING", replace(transfer.PRETRAINING, epochs=15, average=0.9, flip=False))
    monkeypatch.setattr(transfer, "learn_masked_patches", lambda *_: None)  # nothing here begins with that model

    def accuracy(method, start, **options):
        settings = transfer.variant("first six", 1, method, start, **options)
        return sum(transfer.transfer(settings, seed)["test_accuracy"] for seed in range(5)) / 5

    pixels, untrained, learned = (accuracy("nearest", start) for start in ("pixels", "untrained", "labels"))
    assert learned > max(pixels, untrained) + 0.15


# --- The variants ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variants",
    [transfer.methods("first six", 1, 10, 100), transfer.methods("last six", 1000), transfer.traps("first six", 100)],
)
def test_every_variant_searches_among_rates_of_its_own_unless_it_has_none(variants):
    rates = transfer.rates_of(variants)
    assert rates.keys() == variants.keys()
    for name, settings in variants.items():
        fixed = bool(settings["learning_rate"]) or settings["method"] == "nearest"
        assert (len(rates[name]) == 0) if fixed else (len(rates[name]) >= FEWEST_RATES)
        assert settings["images"] in transfer.BUDGETS
        assert settings["images"] in transfer.NEIGHBOURS
    search = Search((1, 2, 3), transfer.SEARCH_SEEDS, setting="learning_rate", own=rates)
    experiment = Experiment("", variants, job=transfer.transfer, search=search)
    assert not set(experiment.seeds) & set(search.seeds)
    files = [Job(name, rate, 0).file_name for name in variants for rate in rates[name] or (None,)]
    assert len(set(files)) == len(files)
    for name in variants:
        for rate in rates[name]:
            assert experiment.settings(name, rate)["learning_rate"] == rate


def test_a_model_of_the_study_can_be_kept(stripes, tmp_path):
    model, _ = transfer.pretrained("first six", "labels")
    assert save_model(model, tmp_path / "one.safetensors").stat().st_size < 700_000


def test_the_overview_counts_methods_and_mistakes():
    assert len(transfer.METHODS) == 12
    assert "by twelve methods" in studies.__doc__
    right = {"nothing wrong", "half size, positions interpolated", "linear probe"}
    traps = transfer.traps("first six", 100).keys()
    assert (len(traps), len(traps - right)) == (12, 9)
    assert "the same in twelve ways, nine of which are mistakes" in studies.__doc__
