"""The encoder: equations 2 and 3 against loops and torch's own layer; what dropout and drop path do, and when."""

import math
from functools import partial

import numpy as np
import pytest
import shapes
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import (
    assert_same,
    encoder_block_by_loops,
    exactly,
    gelu_exact,
    gelu_tanh,
    mlp_by_loops,
    randomize,
)
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from vit_tutorial import MLP, DropPath, Encoder, EncoderBlock, MultiHeadAttention, PositionEmbedding, count_parameters
from vit_tutorial.encoder import build_part

# ---------------------------------------------------------------------------------------------- MLP


@pytest.mark.parametrize(("name", "gelu"), [("exact", gelu_exact), ("tanh", gelu_tanh)])
def test_mlp_equals_the_loops(name, gelu):
    mlp = randomize(MLP(6, 10, gelu=name).double())
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    for got, image in zip(mlp(x), x.tolist(), strict=True):
        assert_same(got, torch.tensor(mlp_by_loops(mlp, image, gelu), dtype=torch.float64))


def test_the_two_gelus_are_near_but_not_the_same():
    x = torch.linspace(-4, 4, 101)
    difference = (MLP(1, 1, gelu="exact").act(x) - MLP(1, 1, gelu="tanh").act(x)).abs().max().item()
    assert 1e-5 < difference < 1e-3


def test_mlp_works_on_each_token_alone_whatever_stands_before_it():
    mlp = randomize(MLP(6, 10).double())
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    assert_same(mlp(x)[1, 2, 4], mlp(x[1, 2, 4]))


def test_another_gelu_is_refused():
    with pytest.raises(ValueError, match=exactly("gelu is 'relu'; it must be one of 'exact', 'tanh'")):
        MLP(4, 8, gelu="relu")


@pytest.mark.parametrize(("sizes", "name"), [((0, 8), "dim"), ((-1, 8), "dim"), ((8, 0), "hidden_dim")])
def test_an_mlp_has_a_width(sizes, name):
    with pytest.raises(ValueError, match=f"^{name} is {min(sizes)}; it must be 1 or more$"):
        MLP(*sizes)


# ---------------------------------------------------------------------------------------------- one block


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_block_equals_the_loops(norm):
    block = randomize(EncoderBlock(6, 3, mlp_ratio=2, norm=norm).double())
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    for got, image in zip(block(x), x.tolist(), strict=True):
        assert_same(got, torch.tensor(encoder_block_by_loops(block, image, norm), dtype=torch.float64))


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_block_equals_torch(norm, dtype):
    ours = randomize(EncoderBlock(16, 4, norm=norm).to(dtype))
    theirs = nn.TransformerEncoderLayer(
        16,
        4,
        dim_feedforward=64,
        dropout=0,
        activation="gelu",
        layer_norm_eps=1e-6,
        batch_first=True,
        norm_first=norm == "pre",
        dtype=dtype,
    )
    names = {
        "self_attn.in_proj_": "attn.qkv.",
        "self_attn.out_proj": "attn.proj",
        "linear1": "mlp.fc1",
        "linear2": "mlp.fc2",
    }
    weights = ours.state_dict()
    for torchs, own in names.items():
        weights = {key.replace(own, torchs): value for key, value in weights.items()}
    theirs.load_state_dict(weights)
    x = torch.randn(3, 7, 16, dtype=dtype)
    assert_same(ours(x), theirs(x))


def test_the_norm_uses_the_papers_epsilon():
    """Where the numbers of a token hardly differ, 1e-6 (ViT) and 1e-5 (torch's default) are far apart."""
    block = EncoderBlock(4, 1)
    x = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64) * 1e-3
    expected = x / math.sqrt(1e-6 + 1e-6)
    assert_same(block.double().norm1(x), expected)
    assert_same(block.norm2(x), expected)


def test_a_block_that_adds_nothing_is_the_identity_in_pre_norm():
    block = EncoderBlock(8, 2)
    for branch_end in (block.attn.proj, block.mlp.fc2):
        nn.init.zeros_(branch_end.weight)
        nn.init.zeros_(branch_end.bias)
    x = torch.randn(2, 5, 8)
    assert torch.equal(block(x), x)


def test_post_norm_gives_normalised_tokens():
    out = EncoderBlock(64, 2, norm="post").double()(10 * torch.randn(2, 5, 64, dtype=torch.float64))
    assert_same(out.mean(dim=-1), torch.zeros(2, 5, dtype=torch.float64))
    torch.testing.assert_close(out.var(dim=-1, correction=0), torch.ones(2, 5, dtype=torch.float64), rtol=0, atol=1e-5)


def test_the_options_reach_the_parts():
    block = EncoderBlock(8, 2, mlp_ratio=1.5, qkv_bias=False, gelu="tanh", dropout=0.1, drop_path=0.2)
    assert block.mlp.fc1.out_features == 12
    assert block.attn.qkv.bias is None
    assert block.mlp.act.approximate == "tanh"
    assert block.mlp.drop.p == block.drop.p == 0.1
    assert block.drop_path.rate == 0.2


def test_another_norm_is_refused():
    with pytest.raises(ValueError, match=exactly("norm is 'rms'; it must be 'pre' or 'post'")):
        EncoderBlock(8, 2, norm="rms")


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=exactly("dim 8 does not divide into 3 heads")):
        EncoderBlock(8, 3)


# ---------------------------------------------------------------------------------------------- the stack


@given(st.permutations(range(6)), st.sampled_from(["pre", "post"]))
@settings(max_examples=20)
def test_the_encoder_is_permutation_equivariant(order, norm):
    encoder = randomize(Encoder(8, depth=2, num_heads=2, norm=norm).double())
    x = torch.randn(2, 6, 8, dtype=torch.float64)
    assert_same(encoder(x[:, order]), encoder(x)[:, order])


def test_the_encoder_runs_its_blocks_in_turn():
    encoder = randomize(Encoder(8, depth=3, num_heads=2).double())
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    assert torch.equal(encoder(x), encoder[2](encoder[1](encoder[0](x))))
    assert list(dict(encoder.named_children())) == ["0", "1", "2"]


def test_the_encoder_hands_its_options_to_every_block():
    for block in Encoder(8, depth=3, num_heads=2, norm="post", mlp_ratio=2, dropout=0.1):
        assert not block.pre_norm
        assert block.mlp.fc1.out_features == 16
        assert block.drop.p == 0.1


@pytest.mark.parametrize(("depth", "expected"), [(1, [0.3]), (2, [0, 0.3]), (4, [0, 0.1, 0.2, 0.3])])
def test_drop_path_grows_along_the_stack(depth, expected):
    rates = [block.drop_path.rate for block in Encoder(8, depth, num_heads=2, drop_path=0.3)]
    assert rates == pytest.approx(expected)


def test_the_number_of_parameters_does_not_depend_on_the_heads():
    assert len({count_parameters(Encoder(24, depth=2, num_heads=heads)) for heads in (1, 2, 3, 8, 24)}) == 1


def test_an_encoder_without_blocks_is_refused():
    with pytest.raises(ValueError, match=exactly("depth is 0; it must be 1 or more")):
        Encoder(8, depth=0, num_heads=2)


# ---------------------------------------------------------------------------------------------- drop path, dropout


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    drop = DropPath(0.25)
    x = torch.ones(20_000, 2, 3)
    out = drop(x)
    assert set(out.unique().tolist()) == {0.0, (x / 0.75)[0, 0, 0].item()}
    assert (out == out[:, :1, :1]).all(), "one choice per image"
    assert 0.23 < (out[:, 0, 0] == 0).double().mean().item() < 0.27
    assert 0.98 < out.mean().item() < 1.02


def test_drop_path_is_off_in_eval_and_at_rate_zero():
    x = torch.randn(50, 2, 3)
    assert torch.equal(DropPath(0.9).eval()(x), x)
    assert torch.equal(DropPath(0.0)(x), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_drop_path_keeps_the_precision(dtype):
    assert DropPath(0.5)(torch.ones(8, 3, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_drop_path_keeps_the_precision_where_a_compiler_makes_booleans_of_what_is_kept(dtype):
    """As torch.compile does for a GPU, which has no kernel of its own for these random numbers."""
    booleans = {torch.ops.aten.bernoulli.p: lambda x, p: torch.rand_like(x, dtype=torch.float32) < p}
    traced = make_fx(DropPath(0.5), decomposition_table=booleans)(torch.ones(8, 3, dtype=dtype, device="meta"))
    kept = [node.meta["val"].dtype for node in traced.graph.nodes if node.op == "call_function"]
    assert torch.bool in kept
    assert kept[-1] == dtype


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 7, 33, 1000])
def test_a_seed_drops_the_branches_that_it_always_dropped(dtype, count):
    """As recorded trainings did, with the numbers that bernoulli_ draws."""
    torch.manual_seed(3)
    out, after = DropPath(0.3)(torch.ones(count, 2, 2, dtype=dtype)), torch.rand(3)
    torch.manual_seed(3)
    keep = torch.empty(count, 1, 1, dtype=dtype).bernoulli_(0.7)
    assert torch.equal(out, (keep / 0.7).expand(-1, 2, 2))
    assert torch.equal(after, torch.rand(3))


def test_drop_path_shows_its_rate():
    assert repr(DropPath(0.25)) == "DropPath(rate=0.25)"


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, "0.1", None])
def test_an_impossible_rate_is_refused(rate):
    words = f"{rate!r}; it must be at least 0 and below 1"
    for build in (DropPath, lambda rate: EncoderBlock(8, 2, drop_path=rate), lambda rate: Encoder(8, 3, 2, rate)):
        with pytest.raises(ValueError, match=exactly(f"drop_path is {words}")):
            build(rate)
    for build in (MLP, EncoderBlock):
        with pytest.raises(ValueError, match=exactly(f"dropout is {words}")):
            build(8, 2, dropout=rate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mlp_ratio": "4"}, "mlp_ratio is '4'; it must be a number, and finite"),
        ({"mlp_ratio": True}, "mlp_ratio is True; it must be a number, and finite"),
        ({"mlp_ratio": -1}, "hidden_dim is -8; it must be 1 or more"),
        ({"dim": 8.0}, "dim is 8.0; it must be one whole number"),
        ({"dim": -8}, "dim is -8; it must be 1 or more"),
        ({"num_heads": 2.0}, "num_heads is 2.0; it must be one whole number"),
        ({"qkv_bias": "no"}, "qkv_bias is 'no'; it must be True or False"),
        ({"gelu": ["exact"]}, "gelu is ['exact']; it must be one of 'exact', 'tanh'"),
    ],
)
def test_a_block_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(ValueError, match=exactly(message)):
        EncoderBlock(**({"dim": 8, "num_heads": 2} | options))


@shapes.not_while_checking
def test_a_block_takes_numbers_of_numpy():
    block = EncoderBlock(8, 2, mlp_ratio=np.float32(2.0), dropout=np.float32(0.1), drop_path=np.float32(0.1))
    assert block.mlp.fc1.out_features == 16


@pytest.mark.parametrize("build", [lambda: MLP(8, 16), lambda: EncoderBlock(8, 2), lambda: Encoder(8, 2, 2)])
def test_tokens_that_do_not_fit_are_refused(build):
    for tokens, error, message in (
        (torch.zeros(1, 3, 9), ValueError, "tokens must be [..., 8]; got shape [1, 3, 9]"),
        (torch.zeros(1, 3, 8).double(), TypeError, "tokens are torch.float64 and the weights torch.float32; convert"),
        (torch.zeros(1, 3, 8).long(), TypeError, "tokens are torch.int64 and the weights torch.float32; convert them"),
        (torch.zeros(1, 3, 8).tolist(), TypeError, "tokens must be a Tensor; got list"),
    ):
        with pytest.raises(error, match=exactly(message)):
            build()(tokens)
    message = "tokens are torch.float32 and the weights torch.float64; convert them with tokens.to(torch.float64)"
    with pytest.raises(TypeError, match=exactly(message)):
        build().double()(torch.zeros(1, 3, 8))


def test_dropping_both_branches_leaves_the_image_as_it_was():
    block = EncoderBlock(8, 2, drop_path=0.5)
    x = torch.randn(400, 5, 8)
    kept = (block(x) == x).flatten(1).all(dim=1).double().mean().item()
    assert 0.18 < kept < 0.32, "a quarter of the images loses both branches"


@pytest.mark.parametrize("option", ["dropout", "drop_path"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_is_random_in_training_and_not_in_eval(option, norm):
    plain = randomize(EncoderBlock(8, 2, norm=norm))
    block = EncoderBlock(8, 2, norm=norm, **{option: 0.5})
    block.load_state_dict(plain.state_dict())
    x = torch.randn(4, 5, 8)
    assert not torch.equal(block(x), block(x))
    assert torch.equal(block.eval()(x), plain(x))


def test_dropout_acts_on_the_hidden_and_on_the_last_numbers_of_the_mlp():
    mlp = MLP(100, 100, dropout=0.5)
    for layer in (mlp.fc1, mlp.fc2):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    mlp.act = nn.Identity()
    out = mlp(torch.ones(200, 100))
    assert set(out.unique().tolist()) == {0.0, 4.0}, "what is left was doubled twice"
    assert 0.97 < out.mean().item() < 1.03


def test_dropout_acts_on_the_attention_branch():
    block = EncoderBlock(8, 2, dropout=0.5)
    nn.init.zeros_(block.mlp.fc2.weight)
    nn.init.zeros_(block.mlp.fc2.bias)
    x = torch.randn(50, 5, 8)
    untouched = (block(x) == x).double().mean().item()
    assert 0.45 < untouched < 0.55


# ---------------------------------------------------------------------------------------------- the learner's own parts


def test_attention_and_mlp_can_be_the_learners_own():
    class Still(MultiHeadAttention):
        def forward(self, x, return_weights=False):
            return torch.zeros_like(x)

    class Double(nn.Module):
        def __init__(self, dim, hidden_dim, **options):
            super().__init__()

        def forward(self, x):
            return 2 * x

    block = EncoderBlock(8, 2, attention=Still, mlp=Double)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(block(x), x + 2 * block.norm2(x))


class Taken(nn.Module):
    """Something that remembers what it was built with."""

    def __init__(self, *sizes, **options):
        super().__init__()
        self.sizes, self.options = sizes, options


class Plain(Taken):
    def __init__(self, dim, hidden_dim):
        super().__init__(dim, hidden_dim)


class OwnDefaults(Taken):
    def __init__(self, dim, hidden_dim, width=3, *, gelu="tanh", dropout=0.5):
        super().__init__(dim, hidden_dim, width=width, gelu=gelu, dropout=dropout)


class ByPosition(Taken):
    def __init__(self, dim, hidden_dim, width=3, dropout=0.5, /):
        super().__init__(dim, hidden_dim, width=width, dropout=dropout)


class Required(Taken):
    def __init__(self, dim, hidden_dim, gelu, dropout):
        super().__init__(dim, hidden_dim, gelu=gelu, dropout=dropout)


class OtherNames(Taken):
    def __init__(self, dim, hidden_dim, drop=0.5, act="relu"):
        super().__init__(dim, hidden_dim, drop=drop, act=act)


def make_plain(dim, hidden_dim, dropout=0.5):
    return Taken(dim, hidden_dim, dropout=dropout)


@pytest.mark.parametrize(
    ("mlp", "options"),
    [
        (Taken, {"gelu": "exact", "dropout": 0.0}),
        (Plain, {}),
        (OwnDefaults, {"width": 3, "gelu": "exact", "dropout": 0.0}),
        (ByPosition, {"width": 3, "dropout": 0.0}),
        (Required, {"gelu": "exact", "dropout": 0.0}),
        (OtherNames, {"drop": 0.5, "act": "relu"}),
        (make_plain, {"dropout": 0.0}),
        (partial(OwnDefaults, width=5), {"width": 5, "gelu": "exact", "dropout": 0.0}),
        (partial(OwnDefaults, dropout=0.5), {"width": 3, "gelu": "exact", "dropout": 0.5}),
        (partial(Taken, dropout=0.5), {"gelu": "exact", "dropout": 0.5}),
    ],
)
def test_a_part_gets_every_option_that_its_signature_takes(mlp, options):
    """Its own default does not stand against what the model says; names that differ are not guessed."""
    taken = EncoderBlock(8, 2, mlp=mlp).mlp
    assert (taken.sizes, taken.options) == ((8, 32), options)


@pytest.mark.parametrize(
    ("mlp", "asked", "refused"),
    [
        (Plain, {"gelu": "tanh"}, "Plain cannot take gelu='tanh'; "),
        (Plain, {"gelu": "tanh", "dropout": 0.1}, "Plain cannot take dropout=0.1, gelu='tanh'; "),
        (ByPosition, {"gelu": "tanh"}, "ByPosition cannot take gelu='tanh'; "),
        (OtherNames, {"dropout": 0.1}, "OtherNames cannot take dropout=0.1; "),
        (make_plain, {"gelu": "tanh"}, "make_plain cannot take gelu='tanh'; "),
        (partial(OwnDefaults, dropout=0.5), {"dropout": 0.1}, "OwnDefaults cannot take dropout=0.1; "),
        (partial(Taken, dropout=0.5), {"dropout": 0.1}, "Taken cannot take dropout=0.1; "),
    ],
)
def test_an_option_that_a_part_cannot_take_is_refused_by_name(mlp, asked, refused):
    with pytest.raises(TypeError, match=exactly(refused)):
        EncoderBlock(8, 2, mlp=mlp, **asked)


def test_a_part_that_is_built_already_is_refused():
    with pytest.raises(TypeError, match="MLP is built already, but a model builds its parts itself; pass the class"):
        EncoderBlock(8, 2, mlp=MLP(8, 32))


def test_tensors_are_options_too():
    table = torch.zeros(3, 8)
    part = partial(PositionEmbedding, table=table)
    assert build_part(part, PositionEmbedding, 3, 8, table=table).pos_embed.shape == (1, 3, 8)
    with pytest.raises(TypeError, match=exactly("PositionEmbedding cannot take table=tensor(")):
        build_part(part, PositionEmbedding, 3, 8, table=torch.ones(3, 8))


def test_what_a_partial_has_set_may_be_asked_for():
    assert EncoderBlock(8, 2, mlp=partial(OwnDefaults, dropout=0.5), dropout=0.5).mlp.options["dropout"] == 0.5


def test_options_reach_attention_and_block_too():
    class NoBias(MultiHeadAttention):
        def __init__(self, dim, num_heads, qkv_bias=False):
            super().__init__(dim, num_heads, qkv_bias)

    class Bare(nn.Identity):
        def __init__(self, dim, num_heads):
            super().__init__()

    assert EncoderBlock(8, 2, attention=NoBias).attn.qkv.bias is not None
    assert EncoderBlock(8, 2, attention=partial(MultiHeadAttention, fused=False), qkv_bias=False).attn.qkv.bias is None
    assert Encoder(8, 2, 2, mlp_ratio=2.0)[1].mlp.fc1.out_features == 16
    assert len(Encoder(8, 2, 2, block=Bare)) == 2
    for options in ({"drop_path": 0.1}, {"norm": "post"}, {"attention": NoBias}, {"mlp": Plain}, {"unheard_of": 1}):
        (name,) = options
        with pytest.raises(TypeError, match=f"Bare cannot take {name}="):
            Encoder(8, 2, 2, block=Bare, **options)
    with pytest.raises(TypeError, match="EncoderBlock cannot take unheard_of=1"):
        Encoder(8, 2, 2, unheard_of=1)


@pytest.mark.parametrize("cut", [slice(None, 2), slice(2, None), slice(None), slice(3, 3), slice(None, None, -1)])
def test_some_blocks_of_an_encoder_are_a_stack_of_these_very_blocks(cut):
    encoder = Encoder(16, 3, 4).double().eval()
    tokens = torch.randn(2, 5, 16, dtype=torch.float64)
    expected = tokens
    for block in list(encoder)[cut]:
        expected = block(expected)
    torch.testing.assert_close(encoder[cut](tokens), expected, rtol=0, atol=0)
    assert encoder[1] is list(encoder)[1]
    assert encoder[-1] is list(encoder)[2]
