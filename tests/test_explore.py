"""The explorers without a browser: their numbers, their words, and the picture that stands where no widget runs."""

import base64
import html
import io
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vit_tutorial import ViT, ViTConfig, attention_maps, patchify
from vit_tutorial.explore import AttentionLab, PatchLab, attention_lab_state, patch_lab_state
from vit_tutorial.explore.attention_lab import prediction_words
from vit_tutorial.explore.common import as_picture, decimals, percent
from vit_tutorial.explore.patch_lab import ORDERS, patch_sizes, sequence_order

EXPLORE = Path(sys.modules["vit_tutorial.explore"].__file__).parent


def picture(height=12, width=12, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8)


def random_maps(layers=2, heads=3, tokens=10, seed=0):
    logits = torch.randn(layers, heads, tokens, tokens, generator=torch.Generator().manual_seed(seed))
    return logits.softmax(-1).numpy()


# Patch lab: numbers


def test_row_by_row_is_what_the_library_calls_patches():
    image = torch.from_numpy(picture(8, 12))
    state = patch_lab_state(image, 4)
    assert np.array_equal(state.sequence, patchify(image[None], 4)[0].numpy())
    assert (state.rows, state.columns, state.num_tokens, state.numbers_per_token) == (2, 3, 6, 48)
    assert state.attention_pairs == 36


def test_numbers_of_the_paper():
    state = patch_lab_state(np.zeros((3, 224, 224), np.uint8), 16)
    assert (state.num_tokens, state.numbers_per_token, state.attention_pairs) == (196, 768, 38416)


def test_column_by_column_walks_down_each_column():
    expected = [row * 3 + column for column in range(3) for row in range(2)]
    assert sequence_order(2, 3, "column by column").tolist() == expected


def test_shuffle_is_a_permutation_that_only_the_seed_decides():
    orders = [sequence_order(7, 7, "shuffled", seed).tolist() for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(49)) for order in orders)
    assert sequence_order(2, 3, "shuffled", 0).tolist() == [4, 0, 2, 3, 5, 1]


def test_shuffle_has_no_favourite_place():
    firsts = [int(sequence_order(2, 2, "shuffled", seed)[0]) for seed in range(4000)]
    assert all(abs(firsts.count(cell) - 1000) < 150 for cell in range(4))


@given(
    order=st.sampled_from(ORDERS),
    seed=st.integers(0, 9999),
    patch=st.sampled_from([1, 2, 3, 6]),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    channels=st.sampled_from([1, 3]),
)
def test_the_inverse_order_puts_every_pixel_back(order, seed, patch, rows, columns, channels):
    image = picture(rows * patch, columns * patch, channels, seed)
    state = patch_lab_state(image, patch, order, seed)
    assert state.difference == 0
    assert np.array_equal(state.reassembled, image)


def test_a_shuffled_sequence_laid_row_by_row_is_not_the_picture():
    image = picture()
    state = patch_lab_state(image, 4, "shuffled", 3, reassembly="row by row")
    assert state.difference == np.abs(state.reassembled.astype(int) - image).max() > 0
    again = patchify(torch.from_numpy(state.reassembled)[None], 4)[0].numpy()
    assert np.array_equal(again, state.sequence)


def test_the_chosen_token_is_found_in_the_picture():
    image = picture(8, 12)
    state = patch_lab_state(image, 4, "shuffled", 5, token=4)
    patch = image[:, 4 * state.row : 4 * state.row + 4, 4 * state.column : 4 * state.column + 4]
    assert list(state.values) == patch.transpose(1, 2, 0).reshape(-1)[:24].tolist()
    assert patch_lab_state(image, 4, token=99).token == 5


def test_patch_lab_in_words():
    words = patch_lab_state(np.full((1, 28, 28), 7, np.uint8), 7, token=5).words
    assert words == (
        "Patch size 7: 4 rows and 4 columns give 16 tokens of 49 numbers. Order: row by row. Token 5 is the patch in "
        "row 1, column 1; its first numbers are 7, 7, 7. Put back (each in its own place): the largest difference to "
        "the picture is 0."
    )


def test_patch_sizes_divide_both_sides():
    assert patch_sizes(28, 28) == [1, 2, 4, 7, 14, 28]
    assert patch_sizes(12, 8) == [1, 2, 4]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: patch_lab_state(picture(), 5), "patch_size 5 does not divide 12x12; choose from [1, 2, 3, 4, 6, 12]"),
        (lambda: patch_lab_state(picture(), 4, "spiral"), "order 'spiral' is unknown"),
        (lambda: patch_lab_state(picture(), 4, reassembly="anyhow"), "reassembly 'anyhow' is unknown"),
        (lambda: as_picture(np.zeros((3, 4, 4))), "image holds float64, not uint8"),
        (lambda: as_picture(np.zeros((2, 4, 4), np.uint8)), "image has shape [2, 4, 4]"),
        (lambda: as_picture(np.zeros((1, 3, 4, 4), np.uint8)), "image has shape [1, 3, 4, 4]"),
        (lambda: PatchLab({}), "images holds no picture"),
        (lambda: PatchLab(picture(), 5), "patch_size 5 does not divide 12x12"),
        (lambda: PatchLab({"a": picture()}, 4, picture="b"), "picture 'b' is not among 'a'"),
        (lambda: PatchLab({"a": torch.zeros(3, 4, 4)}), "picture 'a' holds float32, not uint8"),
    ],
)
def test_patch_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


# Attention lab: numbers


def test_weights_are_the_row_of_the_query():
    maps = random_maps()
    state = attention_lab_state(maps, 3, layer=1, head=2, query=4)
    assert np.allclose(state.weights, maps[1, 2, 4, 1:].reshape(3, 3), atol=0)
    assert state.class_weight == pytest.approx(float(maps[1, 2, 4, 0]))
    row = torch.tensor(maps[1, 2, 4], dtype=torch.float64)
    assert state.entropy == pytest.approx(float(-(row * row.log()).sum()), rel=1e-12)
    best = torch.tensor(maps[1, 2, 4, 1:]).topk(5)
    assert [patch for patch, _ in state.top] == best.indices.tolist()
    assert [weight for _, weight in state.top] == pytest.approx(best.values.tolist())


def test_head_minus_one_is_the_mean_of_all_heads():
    maps = random_maps()
    state = attention_lab_state(maps, 3, 0, -1, 0)
    assert np.allclose(state.weights.reshape(-1), maps[0, :, 0, 1:].astype(np.float64).mean(0), atol=1e-12)


def test_uniform_and_certain_attention():
    uniform = np.full((1, 1, 10, 10), 0.1)
    assert attention_lab_state(uniform, 3, 0, 0, 1).spread == pytest.approx(10)
    certain = np.eye(10)[None, None]
    state = attention_lab_state(certain, 3, 0, 0, 4)
    assert (state.entropy, state.top[0], state.class_weight) == (0, (3, 1.0), 0.0)


@pytest.mark.parametrize(("prefix", "on_class", "other"), [(0, None, 0.0), (1, 0.1, 0.0), (3, 0.1, 0.2)])
def test_prefix_tokens_are_not_patches(prefix, on_class, other):
    tokens = 4 + prefix
    maps = np.full((1, 1, tokens, tokens), 0.1)
    state = attention_lab_state(maps, (2, 2), 0, 0, prefix, num_prefix_tokens=prefix)
    assert state.weights.shape == (2, 2)
    assert state.class_weight == on_class
    assert state.other_weight == pytest.approx(other)
    assert ("class token" in state.words) == (prefix > 0)


def test_attention_lab_in_words():
    maps = np.full((1, 2, 5, 5), 0.125)
    maps[..., 3] = 0.5
    assert attention_lab_state(maps, 2, 0, 1, 2).words == (
        "Layer 0, head 1: patch 1 (row 0, column 1) looks most at patch 2 (row 1, column 0), with 50.0%; "
        "12.5% goes to the class token. Entropy 1.39 nats, as if spread evenly over 4.0 of 5 tokens."
    )
    assert attention_lab_state(maps, 2, 0, -1, 0).words.startswith("Layer 0, mean of all heads: the class token looks")


def test_equal_weights_are_listed_from_the_first_patch():
    maps = np.full((1, 1, 65, 65), 0.01)
    maps[..., 1:20:2] = 0.03
    assert [patch for patch, _ in attention_lab_state(maps, 8, 0, 0, 0).top] == [0, 2, 4, 6, 8]


def test_halves_are_rounded_up_as_in_the_browser():
    assert percent(0.0625) == "6.3%"
    assert percent(1.0) == "100.0%"
    assert decimals(0.125) == "0.13"
    assert decimals(2.25, 1) == "2.3"


def test_prediction_in_words():
    assert prediction_words(None, None) == ""
    assert prediction_words(1, ["cat", "dog"]) == "The model says: dog"
    probabilities = torch.tensor([0.1, 0.6, 0.05, 0.25])
    assert prediction_words(probabilities, list("abcd")) == "The model says: b 60.0%, d 25.0%, a 10.0%"
    assert prediction_words(probabilities[None], None).startswith("The model says: class 1 60.0%")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: attention_lab_state(random_maps(), 3, 2, 0, 0), "layer 2 is not among 0 to 1"),
        (lambda: attention_lab_state(random_maps(), 3, 0, 3, 0), "head 3 is not among 0 to 2"),
        (lambda: attention_lab_state(random_maps(), 3, 0, 0, 10), "query 10 is not among the tokens 0 to 9"),
        (lambda: AttentionLab(picture(), random_maps(), 4), "a 4 x 4 grid with 1 prefix tokens has 17"),
        (lambda: AttentionLab(picture(), random_maps(), 3, 0), "a 3 x 3 grid with 0 prefix tokens has 9"),
        (lambda: AttentionLab(picture(), random_maps() * 2, 3), "rows of a map must sum to 1, one is off by 1"),
        (lambda: AttentionLab(picture(), random_maps() * np.nan, 3), "rows of a map must sum to 1, one is off by nan"),
        (lambda: AttentionLab(picture(), [], 3), "got none"),
        (lambda: AttentionLab(picture(), random_maps()[None].repeat(2, 0), 3), "got [2, 3, 10, 10]"),
        (lambda: AttentionLab(picture(14, 14), random_maps(), 3), "a 3 x 3 grid does not fit a picture of 14 x 14"),
        (lambda: AttentionLab(picture(), random_maps(), 3, layer=7), "layer 7 is not among 0 to 1"),
        (lambda: AttentionLab(picture(), random_maps(), 3, prediction=[1.0, 2.0]), "prediction sums to 3, not 1"),
        (
            lambda: AttentionLab(picture(), random_maps(), 3, class_names=["a"], prediction=[0.5, 0.5]),
            "1 class names do not fit 2 probabilities",
        ),
    ],
)
def test_attention_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


def test_attention_lab_takes_what_attention_maps_gives():
    model = ViT(ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=3, dim=16, depth=2, num_heads=4))
    image = torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8)
    maps = attention_maps(model, image[None] / 255)
    lab = AttentionLab(image, maps, 4, prediction=model(image[None] / 255).softmax(-1))
    assert np.abs(lab.state().weights.reshape(-1) - maps[1][0].mean(0)[0, 1:].numpy()).max() < 1e-3
    assert repr(lab) == "AttentionLab(layers=2, heads=4, grid=4x4)"


def test_half_precision_tensors_are_read():
    maps = [torch.full((2, 5, 5), 0.2, dtype=torch.bfloat16)]
    lab = AttentionLab(torch.zeros(4, 4, dtype=torch.uint8), maps, 2, prediction=torch.tensor([1.0]).bfloat16())
    assert lab.state().spread == pytest.approx(5, rel=1e-2)


# What stands in a page without a kernel


SHUFFLED = {"order": "shuffled", "reassembly": "row by row"}
EXPLORERS = {
    "colour": lambda: PatchLab({"cat": picture(56, 56), "grey": picture(28, 28, 1)}, 7, **SHUFFLED),
    "one large patch": lambda: PatchLab(picture(8, 16, 1)[0], 8),
    "pixels as patches": lambda: PatchLab(picture(80, 80), 1),
    "class token": lambda: AttentionLab(picture(), random_maps(), 3, class_names=["a", "b"], prediction=[0.25, 0.75]),
    "patch": lambda: AttentionLab(picture(12, 18, 1), random_maps(tokens=6), (2, 3), 0, query=4, head=1),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_still_picture_with_alt_text_stands_behind_the_widget(name):
    lab = EXPLORERS[name]()
    data, _ = lab._repr_mimebundle_()
    assert data["text/plain"] == repr(lab)
    assert "application/vnd.jupyter.widget-view+json" in data
    alt, source = re.search(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)">', data["text/html"]).groups()
    assert html.unescape(alt) == lab.state().words
    image = Image.open(io.BytesIO(base64.b64decode(source)))
    assert 900 <= image.width <= 1000
    assert np.asarray(image.convert("L")).std() > 20
    assert len(source) < 300_000


def test_the_still_picture_follows_the_state():
    lab = PatchLab(picture(), 4)
    before = lab._repr_mimebundle_()[0]
    assert lab._repr_mimebundle_()[0]["text/html"] == before["text/html"]
    lab.token = 5
    assert lab._repr_mimebundle_()[0]["text/html"] != before["text/html"]
    assert repr(lab) == "PatchLab('picture', patch_size=4, order='row by row')"


def test_alt_text_cannot_break_out_of_the_page(monkeypatch):
    lab = PatchLab(picture(), 4)
    monkeypatch.setattr(lab, "words", lambda: '"><b>')
    assert '<img alt="&quot;&gt;&lt;b&gt;" src=' in lab._repr_mimebundle_()[0]["text/html"]


def test_the_still_picture_leaves_pyplot_alone():
    code = (
        "import sys, numpy as np; from vit_tutorial.explore import PatchLab;"
        "PatchLab(np.zeros((28, 28), np.uint8), 7)._repr_mimebundle_();"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("lab", [PatchLab, AttentionLab])
def test_the_browser_gets_one_module_that_fetches_nothing(lab):
    assert lab._esm.count("export default") == 1
    for file in [*EXPLORE.glob("*.js"), *EXPLORE.glob("*.css")]:
        assert not re.search(r"https?://|import\s|fetch\(", file.read_text()), file.name


def test_maps_travel_as_half_precision_bytes():
    maps = random_maps()
    lab = AttentionLab(picture(), maps, 3)
    assert np.array_equal(np.frombuffer(lab._maps, np.float16), maps.astype(np.float16).reshape(-1))
    assert math.prod(lab._maps_shape) * 2 == len(lab._maps)
