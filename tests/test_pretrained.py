"""Published weights: our model gives the logits of the library they come from; without a network, one clear sentence.

No test uses the network: random numbers stand in for what would be fetched.
"""

import functools
import importlib.util
import urllib.error
import urllib.request

import pytest
import timm
import torch
import torchvision
from references import assert_same, randomize, unfilled

from vit_tutorial import ViT, count_parameters, pretrained
from vit_tutorial.pretrained import PUBLISHED, FetchError

pytestmark = pytest.mark.slow


@functools.cache
def random_numbers(make, name):
    return randomize(unfilled(lambda: make(name)))


def with_one_block(make):
    """The same model with the first of its blocks alone, for tests that look at something else than its numbers."""

    def shallow(name):
        model = make(name)
        part, blocks = (model.encoder, "layers") if hasattr(model, "encoder") else (model, "blocks")
        setattr(part, blocks, getattr(part, blocks)[:1])
        return model

    return shallow


@pytest.fixture
def network(monkeypatch):
    """Both libraries fetch at once, and get random numbers; the models that have them, by name."""
    return answers(monkeypatch, timm.create_model, torchvision.models.get_model)


@pytest.fixture
def network_of_one_block(monkeypatch):
    """The same with models of one block."""
    return answers(monkeypatch, with_one_block(timm.create_model), with_one_block(torchvision.models.get_model))


def answers(monkeypatch, make_timm, make_torchvision):
    """Let both libraries answer with models made by these two functions, and give those by name."""
    fetched = {}

    def create_model(name, pretrained=False):
        assert pretrained
        fetched[name] = random_numbers(make_timm, name)
        return fetched[name]

    def load_state_dict_from_url(url, progress, check_hash):
        assert check_hash, "a half download would count as weights"
        name = url.split("/")[-1].split("-")[0]
        fetched[name] = random_numbers(make_torchvision, name)
        return fetched[name].state_dict()

    monkeypatch.setattr(timm, "create_model", create_model)
    monkeypatch.setattr(pretrained, "_must_be_near", lambda repository: None)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", load_state_dict_from_url)
    return fetched


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **options):
        raise urllib.error.URLError("Name or service not known\nand a second line")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: pytest.fail("it would ask again and again"))


def pictures(size=224):
    return torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8)


@pytest.mark.parametrize("name", ["ViT-B/32", "ViT-Ti/16", "R26+ViT-S/32"])
def test_the_logits_are_those_of_the_library(network, name):
    model = ViT.from_pretrained(name)
    (theirs,) = network.values()
    images = model.card.normalize(pictures())
    assert not model.training
    with torch.no_grad():
        assert_same(model(images), theirs(images))


def test_the_card_says_how_to_feed_the_model_and_what_it_answers(network_of_one_block):
    cards = {name: ViT.from_pretrained(name, depth=1).card for name in ("ViT-B/32", "ViT-Ti/16")}
    for name, card in cards.items():
        assert len(card.class_names) == 1000
        assert "tabby" in card.class_names[281]
        assert PUBLISHED[name].model in card.record
    weights = torchvision.models.ViT_B_32_Weights.IMAGENET1K_V1
    images = pictures()
    expected = weights.transforms(crop_size=224, resize_size=224)(images)
    torch.testing.assert_close(cards["ViT-B/32"].normalize(images), expected)


def test_the_card_says_which_part_of_a_picture_the_model_sees(network_of_one_block):
    """torchvision resizes to 256 or 242 pixels and cuts out 224; timm's share of the side is 0.9 here."""
    views = {name: ViT.from_pretrained(name, depth=1).card for name in ("ViT-B/32", "ViT-L/16", "ViT-Ti/16")}
    sides = {name: (224 / card.crop, card.interpolation) for name, card in views.items()}
    assert sides == {
        "ViT-B/32": (pytest.approx(256), "bilinear"),
        "ViT-L/16": (pytest.approx(242), "bilinear"),
        "ViT-Ti/16": (pytest.approx(224 / 0.9), "bicubic"),
    }


@pytest.mark.filterwarnings("error")  # how the fetched positions lie is known, and nothing to ask the user
def test_another_resolution_and_other_classes(network):
    model = ViT.from_pretrained("ViT-Ti/16", image_size=(64, 96), num_classes=3, drop_path=0.1)
    assert model(model.card.normalize(pictures(96)[:, :, :64])).shape == (1, 3)
    assert model.config.drop_path == 0.1
    assert model.card.class_names == ()
    assert len(model.card.mean) == 3
    (theirs,) = network.values()
    assert torch.equal(model.blocks[0].attn.qkv.weight, theirs.blocks[0].attn.qkv.weight)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_listed_is_published_and_fits(name):
    published = PUBLISHED[name]
    with torch.device("meta"):  # shapes without numbers
        ours = ViT.from_name(name, published.image_size)
        if published.library == "torchvision":
            weights = torchvision.models.get_model_weights(published.model)[published.tag]
            size, count = weights.transforms().crop_size[0], weights.meta["num_params"]
        else:
            full_name = f"{published.model}.{published.tag}"
            assert full_name in timm.list_pretrained()
            theirs = timm.create_model(full_name)
            size, count = theirs.pretrained_cfg["input_size"][1], count_parameters(theirs)
    assert (published.image_size, count_parameters(ours)) == (size, count)


@pytest.mark.parametrize("name", ["ViT-B/32", "ViT-Ti/16"])
def test_without_a_network_it_says_what_would_have_been_fetched(no_network, name):
    with pytest.raises(FetchError) as caught:
        ViT.from_pretrained(name)
    said = str(caught.value)
    published = PUBLISHED[name]
    assert said.startswith(f"Nothing could be fetched (no network): {name} would have come from ")
    for part in (name, published.library, published.model, published.tag, " MB", "load_model("):
        assert part in said
    assert "\n" not in said


def test_what_was_fetched_before_needs_no_network(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("it asked the network"))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repository, file: f"{repository}/{file}")
    pretrained._must_be_near("timm/x")


def test_a_server_that_answers_with_an_error_is_near(monkeypatch):
    def forbidden(url, timeout):
        raise urllib.error.HTTPError(url, 403, "Forbidden", None, None)

    monkeypatch.setattr(urllib.request, "urlopen", forbidden)
    pretrained._must_be_near("timm/nothing-that-was-fetched")


def test_nothing_is_fetched_unless_it_may_be(monkeypatch):
    monkeypatch.setattr(pretrained, "_FETCH", {})
    with pytest.raises(FetchError, match=r"fetch is False: ViT-B/16 .* 86,567,656 numbers, about 346 MB; "):
        ViT.from_pretrained("ViT-B/16", num_classes=10, image_size=384, fetch=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0; features without a head are forward_intermediates"),
        ({"image_size": 0}, "image_size is 0; it must be 1 or more"),
        ({"image_size": 100}, "image height 100 is not a multiple of patch_size 16"),
        ({"dropout": "some"}, "dropout is 'some'; it must be a number"),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_fetched(monkeypatch, options, message):
    fetching = dict.fromkeys(pretrained._FETCH, lambda published: pytest.fail("it was fetched"))
    monkeypatch.setattr(pretrained, "_FETCH", fetching)
    with pytest.raises(ValueError, match=message):
        ViT.from_pretrained("ViT-B/16", **options)


def test_a_damaged_download_is_no_model(monkeypatch):
    def damaged(*args, **options):
        raise RuntimeError('invalid hash value (expected "abc", got "def")')

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", damaged)
    with pytest.raises(FetchError, match="invalid hash value"):
        ViT.from_pretrained("ViT-B/32")


def test_a_name_without_weights_is_refused():
    with pytest.raises(ValueError, match=r"no published weights for 'ViT-B/4'; choose one of ViT-Ti/16, "):
        ViT.from_pretrained("ViT-B/4")


def test_without_timm_it_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install timm"):
        ViT.from_pretrained("ViT-Ti/16")
