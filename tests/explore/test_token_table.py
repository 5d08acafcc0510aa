"""The token table without a browser: its numbers, its words, and what it refuses."""

import re

import numpy as np
import pytest
import torch

from explore.examples import check_still_picture, picture
from vit_tutorial import ModelCard, ViT, ViTConfig
from vit_tutorial.explore import TokenTable, token_table_state
from vit_tutorial.explore.token_table.numbers import SWITCHES, cosines, plus, run_switched

SIZE = {"image_size": 12, "patch_size": 4, "in_channels": 1, "num_classes": 3, "dim": 8, "depth": 2, "num_heads": 2}


def model(**options):
    torch.manual_seed(0)
    vit = ViT(ViTConfig(**(SIZE | options)))
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)  # so that no part does nothing
    vit.card = ModelCard(("cat", "dog", "owl"), (0.3,), (0.4,))
    return vit.eval()


def model_without_numbers(**options):
    """A model of any size, for what is refused before it computes."""
    with torch.device("meta"):
        return model(**options)


def pictures(number=2):
    return [picture(12, 12, 1, seed) for seed in range(number)]


@pytest.fixture(scope="module")
def stages():
    return run_switched(model(), pictures())


def test_with_every_part_on_it_is_the_model_itself(stages):
    vit = model()
    with torch.no_grad():
        own = vit.forward_intermediates(vit.card.normalize(torch.from_numpy(np.stack(pictures()))))
    for stage, name in enumerate(("position", "blocks.0", "blocks.1")):
        for i in range(2):
            state = token_table_state(stages, i, stage)
            np.testing.assert_allclose(state.table, own[name][i].numpy(), atol=5e-3, rtol=2e-3)
    probabilities = own["logits"].softmax(-1)
    state = token_table_state(stages, 1, 2)
    assert state.here == state.at_the_end == state.all_on
    assert state.here[0] == ("cat", "dog", "owl")[int(probabilities[1].argmax())]
    assert state.here[1] == pytest.approx(probabilities[1].max().item(), abs=1e-3)


@pytest.mark.parametrize("switches", SWITCHES)
def test_each_way_to_switch_is_the_sum_of_what_is_on(stages, switches):
    patches, class_token, positions = switches
    vit = model()
    x = vit.card.normalize(torch.from_numpy(pictures()[0])[None])
    with torch.no_grad():
        z = vit.patch_embed(x) * patches
        z = torch.cat([vit.class_token.cls_token, z], dim=1) if class_token else z
        z = z + (vit.position.pos_embed if class_token else vit.position.pos_embed[:, 1:]) * positions
        last = vit.norm(vit.blocks(z))
        says = vit.head(torch.cat([last[:, :1], last[:, int(class_token) :].mean(1, keepdim=True), last[:, 4:5]], 1))
    probabilities = says.softmax(-1)[0]
    on = dict(zip(("patches", "class_token", "positions"), switches, strict=True))
    token = 4 if class_token else 5  # the token in row 4
    for reads, own in zip(("row 0", "the mean of the patches", "the chosen row"), probabilities, strict=True):
        state = token_table_state(stages, 0, 2, **on, token=token, reads=reads)
        assert state.row == 4
        assert state.at_the_end[1] == pytest.approx(own.max().item(), abs=1e-3)
        assert state.at_the_end[0] == ("cat", "dog", "owl")[int(own.argmax())]
        assert state.all_on == token_table_state(stages, 0, 2, token=token, reads=reads).here
    np.testing.assert_allclose(token_table_state(stages, 0, 0, **on).table, z[0], atol=5e-3, rtol=2e-3)
    assert state.table.shape == (10 if class_token else 9, 8)


def test_the_parts_of_a_row_sum_up(stages):
    for stage in range(3):
        for token in (0, 1, 9):
            for positions in (True, False):
                state = token_table_state(stages, 0, stage, token=token, positions=positions)
                first, second, total = state.parts
                np.testing.assert_allclose(first + second, total, atol=5e-3)
                assert np.array_equal(total, state.table[state.row])
    assert token_table_state(stages, 0, 0, token=3).part_names == ("patch embedding", "position", "token")
    assert token_table_state(stages, 0, 0, token=0).part_names == ("class token", "position", "token")
    assert token_table_state(stages, 0, 2, token=0).part_names == ("at the start", "from 2 blocks", "token")
    assert not token_table_state(stages, 0, 0, token=3, positions=False).parts[1].any()
    assert not token_table_state(stages, 0, 0, token=3, patches=False).parts[0].any()


def test_the_class_token_is_the_same_for_all_pictures_until_the_first_block(stages):
    before, after = ([token_table_state(stages, i, stage).table[0] for i in range(2)] for stage in (0, 1))
    assert np.array_equal(*before)
    assert not np.allclose(*after)


def test_without_the_class_token_patch_0_stands_in_its_row(stages):
    state = token_table_state(stages, class_token=False, token=0)
    assert state.row == 0
    assert np.array_equal(state.table[0], token_table_state(stages, token=1).table[1])
    assert [shape for _, shape in state.shapes] == ["[9, 8]", "[9, 8]", "[9, 8]", "[9, 8]", "[8]", "[3]"]
    assert [shape for _, shape in token_table_state(stages).shapes] == ["[9, 8]", *["[10, 8]"] * 3, "[8]", "[3]"]


def test_cosines_know_the_angle_and_survive_zeros():
    rows = np.array([[1.0, 0], [2, 0], [0, 3], [-1, 0], [1, 1], [0, 0]])
    assert cosines(rows, 0) == pytest.approx([1, 1, 0, -1, 0.5**0.5, 0])
    assert not cosines(rows, 5).any()


def test_equal_rows_without_positions(stages):
    """Patches that show the same are the same, until a position is added."""
    flat = run_switched(model(), [np.full((1, 12, 12), 7, np.uint8)])
    state = token_table_state(flat, stage=2, token=4, positions=False)
    assert state.similarity[1:] == pytest.approx(1, abs=1e-4)
    assert token_table_state(flat, stage=2, token=4).similarity[1:].min() < 0.999


def test_in_words(stages):
    said = token_table_state(stages, 1, 0, positions=False, token=5, number=2, name="two").words
    numbers = re.search(
        r"Its number 2: (-?[\d.]+) \(patch embedding\) ([+-]) ([\d.]+) \(position\) = (-?[\d.]+)\. ", said
    )
    assert said.startswith("two, after the embedding: [10, 8], patches on, class token on, positions off. ")
    assert "Row 5 is patch 4 (row 1, column 1 of the picture). " in said
    assert (numbers[2], numbers[3], numbers[1]) == ("+", "0.00", numbers[4])
    assert re.search(r"Most like it is row \d, (patch \d|the class token), with cosine -?[01]\.\d\d\. ", said)
    assert re.search(r"The head, reading row 0, the class token, says \w+ [\d.]+% here, and \w+ [\d.]+% after", said)
    said = token_table_state(stages, patches=False, positions=False, token=5).words
    assert " = 0.00. All its numbers are 0: no cosine tells which row is most like it. The head, reading" in said
    said = token_table_state(stages, stage=1, class_token=False, token=0, reads="the chosen row").words
    assert "after block 1: [9, 8], patches on, class token off" in said
    assert "Row 0 is patch 0 (row 0, column 0 of the picture)" in said
    assert "(from 1 block)" in said
    assert "The head, reading the chosen row, says" in said
    assert (plus(0.5), plus(-0.126), plus(-0.001)) == ("+ 0.50", "- 0.13", "+ 0.00")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s: token_table_state(s, 2), "picture 2 is not among 0 to 1"),
        (lambda s: token_table_state(s, 0, 3), "stage 3 is not among 0 to 2"),
        (lambda s: token_table_state(s, token=10), "token 10 is not among 0 to 9"),
        (lambda s: token_table_state(s, number=-1), "number -1 is not among 0 to 7"),
        (lambda s: token_table_state(s, reads="row 1"), "reads 'row 1' is not among 'row 0', 'the mean"),
        (lambda s: TokenTable(model(pool="mean"), pictures()[0]), "the model has no class token; build it with"),
        (lambda s: TokenTable(model(), {}), "there is no picture; give one"),
        (
            lambda s: TokenTable(model(), {"a": picture(12, 12, 3)}),
            "picture 'a': the picture is [3, 12, 12], and the model takes",
        ),
        (lambda s: TokenTable(model(), {"a": pictures()[0]}, picture="b"), "picture 'b' is not among 'a'"),
        (lambda s: TokenTable(model(), pictures()[0], stage=5), "stage 5 is not among 0 to 2"),
        (lambda s: setattr(TokenTable(model(), pictures()[0]), "stage", 99), "stage 99 is not among 0 to 2"),
        (lambda s: setattr(TokenTable(model(), pictures()[0]), "token", 10), "token 10 is not among 0 to 9"),
        (lambda s: setattr(TokenTable(model(), pictures()[0]), "picture", "b"), "picture 'b' is not among 'picture'"),
        (
            lambda s: run_switched(model_without_numbers(dim=1024, depth=12), pictures() * 8),
            "are 34 MB, more than 32; give fewer",
        ),
    ],
)
def test_it_says_what_is_wrong(stages, call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call(stages)


def test_a_model_in_training_stays_so_and_dropout_is_left_out():
    vit = model(dropout=0.5).train()
    one, two = (run_switched(vit, pictures()) for _ in range(2))
    assert np.array_equal(one.tokens, two.tokens)
    assert vit.training
    assert all(module.training for module in vit.modules())


@pytest.mark.parametrize("options", [{"position": "none"}, {"position": "sincos"}, {"representation_size": 6}])
def test_other_models_are_taken(options):
    vit = model(**options)
    stages = run_switched(vit, pictures())
    with torch.no_grad():
        probabilities = vit(vit.card.normalize(torch.from_numpy(np.stack(pictures())))).softmax(-1)
    assert token_table_state(stages, 0, 2).here[1] == pytest.approx(probabilities[0].max().item(), abs=1e-3)
    assert (options.get("position") == "none") == (not stages.positions.any())


def test_a_model_without_a_card_is_taken():
    vit = model()
    vit.card = None
    table = TokenTable(vit, pictures()[0][0])
    assert re.search(r"says class \d", table.words())


def test_a_still_picture_with_alt_text_stands_behind_the_widget():
    for choices in ({}, {"stage": 2, "class_token": False, "token": 9, "reads": "the mean of the patches"}):
        table = TokenTable(model(), dict(zip("ab", pictures(), strict=True)), **choices)
        check_still_picture(table)
        assert table.state().words == table.words()
    assert repr(table) == "TokenTable('a', after block 2, 9x8)"


def test_the_browser_gets_half_precision_bytes_and_one_module():
    table = TokenTable(model(), pictures()[0])
    sent = table._sent
    assert np.array_equal(np.frombuffer(sent["tokens"], np.float16).reshape(sent["sizes"]), table._stages.tokens)
    assert sent["sizes"] == [1, 8, 3, 10, 8]
    assert len(sent["probabilities"]) == 2 * 8 * 3 * 11 * 3
    assert len(sent["diverging"]) == 768
    assert table._esm.count("export default") == 1
