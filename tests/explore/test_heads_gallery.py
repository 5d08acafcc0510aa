"""The heads gallery without a browser: its numbers, its words, and what it refuses."""

import copy

import numpy as np
import pytest
import torch
from references import exactly
from torch import nn

from explore.examples import OFF, check_still_picture, model, normalized, picture, pictures, without_rows
from vit_tutorial import (
    ClassToken,
    EncoderBlock,
    MultiHeadAttention,
    PatchEmbedding,
    PositionEmbedding,
    attention_maps,
    load_model,
    patchify,
)
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import HeadsGallery, heads_gallery_state
from vit_tutorial.explore.heads_gallery.numbers import as_off, heads_off, off_words
from vit_tutorial.explore.pictures import class_names_of
from vit_tutorial.explore.words import percent
from vit_tutorial.training import add_lora, merge_lora

# What is computed


@pytest.mark.parametrize("off", [[], [(1, 0)], OFF, [(layer, head) for layer in range(3) for head in range(2)]])
@pytest.mark.parametrize(
    "options",
    [{}, {"pool": "mean"}, {"position": "none"}, {"position": "sincos", "gelu": "tanh"}, {"qkv_bias": False}],
    ids=str,
)
def test_a_head_that_is_off_adds_nothing(off, options):
    vit = model(**options)
    image, cut = pictures()["one"], without_rows(vit, off)
    state = heads_gallery_state(vit, image, 2, 4, off)
    with torch.no_grad():
        expected = cut(normalized(image)).softmax(-1)[0]
        untouched = vit(normalized(image)).softmax(-1)[0]
    np.testing.assert_allclose(state.probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(state.all_on, untouched, atol=1e-6)
    np.testing.assert_allclose(state.maps, attention_maps(cut, normalized(image))[2][0], atol=1e-6)
    assert bool(off) == (np.abs(state.probabilities - state.all_on).max() > 1e-6)


@pytest.mark.parametrize("what", ["a block", "its attention"])
def test_a_head_that_is_off_in_one_layer_is_on_in_another_that_shares_it(what):
    shared = model()
    if what == "a block":
        shared.blocks[2] = shared.blocks[0]
    else:
        shared.blocks[2].attn = shared.blocks[0].attn
    apart = copy.deepcopy(shared)
    apart.blocks[2] = copy.deepcopy(apart.blocks[2])
    for off in ([(0, 1)], [(2, 0)], [(0, 0), (1, 1)]):
        found, expected = (heads_gallery_state(vit, pictures()["one"], off=off) for vit in (shared, apart))
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
        assert np.abs(found.probabilities - found.all_on).max() > 1e-6


def test_after_a_run_that_was_interrupted_the_same_layer_is_silent():
    shared, x = model(), normalized(pictures()["one"])
    shared.blocks[1].attn = shared.blocks[0].attn
    with heads_off(shared, [(0, 1)]), torch.no_grad():
        expected = shared(x)
        stop = shared.blocks[1].register_forward_pre_hook(lambda *call: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shared(x)
        stop.remove()
        torch.testing.assert_close(shared(x), expected, rtol=0, atol=0)


def test_the_bias_of_a_layer_without_heads_stays():
    vit = model()
    x = torch.randn(1, 10, 8, dtype=torch.float64)
    with heads_off(vit, [(1, 0), (1, 1)]):
        said = vit.blocks[1].attn(x)
    torch.testing.assert_close(said, vit.blocks[1].attn.proj.bias.expand(1, 10, 8))
    assert not torch.allclose(vit.blocks[1].attn(x), said)


def test_the_model_is_left_as_it_was():
    vit = model().train()
    before = copy.deepcopy(vit.state_dict())
    heads_gallery_state(vit, pictures()["one"], off=OFF)
    HeadsGallery(vit, pictures(), off=OFF)
    assert vit.training
    assert all(torch.equal(before[key], value) for key, value in vit.state_dict().items())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in vit.modules())


# What a learner is told to look for


def test_what_the_lesson_says_about_the_gallery():
    vit, data = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors"), load("fashion_mnist")
    names, boot, sandal, coat = data.class_names, *data.test_images[[0, 21, 25]]
    heads = [(layer, head) for layer in range(6) for head in range(4)]

    def probabilities(image, *off):
        return heads_gallery_state(vit, image, off=off).probabilities

    def says(image, *off):
        return names[probabilities(image, *off).argmax()], probabilities(image, *off).max()

    def probability(image, name, *off):
        return probabilities(image, *off)[names.index(name)]

    is_boot = (patchify(boot[None].float(), 4)[0].mean(dim=-1) > 10).numpy()
    maps = heads_gallery_state(vit, boot).maps[:, 1:, 1:]

    def share(lookers, seen):  # of the weight, in each of the four heads of layer 0
        return pytest.approx(maps[:, lookers][:, :, seen].sum(-1).mean(-1), abs=0.005)

    assert share(~is_boot, ~is_boot) == [0.74, 0.29, 0.61, 0.70]
    assert share(is_boot, is_boot) == [0.49, 0.42, 0.41, 0.68]
    assert share(~is_boot, is_boot) == [0.26, 0.68, 0.38, 0.27]
    assert (is_boot[7], is_boot[33]) == (False, True)
    assert share([7], ~is_boot) == [0.94, 0.07, 0.87, 0.80]
    assert share([33], is_boot) == [0.30, 0.14, 0.32, 0.985]
    assert (maps[:, 7].argmax(-1).tolist(), maps[:, 33].argmax(-1).tolist()) == ([16, 31, 12, 44], [13, 16, 1, 26])
    assert is_boot[[16, 31, 12, 44, 13, 16, 1, 26]].tolist() == [False, True, *[False] * 5, True]

    assert says(boot) == ("Ankle boot", pytest.approx(0.91, abs=0.005))
    assert says(boot, (0, 1)) == ("Ankle boot", pytest.approx(0.78, abs=0.005))
    assert min(says(boot, head)[1] for head in heads) == says(boot, (0, 1))[1]
    assert says(boot, *heads[-4:])[0] == "Ankle boot"
    assert says(boot, *heads[:4])[0] == "Bag"
    assert says(sandal) == ("Sandal", pytest.approx(0.63, abs=0.005))
    others = {head: says(sandal, head)[0] for head in heads if says(sandal, head)[0] != "Sandal"}
    assert others == dict.fromkeys([(0, 1), (1, 0), (3, 1), (4, 2)], "Sneaker")
    of_sandal = {head: probability(sandal, "Sandal", head) for head in heads}
    assert min(of_sandal, key=of_sandal.get) == (1, 0)
    assert of_sandal[1, 0] == pytest.approx(0.18, abs=0.005)
    assert says(sandal, *heads[4:8]) == ("Sandal", pytest.approx(0.83, abs=0.005))
    assert says(coat)[0] == "Shirt"
    assert [says(coat, head)[0] for head in heads].count("Pullover") == 9
    assert probability(coat, "Coat") == pytest.approx(0.12, abs=0.005)
    of_coat = {head: probability(coat, "Coat", head) for head in heads}
    assert max(of_coat, key=of_coat.get) == (0, 1)
    assert of_coat[0, 1] == pytest.approx(0.28, abs=0.006)
    assert [head for head in heads if says(coat, (0, 1), head)[0] == "Coat"] == [(1, 0), (2, 1), (5, 1)]


# What is shown


def test_heads_gallery_in_words():
    state = heads_gallery_state(model(), pictures()["one"], 2, 5, OFF, label=2, name="one")
    most = [f"patch {row.argmax()} ({percent(row.max())})" for row in state.maps[:, 5, 1:]]

    def says(probabilities):
        return f"{('cat', 'dog', 'owl')[probabilities.argmax()]} {percent(probabilities.max())}"

    assert state.words == (
        f"one, layer 2. Patch 4 (row 1, column 1) looks most at: head 0 (off) {most[0]}, head 1 (off) {most[1]}. "
        f"Switched off: layer 0 head 1; layer 2 all heads. The model says {says(state.probabilities)}; "
        f"with all heads on, {says(state.all_on)}. The label is owl."
    )
    assert "The class token looks most at" in heads_gallery_state(model(), pictures()["one"]).words
    assert "Patch 0 (row 0, column 0) looks" in heads_gallery_state(model(pool="mean"), pictures()["one"]).words


def test_which_heads_are_off_in_words():
    assert as_off([(2, 1), [0, 1], (2, 1)], 3, 2) == [[0, 1], [2, 1]]
    assert off_words([], 4) == "nothing"
    assert off_words([[1, 0], [1, 2], [3, 3]], 4) == "layer 1 heads 0 and 2; layer 3 head 3"


def test_names_of_classes():
    vit = model()
    assert class_names_of(vit) == ["cat", "dog", "owl"]
    assert class_names_of(vit, ("a", "b", "c")) == ["a", "b", "c"]
    vit.card = None
    assert class_names_of(vit) == ["class 0", "class 1", "class 2"]
    white = np.full((12, 12), 255, np.uint8)
    with torch.no_grad():
        expected = vit(torch.ones(1, 1, 12, 12).double()).softmax(-1)[0]
    np.testing.assert_allclose(heads_gallery_state(vit, white).all_on, expected)  # no card: pixels are 0 to 1


def test_the_widget_says_what_its_state_says():
    vit = model().float()
    lab = HeadsGallery(vit, pictures(), labels=[1, 2], picture="two", layer=1, off=[(2, 1), (0, 1)])
    assert repr(lab) == "HeadsGallery('two', layer=1, off=[(0, 1), (2, 1)])"
    named = {"label": 2, "name": "two"}
    assert lab.words() == heads_gallery_state(vit, pictures()["two"], 1, 0, [(0, 1), (2, 1)], **named).words
    lab.off, lab.query, lab.layer, lab.picture = [[1, 1], [1, 0]], 3, 0, "one"
    assert lab.off == [[1, 0], [1, 1]]
    expected = heads_gallery_state(vit, pictures()["one"], 0, 3, [(1, 0), (1, 1)], label=1, name="one")
    assert lab.words() == expected.words
    np.testing.assert_allclose(lab.state().probabilities, expected.probabilities, atol=1e-6)
    assert HeadsGallery(vit, pictures()["one"], labels=1).words().endswith("The label is dog.")
    assert "label" not in HeadsGallery(vit, pictures()["one"]).words()


@pytest.mark.parametrize(
    ("options", "query", "off"), [({}, 0, []), ({}, 4, OFF), ({"num_heads": 8, "pool": "mean"}, 2, [(0, 7)])]
)
def test_a_still_picture_with_alt_text_stands_behind_the_widget(options, query, off):
    lab = HeadsGallery(model(**options), pictures(), query=query, off=off)
    check_still_picture(lab)


# What is refused


class Own(MultiHeadAttention):
    """Attention of a learner's own."""


class OwnMLP(nn.Module):
    """An MLP of a learner's own."""

    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, dim)

    def forward(self, x):
        return self.fc1(x)


class OwnBlock(EncoderBlock):
    """A block of a learner's own."""


class OwnPatches(PatchEmbedding):
    """A patch embedding of a learner's own."""


class OwnToken(ClassToken):
    """A class token of a learner's own."""


class OwnPositions(PositionEmbedding):
    """Positions of a learner's own."""


class OwnLayer(nn.Linear):
    """A layer that does more than its weights say, as one with a LoRA of a learner's own."""

    def forward(self, x):
        return 3 * super().forward(x)


def with_layer(name, layer):
    vit = model()
    vit.set_submodule(name, layer)
    return vit


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: heads_gallery_state(model(), pictures()["one"], 3), "layer 3 is not among 0 to 2"),
        (lambda: heads_gallery_state(model(), pictures()["one"], 0, 10), "query 10 is not among 0 to 9"),
        (lambda: heads_gallery_state(model(), pictures()["one"], label=3), "label 3 is not among the classes 0 to 2"),
        (
            lambda: heads_gallery_state(model(), picture(8, 8, 1)),
            "the picture is [1, 8, 8], and the model takes",
        ),
        (
            lambda: heads_gallery_state(model(), pictures()["one"], off=[(3, 0)]),
            "there is no head 0 in layer 3; layers are 0 to 2, heads 0 to 1",
        ),
        (lambda: HeadsGallery(model(), pictures(), off=[(0, 2)]), "there is no head 2 in layer 0"),
        (lambda: setattr(HeadsGallery(model(), pictures()), "off", [[0, -1]]), "there is no head -1 in layer 0"),
        (lambda: HeadsGallery(model(), pictures(), labels=[1]), "1 labels do not fit 2 pictures"),
        (lambda: HeadsGallery(model(), pictures(), class_names=["a"]), "1 class names do not fit a model of 3 classes"),
        (
            lambda: HeadsGallery(model(), pictures() | {"big": picture(16, 16, 1)}),
            "picture 'big': the picture is [1, 16, 16], and the model takes [1, 12, 12]",
        ),
        (lambda: HeadsGallery(model(norm="post"), pictures()), "the model has norm='post'; the gallery runs pre-norm"),
        (lambda: HeadsGallery(model(representation_size=4), pictures()), "the model has a tanh layer before its head"),
        (lambda: HeadsGallery(model({"attention": Own}), pictures()), "`attn` of block 0 is a Own; the gallery runs"),
        (lambda: HeadsGallery(model({"mlp": OwnMLP}), pictures()), "`mlp` of block 0 is a OwnMLP; the gallery runs"),
        (lambda: HeadsGallery(model({"block": OwnBlock}), pictures()), "block 0 is a OwnBlock; the gallery runs"),
        (lambda: HeadsGallery(model({"patch_embed": OwnPatches}), pictures()), "`patch_embed` is a OwnPatches; the ga"),
        (
            lambda: HeadsGallery(model({"class_token": OwnToken}), pictures()),
            "`class_token` is a OwnToken; the gallery",
        ),
        (lambda: HeadsGallery(model({"position": OwnPositions}), pictures()), "`position` is a OwnPositions; the gall"),
        (
            lambda: HeadsGallery(with_layer("blocks.1.attn.qkv", OwnLayer(8, 24)), pictures()),
            "`attn.qkv` of block 1 is a OwnLayer; the gallery runs PyTorch's own Linear",
        ),
        (lambda: HeadsGallery(with_layer("head", nn.Identity()), pictures()), "`head` is a Identity; the gallery runs"),
        (lambda: HeadsGallery(with_layer("norm", nn.RMSNorm(8)), pictures()), "`norm` is a RMSNorm; the gallery runs"),
        (lambda: HeadsGallery(model(), pictures(), labels=[0, 3]), "label 3 is not among the classes 0 to 2"),
        (lambda: HeadsGallery(model(), pictures(), layer=3), "layer 3 is not among 0 to 2"),
        (lambda: setattr(HeadsGallery(model(), pictures()), "query", 10), "query 10 is not among 0 to 9"),
        (
            lambda: HeadsGallery(model(dim=256, depth=3), pictures()),
            "the blocks hold 2,369,280 numbers, and a browser runs 2,000,000 fast at most",
        ),
    ],
)
def test_heads_gallery_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=exactly(sentence)):
        call()


def test_a_lora_that_is_not_merged_yet_is_shown():
    vit = add_lora(model())
    torch.nn.init.normal_(vit.blocks[0].attn.qkv.parametrizations.weight[0].B_q)
    before = HeadsGallery(vit, pictures())._sent["vit"]
    assert HeadsGallery(merge_lora(vit), pictures())._sent["vit"] == before
    assert HeadsGallery(model(), pictures())._sent["vit"] != before
