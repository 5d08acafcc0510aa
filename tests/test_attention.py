"""Attention: equal to loops, to torch's own two forms, and blind to order, batch and the number of heads."""

import pytest
import shapes
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import assert_same, attention_by_loops, exactly, multi_head_attention_by_loops, randomize
from torch import nn
from torch.nn import functional as F

from vit_tutorial import MultiHeadAttention, count_parameters, scaled_dot_product_attention
from vit_tutorial.attention import FUSED_FROM

small = st.integers(1, 6)


def qkv(*batch, queries=4, keys=5, d=6, d_v=3):
    return (torch.randn(*batch, n, width, dtype=torch.float64) for n, width in ((queries, d), (keys, d), (keys, d_v)))


# ---------------------------------------------------------------------------------------------- one head


def test_attention_by_hand():
    """One query that points along the first key: the scores are 2 and 0, over sqrt(4)."""
    q, k, v = torch.tensor([[2.0, 0, 0, 0]]), torch.eye(4)[:2], torch.tensor([[1.0], [0.0]])
    output, weights = scaled_dot_product_attention(q, k, v)
    e = torch.tensor(1.0).exp().item()
    assert weights.tolist()[0] == pytest.approx([e / (e + 1), 1 / (e + 1)])
    assert output.item() == pytest.approx(e / (e + 1))


@given(small, small, small, small)
@settings(max_examples=30)
def test_attention_equals_the_loops(queries, keys, d, d_v):
    q, k, v = qkv(queries=queries, keys=keys, d=d, d_v=d_v)
    output, weights = scaled_dot_product_attention(q, k, v)
    expected_output, expected_weights = attention_by_loops(q.tolist(), k.tolist(), v.tolist())
    assert_same(output, torch.tensor(expected_output, dtype=torch.float64))
    assert_same(weights, torch.tensor(expected_weights, dtype=torch.float64))


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (2, 1, 3)])
def test_attention_equals_torch(batch):
    q, k, v = qkv(*batch)
    output, weights = scaled_dot_product_attention(q, k, v)
    assert_same(output, F.scaled_dot_product_attention(q, k, v))
    assert weights.shape == (*batch, 4, 5)
    assert_same(weights.sum(dim=-1), torch.ones(*batch, 4, dtype=torch.float64))
    assert weights.min() > 0


@pytest.mark.parametrize("shape", [(4, 5), (1, 5), (4, 1), (3, 4, 5), (2, 1, 4, 5), (2, 3, 4, 5)])
def test_masks_equal_torch(shape):
    q, k, v = qkv(2, 3)
    allowed = torch.rand(shape) < 0.6
    allowed[..., 0] = True
    output, weights = scaled_dot_product_attention(q, k, v, allowed)
    assert_same(output, F.scaled_dot_product_attention(q, k, v, allowed))
    assert not weights[~allowed.broadcast_to(weights.shape)].any()
    added = torch.randn(shape, dtype=torch.float64)
    assert_same(scaled_dot_product_attention(q, k, v, added)[0], F.scaled_dot_product_attention(q, k, v, added))


def test_a_mask_equals_the_loops():
    q, k, v = qkv(queries=5)
    past = torch.ones(5, 5).tril().bool()
    output, _ = scaled_dot_product_attention(q, k, v, past)
    expected, _ = attention_by_loops(q.tolist(), k.tolist(), v.tolist(), past.tolist())
    assert_same(output, torch.tensor(expected, dtype=torch.float64))


def test_large_scores_do_not_overflow():
    q, k, v = (200 * torch.ones(1, 3, 4) for _ in range(3))
    output, weights = scaled_dot_product_attention(q, k, v)
    assert weights.isfinite().all()
    torch.testing.assert_close(output, v)


def test_gradients_equal_torch():
    ours = [t.requires_grad_() for t in qkv(2)]
    theirs = [t.detach().clone().requires_grad_() for t in ours]
    scaled_dot_product_attention(*ours)[0].square().sum().backward()
    F.scaled_dot_product_attention(*theirs).square().sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert_same(a.grad, b.grad)


@pytest.mark.parametrize(
    "sizes",
    [
        [(4, 6), (5, 7), (5, 3)],  # a query and a key of different widths
        [(4, 6), (5, 6), (4, 3)],  # more keys than values
        [(6,), (5, 6), (5, 3)],  # no token axis
        [(2, 1, 4, 6), (3, 1, 5, 6), (3, 1, 5, 3)],  # other images
        [(2, 4, 6), (2, 5, 6), (3, 5, 3)],
        [(2, 3, 4, 6), (2, 5, 6), (2, 5, 3)],  # images where there are heads
    ],
)
def test_shapes_that_do_not_fit_are_refused(sizes):
    q, k, v = (torch.zeros(shape) for shape in sizes)
    message = f"got q {list(q.shape)}, k {list(k.shape)}, v {list(v.shape)}"
    with pytest.raises(ValueError, match=exactly(message)):
        scaled_dot_product_attention(q, k, v)


@shapes.not_while_checking
def test_one_image_or_head_stands_for_all():
    q, k, v = (torch.randn(shape, dtype=torch.float64) for shape in ((2, 1, 4, 6), (3, 5, 6), (1, 3, 5, 7)))
    output, weights = scaled_dot_product_attention(q, k, v)
    assert_same(output, F.scaled_dot_product_attention(*(part.expand(2, 3, -1, -1) for part in (q, k, v))))
    assert weights.shape == (2, 3, 4, 5)


@pytest.mark.parametrize("shape", [(5, 4), (3,), (3, 4, 5), (1, 1, 1, 4, 5)])
def test_a_mask_that_does_not_fit_is_refused(shape):
    q, k, v = qkv(2)
    message = f"the mask {list(shape)} does not fit the scores [2, 4, 5]; rows are queries, columns keys"
    with pytest.raises(ValueError, match=exactly(message)):
        scaled_dot_product_attention(q, k, v, torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize("kind", ["boolean", "added"])
def test_a_mask_that_blinds_a_query_is_refused(kind):
    q, k, v = qkv(2)
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[1] = mask[3] = False
    if kind == "added":
        mask = torch.zeros(4, 5, dtype=torch.float64).masked_fill(~mask, -torch.inf)
    message = "the mask leaves 4 of 8 queries nothing to look at, and softmax of nothing is not a number; let each"
    with pytest.raises(ValueError, match=exactly(message)):
        scaled_dot_product_attention(q, k, v, mask)


@shapes.not_while_checking
def test_a_mask_goes_through_the_compiler_and_vmap():
    parts, mask = tuple(qkv(2)), torch.ones(4, 5, dtype=torch.bool).tril(1)
    expected = scaled_dot_product_attention(*parts, mask)
    torch._dynamo.reset()
    compiled = torch.compile(scaled_dot_product_attention, fullgraph=True, backend="eager")
    one_by_one = torch.vmap(scaled_dot_product_attention, in_dims=(0, 0, 0, None))
    for attend in (compiled, one_by_one):
        for found, wanted in zip(attend(*parts, mask), expected, strict=True):
            assert_same(found, wanted)


# ---------------------------------------------------------------------------------------------- many heads


@pytest.mark.parametrize("num_heads", [1, 2, 3, 6])
@pytest.mark.parametrize("qkv_bias", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_heads_equal_the_loops(num_heads, qkv_bias, fused):
    attention = randomize(MultiHeadAttention(6, num_heads, qkv_bias=qkv_bias, fused=fused).double())
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    output, weights = attention(x, return_weights=True)
    for i, image in enumerate(x.tolist()):
        expected_output, expected_weights = multi_head_attention_by_loops(attention, image)
        assert_same(output[i], torch.tensor(expected_output, dtype=torch.float64))
        assert_same(attention(x)[i], torch.tensor(expected_output, dtype=torch.float64))
        assert_same(weights[i], torch.tensor(expected_weights, dtype=torch.float64))


@pytest.mark.parametrize("num_heads", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_heads_equal_torch(num_heads, dtype):
    ours = randomize(MultiHeadAttention(16, num_heads).to(dtype))
    theirs = nn.MultiheadAttention(16, num_heads, batch_first=True, dtype=dtype)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.proj.weight,
            "out_proj.bias": ours.proj.bias,
        }
    )
    x = torch.randn(3, 7, 16, dtype=dtype)
    expected_output, expected_weights = theirs(x, x, x, average_attn_weights=False)
    output, weights = ours(x, return_weights=True)
    assert_same(output, expected_output)
    assert_same(weights, expected_weights)


@pytest.fixture
def fused_calls(monkeypatch):
    """Count the calls of PyTorch's kernel, so that no test compares the explicit path with itself."""
    calls, kernel = [], F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *args: calls.append(args) or kernel(*args))
    return calls


@pytest.mark.parametrize(("batch", "num_heads", "d"), [(1, 1, 1), (2, 3, 5), (3, 4, 16)])
@pytest.mark.parametrize("tokens", [FUSED_FROM, FUSED_FROM + 33])
def test_explicit_equals_fused(batch, tokens, num_heads, d, fused_calls):
    attention = randomize(MultiHeadAttention(num_heads * d, num_heads, fused=True))
    x = torch.randn(batch, tokens, num_heads * d)
    fused = attention(x)
    assert len(fused_calls) == 1
    attention.fused = False
    torch.testing.assert_close(attention(x), fused, rtol=1e-6, atol=1e-6)
    assert len(fused_calls) == 1


def test_fused_gradients_equal_explicit_ones(fused_calls):
    attention = randomize(MultiHeadAttention(12, 3).double())
    x = torch.randn(2, FUSED_FROM, 12, dtype=torch.float64, requires_grad=True)
    inputs = (x, *attention.parameters())
    fused = torch.autograd.grad(attention(x).square().sum(), inputs)
    assert len(fused_calls) == 1
    attention.fused = False
    explicit = torch.autograd.grad(attention(x).square().sum(), inputs)
    for a, b in zip(fused, explicit, strict=True):
        assert_same(a, b)


def test_few_tokens_take_the_explicit_path_on_a_cpu_only(fused_calls):
    attention = MultiHeadAttention(8, 2)
    attention(torch.randn(1, FUSED_FROM - 1, 8))
    assert not fused_calls
    attention.to("meta")(torch.empty(1, FUSED_FROM - 1, 8, device="meta"))  # a device that computes nothing
    assert len(fused_calls) == 1


def test_heads_stay_apart_until_they_are_mixed():
    """Head 1 is silenced through its values; what head 0 found does not change."""
    attention = randomize(MultiHeadAttention(8, 2).double())
    nn.init.eye_(attention.proj.weight)
    nn.init.zeros_(attention.proj.bias)
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    before = attention(x)
    with torch.no_grad():
        attention.qkv.weight[20:24] = 0  # the last 4 of the 8 rows that make values
        attention.qkv.bias[20:24] = 0
    after = attention(x)
    assert torch.equal(after[..., :4], before[..., :4])
    assert not after[..., 4:].any()


@given(st.permutations(range(6)))
@settings(max_examples=20)
def test_attention_is_permutation_equivariant(order):
    attention = randomize(MultiHeadAttention(8, 2).double())
    x = torch.randn(2, 6, 8, dtype=torch.float64)
    assert_same(attention(x[:, order]), attention(x)[:, order])


def test_the_number_of_parameters_does_not_depend_on_the_heads():
    counts = {count_parameters(MultiHeadAttention(24, heads)) for heads in (1, 2, 3, 4, 6, 8, 12, 24)}
    assert counts == {4 * 24 * 24 + 4 * 24}
    assert count_parameters(MultiHeadAttention(24, 3, qkv_bias=False)) == 4 * 24 * 24 + 24


def test_queries_keys_and_values_start_as_three_xavier_matrices():
    attention = MultiHeadAttention(64, 4)
    bound = (6 / (64 + 64)) ** 0.5
    for weight in (*attention.qkv.weight.chunk(3), attention.proj.weight):
        assert 0.98 * bound < weight.abs().max().item() <= bound
    assert not attention.qkv.bias.any()
    assert not attention.proj.bias.any()


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_a_mask_of_whole_numbers_is_refused(dtype):
    """Nobody knows whether 1 is to be added, or says that a query may look."""
    q = torch.randn(2, 3, 4)
    with pytest.raises(
        ValueError, match=exactly(f"the mask is {dtype}; pass mask.bool(), True where a query may look")
    ):
        scaled_dot_product_attention(q, q, q, torch.tensor([1, 0, 1], dtype=dtype))


def test_a_mask_is_a_tensor():
    q = torch.randn(2, 3, 4)
    with pytest.raises(TypeError, match=exactly("mask must be a Tensor; got list")):
        scaled_dot_product_attention(q, q, q, [[True, False, True]])


def test_a_mask_of_another_precision_is_added():
    q, mask = torch.randn(2, 3, 4).half(), torch.tensor([[0.0, torch.finfo(torch.float32).min, 0.0]])
    output, weights = scaled_dot_product_attention(q, q, q, mask)
    assert output.dtype == torch.float16
    assert not weights[..., 1].any()


@pytest.mark.parametrize(
    ("dim", "num_heads", "nearest"),
    [(768, 10, 8), (64, 7, 8), (10, 3, 2), (8, 100, 8), (8, 0, 1), (8, -1, 1), (10**9 + 7, 4, 1)],
)
def test_heads_that_do_not_divide_are_refused(dim, num_heads, nearest):
    message = f"dim {dim} does not divide into {num_heads} heads; the nearest number that does is {nearest}"
    with pytest.raises(ValueError, match=exactly(message)):
        MultiHeadAttention(dim, num_heads)


@pytest.mark.parametrize(("dim", "num_heads"), [(0, 1), (0, 0), (-4, 2), (-4, 3)])
def test_a_width_of_nothing_is_refused(dim, num_heads):
    with pytest.raises(ValueError, match=f"^dim is {dim}; it must be 1 or more$"):
        MultiHeadAttention(dim, num_heads)


@pytest.mark.parametrize("shape", [(2, 5, 7), (5, 8), (1, 2, 5, 8)])
def test_wrong_tokens_are_refused(shape):
    with pytest.raises(ValueError, match=exactly(f"tokens must be [B, N, 8]; got shape {list(shape)}")):
        MultiHeadAttention(8, 2)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(1, 2, 8, dtype=torch.float64), "tokens are torch.float64 and the weights torch.float32; convert"),
        (torch.zeros(1, 2, 8, dtype=torch.int64), "tokens are torch.int64 and the weights torch.float32; convert them"),
        ([[[0.0] * 8]], "tokens must be a Tensor; got list"),
    ],
)
def test_tokens_of_another_type_are_refused(tokens, message):
    with pytest.raises(TypeError, match=exactly(message)):
        MultiHeadAttention(8, 2)(tokens)


@pytest.mark.parametrize(("sizes", "name"), [((16, 4.0), "num_heads"), ((16, True), "num_heads"), ((16.0, 4), "dim")])
def test_width_and_heads_are_whole_numbers(sizes, name):
    value = sizes[name == "num_heads"]
    with pytest.raises(ValueError, match=exactly(f"{name} is {value}; it must be one whole number")):
        MultiHeadAttention(*sizes)


@pytest.mark.parametrize("option", ["qkv_bias", "fused"])
@pytest.mark.parametrize("value", ["no", 0, None])
def test_an_option_is_true_or_false(option, value):
    with pytest.raises(ValueError, match=exactly(f"{option} is {value!r}; it must be True or False")):
        MultiHeadAttention(16, 4, **{option: value})


@pytest.mark.parametrize(
    "types", [("int64", "int64", "int64"), ("float32", "float64", "float32"), ("float32", "float32", "int64")]
)
def test_queries_keys_and_values_are_real_numbers_of_one_type(types):
    q, k, v = (torch.ones(2, 4, dtype=getattr(torch, name)) for name in types)
    message = f"of one type of real numbers; got q {q.dtype}, k {k.dtype}, v {v.dtype}; convert them, as with q.float()"
    with pytest.raises(TypeError, match=exactly(message)):
        scaled_dot_product_attention(q, k, v)


def test_autocast_brings_queries_keys_and_values_to_one_type():
    q, k = torch.randn(2, 4), torch.randn(3, 4)
    expected, _ = scaled_dot_product_attention(q, k, k)
    with torch.autocast("cpu"):
        output, _ = scaled_dot_product_attention(q.bfloat16(), k, k)
    torch.testing.assert_close(output.float(), expected, atol=0.05, rtol=0)


# ---------------------------------------------------------------------------------------------- what lesson 4 says


@given(small, small)
@settings(max_examples=20)
def test_a_causal_mask_keeps_the_future_out(tokens, place):
    """Output i is that of the first i + 1 tokens alone, whatever comes after them."""
    place = min(place, tokens)
    q, k, v = qkv(2, queries=tokens, keys=tokens)
    whole, _ = scaled_dot_product_attention(q, k, v, torch.ones(tokens, tokens).tril().bool())
    alone, _ = scaled_dot_product_attention(q[:, place - 1 : place], k[:, :place], v[:, :place])
    assert_same(whole[:, place - 1 : place], alone)


@pytest.mark.parametrize("kind", ["boolean", "added"])
def test_padding_that_is_masked_does_not_matter(kind):
    lengths, size = torch.tensor([5, 2, 1]), 5
    mask = (torch.arange(size) < lengths[:, None])[:, None]  # [B, 1, N]
    if kind == "added":
        mask = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -torch.inf)
    q, k, v = qkv(3, queries=5)
    output, _ = scaled_dot_product_attention(q, k, v, mask)
    for i, length in enumerate(lengths):
        assert_same(output[i], scaled_dot_product_attention(q[i], k[i, :length], v[i, :length])[0])
        k[i, length:], v[i, length:] = 100, -100
    assert torch.equal(scaled_dot_product_attention(q, k, v, mask)[0], output)


def test_tokens_as_columns_are_the_transpose():
    q, k, v = qkv()
    past = torch.ones(4, 5).tril().bool()
    output, weights = scaled_dot_product_attention(q, k, v, past)
    columns = (k @ q.T / 6**0.5).masked_fill(~past.T, -torch.inf).softmax(dim=0)  # queries across
    assert_same(weights.T, columns)
    assert_same(output.T, v.T @ columns)


@given(st.integers(2, 5), small, small)
@settings(max_examples=20)
def test_copies_of_all_tokens_change_nothing(copies, tokens, d):
    """Twins share what one key got alone, so the scale must not depend on how many tokens there are."""
    q, k, v = qkv(queries=3, keys=tokens, d=d)
    once, _ = scaled_dot_product_attention(q, k, v)
    many, _ = scaled_dot_product_attention(q, k.repeat(copies, 1), v.repeat(copies, 1))
    assert_same(many, once)


def test_a_score_more_for_all_keys_changes_nothing():
    q, k, v = qkv()
    output, _ = scaled_dot_product_attention(q, k, v)
    assert_same(scaled_dot_product_attention(q, k, v, torch.full((4, 5), 5.0, dtype=torch.float64))[0], output)


@pytest.mark.parametrize("fused", [True, False])
def test_only_the_explicit_path_keeps_the_table_for_the_way_back(fused):
    tokens, kept = 4 * FUSED_FROM, []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    attention = MultiHeadAttention(8, 2, fused=fused)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        attention(torch.randn(1, tokens, 8))
    assert (max(kept) >= 2 * tokens**2) is not fused
