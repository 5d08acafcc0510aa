"""Sentences that were once true by chance, or of some inputs alone: these answers do not get them any more."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from exercises.corpus import made_of
from vit_tutorial.exercises import check
from vit_tutorial.exercises.difference import Call, Case, Trace, compare_parts, explain, where_wrong


def said_of(name, text):
    verdict = getattr(check, name)(made_of(text))
    assert not verdict.passed
    return verdict.diagnosis


def rate(up="peak * (step + 1) / warmup", progress="(step - warmup) / (steps - warmup)", cosine="1 + math.cos"):
    return f"""
        def my_learning_rate(step, steps, warmup, peak):
            if step < warmup:
                return {up}
            t = {progress}
            return peak * ({cosine}(math.pi * t)) / 2
        """


# ------------------------------------------------------------------------------------------ right for other inputs


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "learning_rate",
            """
            def no_warm_up(step, steps, warmup, peak):
                return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
            """,
        ),
        (
            "layer_norm",
            """
            def beta_in_the_root(z, gamma, beta, eps):
                variance = z.var(-1, keepdim=True, correction=0)
                return gamma * (z - z.mean(-1, keepdim=True)) / torch.sqrt(variance + eps + beta)
            """,
        ),
        (
            "position_parameters",
            """
            def square_of_the_patch(image_size, patch_size, dim):
                return (image_size // patch_size ** 2 + 1) * dim
            """,
        ),
    ],
)
def test_an_answer_is_right_for_other_inputs_only_where_several_inputs_show_it(name, text):
    assert "this is right for" not in said_of(name, text)


def test_what_is_true_of_all_inputs_is_said_without_a_condition():
    said = said_of(
        "attention",
        """
        def queries_and_keys_exchanged(q, k, v, mask=None):
            scores = k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            return scores.softmax(dim=-1) @ v
        """,
    )
    assert said == "this is right for `q` and `k` exchanged."


def test_a_number_put_in_place_of_an_input_is_told_as_that_number():
    """Two becomes four as 4, as its square and as twice as much: other inputs tell."""
    heads = """
        class MyAttention(nn.Module):
            def __init__(self, dim, num_heads):
                super().__init__()
                self.qkv = nn.Linear(dim, 3 * dim)
                self.proj = nn.Linear(dim, dim)

            def forward(self, x):
                q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=4)
                return self.proj(rearrange(scaled_dot_product_attention(q, k, v)[0], "b h n d -> b n (h d)"))
        """
    assert said_of("multi_head_attention", heads) == "this is right for `num_heads` replaced by 4."


@pytest.mark.parametrize(
    ("given", "replaced"),
    [
        ([(2, 3), (2, 5)], False),  # 2 alone becomes 4: its square, twice as much, 4?
        ([(2, 3), (3, 5)], True),
    ],
)
def test_a_number_is_replaced_only_where_two_of_them_show_it(given, replaced):
    def waves(n, k):
        return (torch.arange(5.0) * n + k).sin()

    cases = [Case({"n": n, "k": k}, waves(n * n, k), waves(n, k)) for n, k in given]
    assert ("its square" in explain(cases, solve=waves)) == replaced


def test_a_number_is_replaced_in_an_output_of_another_shape_too():
    heads = "def two(x, num_heads): return x.unflatten(-1, (2, -1)).transpose(1, 2)"
    assert said_of("split_heads", heads).endswith("this is right for `num_heads` replaced by 2.")


# ------------------------------------------------------------------------------------------ more inputs


@pytest.mark.parametrize(
    ("answer", "false"),
    [
        (rate(up="peak / warmup"), "2/peak"),
        (rate(progress="(step - warmup) / steps - warmup"), "where step is larger than warmup"),
        (rate(progress="(step - warmup) / steps"), "where step is larger than warmup"),
        (rate(cosine="1 - math.cos"), "where step is no smaller than warmup"),
    ],
)
def test_no_condition_on_the_learning_rate_holds_by_chance(answer, false):
    assert false not in said_of("learning_rate", answer)


@pytest.mark.parametrize(
    ("name", "text", "false"),
    [
        (
            "patchify",
            """
            def first_image(images, P):
                return rearrange(images[:1], "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P)
            """,
            "where H and W differ",
        ),
        (
            "sequence_shape",
            "def height_alone(height, width, P, channels): return (height // P) ** 2, P * P + channels",
            "half as large",
        ),
    ],
)
def test_no_length_of_the_pictures_holds_by_chance(name, text, false):
    assert false not in said_of(name, text)


def test_no_epsilon_of_ones_own_passes():
    text = """
        def my_layer_norm(z, gamma, beta, eps):
            variance = z.var(-1, keepdim=True, correction=0)
            return gamma * (z - z.mean(-1, keepdim=True)) / torch.sqrt(variance + 1e-6) + beta
        """
    assert "eps" in said_of("layer_norm", text)


# ------------------------------------------------------------------------------------------ shapes


@pytest.mark.parametrize("count", [2, 3])
def test_two_lengths_have_no_formula(count):
    sizes = [(2, 3), (3, 5), (5, 9)][:count]
    made = [Case({"P": p}, torch.zeros(p - 1), torch.ones(w), {"P": float(p)}, "N") for p, w in sizes]
    assert ("P − 1" in explain(made)) == (count == 3)


def pool(cls, mean):
    return f"""
        def my_pool(tokens, how):
            if how == "cls":
                return {cls}
            return {mean}
        """


def square_alone(order):
    return f"""
        def my_overlapping_patches(images, P, stride):
            B, C, H, W = images.shape
            places = range(0, H - P + 1, stride)
            rows = [images[:, :, i:i + P, j:j + P].permute{order}.reshape(B, -1) for i in places for j in places]
            return torch.stack(rows, 1)
        """


def test_a_wrong_shape_is_told_of_the_input_that_is_shown():
    said = said_of("overlapping_patches", square_alone((0, 2, 3, 1)))
    assert said.endswith("the shape is wrong: on this input axis N is 4 long instead of 6.")


def test_an_input_with_a_wrong_shape_is_named_where_another_one_is_shown():
    said = said_of("overlapping_patches", square_alone((0, 3, 2, 1)))
    assert "smallest" not in said
    assert "with `images` of shape [1, 1, 4, 5], `P` = 3 and `stride` = 1, axis N is 4 long instead of 6." in said
    assert said.endswith("the shape is right, and the numbers are wrong.")


@pytest.mark.parametrize(
    ("cls", "mean"),
    [
        ("tokens[:, :1]", "tokens.mean(dim=1)"),
        ("tokens[:, 0, :1]", "tokens[:, :-1].mean(dim=1)"),
    ],
)
def test_the_rest_is_right_only_where_the_sentence_speaks(cls, mean):
    said = said_of("pool", pool(cls, mean))
    assert said.startswith('where `how` is "cls": ')
    assert said.endswith(' Where `how` is "mean" the shape is right, and the numbers are wrong.')


def test_an_axis_that_is_wrong_on_some_inputs_is_not_said_of_all():
    said = said_of("pool", pool("tokens[:, -1]", "tokens[:, 1:].mean(dim=2)"))
    assert said.startswith("on 2 of the inputs, such as")
    assert "the numbers are wrong" in said


def test_a_length_is_no_difference_where_all_inputs_have_the_same():
    said = said_of(
        "patch_embedding",
        """
        class MyPatchEmbedding(nn.Module):
            def __init__(self, image_size, patch_size, in_channels=3, dim=768):
                super().__init__()
                self.proj = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size, padding=1)

            def forward(self, images):
                return self.proj(images).flatten(2).transpose(1, 2)
        """,
    )
    assert "too long by" not in said
    assert "axis N is 9 long, and should be 4. On 2 others" in said


# ------------------------------------------------------------------------------------------ sentences of their own


@pytest.mark.parametrize(
    ("name", "text", "true", "false"),
    [
        (
            "is_equivariant",
            """
            def shuffled_alone(layer, tokens, order):
                return torch.allclose(layer(tokens[:, order]), layer(tokens[:, order])[:, order], atol=1e-5)
            """,
            "your two sides come of one input.",
            "never gave",
        ),
        (
            "shuffled_control",
            """
            def by_columns(ranking, seed):
                generator = torch.Generator().manual_seed(seed)
                return ranking.gather(0, torch.rand(ranking.shape, generator=generator).argsort(dim=0))
            """,
            "values moved from one picture to another",
            "nothing has moved within",
        ),
        (
            "attention_mask",
            """
            def joined_by_or(lengths, size):
                real = torch.arange(size) < lengths[:, None]
                return torch.ones(size, size, dtype=torch.bool).tril(-1) | real[:, None]
            """,
            "no True is missing",
            "every yes is right",
        ),
        (
            "attention_cost",
            "def twice(N, D): return 2 * N * N * D, 16 * N * D * D, 8 * D",
            "your second number is twice too large",
            "compares one",
        ),
        (
            "moving_average",
            """
            def grows(kept, new, decay, step):
                d = min(decay, (1 + step) / (10 + step))
                return d * kept + new
            """,
            "the two shares must add up to 1",
            "1 - decay",
        ),
        (
            "vit_from_parts",
            """
            class MyViT(nn.Module):
                def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
                    super().__init__()
                    self.blocks = nn.ModuleList()
                    self.blocks = [EncoderBlock(dim, num_heads) for _ in range(depth)]

                def forward(self, images):
                    return images
            """,
            "`blocks` is a child module, and only a layer can take its place.",
            "another name",
        ),
        (
            "vit_forward",
            """
            def class_token_beside_all(model, images):
                x = model.patch_embed(images)
                x = model.position(torch.cat([model.class_token(x), x], dim=1))
                return model.head(model.norm(model.blocks(x))[:, 0])
            """,
            "model.position got 9 tokens, and has positions for 5",
            "came before",
        ),
        (
            "vit_forward",
            """
            def head_in_front(model, images):
                x = model.position(model.head(model.class_token(model.patch_embed(images))))
                return model.norm(model.blocks(x))[:, 0]
            """,
            "each position holds 8 numbers, and each token 3: D must be one and the same.",
            "model.position got",
        ),
        (
            "pool",
            """
            def one_number_alone(tokens, how):
                pooled = tokens[:, 0] if how == "cls" else tokens[:, 1:].mean(dim=1)
                return torch.cat([pooled[:, :1], pooled[:, 1:] ** 3 + 7], dim=1)
            """,
            "the first number of each vector alone is right.",
            "token",
        ),
        (
            "sincos_1d",
            """
            def all_alike_but_the_first(num_positions, dim):
                table = torch.zeros(num_positions, dim)
                table[0, 1::2] = 1
                return table
            """,
            "the first position alone is right.",
            "token",
        ),
        (
            "merged_qkv",
            """
            def first_column_wrong(weight, A_q, B_q, A_v, B_v, alpha):
                D, scale = weight.shape[1], alpha / len(A_q)
                merged = weight.clone()
                merged[:D] += scale * B_q @ A_q
                merged[2 * D :] += scale * B_v @ A_v
                merged[:, 0] = merged[:, 0] ** 3 + 7
                return merged
            """,
            "all is right but for the first number of each row.",
            "token",
        ),
        (
            "attention_ward",
            """
            def whole_dictionary(patient):
                return dict(zip("ABCDEF", ["merge", "softmax", "order", "dropout", "divisor", "view"]))
            """,
            "you return a dict. Return the word of the one patient",
            "not on the list",
        ),
        (
            "clinic",
            """
            def the_wrong_way_round(patients):
                words = ["norm", "well", "class token", "dropout", "positions", "shared", "head"]
                return dict(zip(words, patients))
            """,
            "there is no word for patient A. The letters stand in front",
            "is not one of",
        ),
        (
            "unpatchify",
            """
            def width_first(patches, P, height, width):
                split = patches.reshape(len(patches), width // P, height // P, P, P, -1)
                return split.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), -1, height, width)
            """,
            "you split N into w rows of h patches.",
            "mixed",
        ),
        (
            "sincos_1d",
            """
            def base_100(num_positions, dim):
                angle = torch.arange(num_positions)[:, None] / 100 ** (2 * torch.arange(dim // 2) / dim)
                return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
            """,
            "your waves grow half as fast as they should: ",
            "and should be 2i/D",
        ),
        (
            "rollout",
            """
            def largest_head(maps):
                so_far = torch.ones_like(maps[0][:, 0])
                for weights in maps:
                    so_far = (weights.amax(dim=1) + torch.eye(weights.shape[-1])) / 2 * so_far
                return so_far
            """,
            "your numbers do not sum to 1 along axis -1",
            "normalised",
        ),
        (
            "layer_norm",
            """
            def root_by_math(z, gamma, beta, eps):
                variance = z.var(dim=-1, keepdim=True, correction=0)
                return gamma * (z - z.mean(dim=-1, keepdim=True)) / math.sqrt(variance + eps) + beta
            """,
            "single numbers are needed, and here are tensors of several.",
            "a list of tensors does not become",
        ),
        (
            "attention_cost",
            """
            def with_carets(N, D):
                return 2 * N ^ 2 * D, 8 * N * D ^ 2, 4 * D
            """,
            "your code has ^, which is no power in Python",
            "your first number",
        ),
        (
            "mended_block",
            """
            class DropsAll(EncoderBlock):
                def forward(self, x):
                    x = x + F.dropout(self.attn(self.norm1(x)), self.training)
                    return x + F.dropout(self.mlp(self.norm2(x)), self.training)
            """,
            "in training your block says something else than in eval",
            "no dropout any more",
        ),
        (
            "mlp",
            """
            class MyMLP(nn.Module):
                def __init__(self, dim, hidden_dim):
                    super().__init__()
                    self.fc1, self.fc2 = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)
                    self.drop = nn.Dropout(0.1)
                def forward(self, x):
                    return self.drop(self.fc2(torch.sigmoid(self.fc1(x))))
            """,
            "",
            "`drop` is called once",
        ),
        (
            "agreement",
            """
            def moved_on(model, images, pixels):
                before = model(images).argmax(dim=1)
                for shift in (pixels, -pixels):
                    for axis in (2, 3):
                        images = images.roll(shift, axis)
                        share = (model(images).argmax(dim=1) == before).double().mean()
                return share
            """,
            "every answer stays, as where nothing is moved.",
            "nothing was moved",
        ),
        (
            "clinic",
            """
            def stops_early(patients):
                for letter in patients:
                    return {letter: "well"}
            """,
            "there is no word for patient B.",
            "patient A",
        ),
        (
            "patchify",
            """
            def patches_first(images, P):
                rows, columns = images.shape[2] // P, images.shape[3] // P
                return [
                    images[:, :, y * P : y * P + P, x * P : x * P + P].permute(0, 2, 3, 1).flatten(1)
                    for y in range(rows)
                    for x in range(columns)
                ]
            """,
            "axes B and N have changed places.",
            "several things",
        ),
        (
            "add_class_token",
            """
            def both(tokens, cls_token):
                return [cls_token.expand(len(tokens), -1, -1), tokens]
            """,
            "you returned several tensors in a list; one tensor is expected.",
            "axis",
        ),
        (
            "head_numbers",
            """
            def rounded(dim, num_heads):
                d = dim // num_heads
                return d, round(d**0.5, 1), 4 * dim * dim + 4 * dim
            """,
            "your second number: nearly right",
            "?.",
        ),
    ],
)
def test_a_sentence_is_true_of_every_answer_that_gets_it(name, text, true, false):
    said = said_of(name, text)
    assert said.startswith(true)
    assert false not in said


def test_a_number_that_is_wrong_on_some_inputs_is_not_said_to_be_wrong():
    given = [Case({"n": n}, (n**2 + 1, n % 2 * (n - 1)), (n**2, 0), {"n": float(n)}) for n in (1, 2, 3, 5)]
    assert explain(given).endswith("your second number is wrong on some of the inputs.")


def test_a_layer_made_at_another_place_is_not_said_to_be_made_in_another_way_alone():
    call, other = (Call("fc1", torch.ones(2), torch.full((2,), x), "Linear(2, 2)") for x in (1.0, 3.0))
    mine, right = (Trace([each], torch.ones(2), each.output, frozenset({"fc1"}), ["fc1"]) for each in (call, other))
    assert "or at another place among the layers" in compare_parts(mine, right, explain)


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ([(4, 2), (6, 3)], [(1, 2), (1, 3)], "where n is more than 1"),
        ([(4, 2), (6, 3)], [(1, 2)], ""),  # one input without that fault is chance
        ([(4, 2)], [(1, 2), (1, 3)], ""),
        ([(4, 2), (6, 3)], [(1, 1), (1, 1)], ""),  # n or k, who knows
    ],
)
def test_a_size_tells_inputs_apart_only_where_several_show_it_and_no_other_size_does(wrong, right, said):
    wrong, right = ([Case({}, 0, 1, {"n": float(n), "k": float(k)}) for n, k in sizes] for sizes in (wrong, right))
    assert where_wrong(wrong, right) == said


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ([(2, 4, 6), (3, 4, 8)], [(1, 4, 4), (1, 6, 6)], ""),  # several images, or H and W apart?
        ([(2, 4, 6), (1, 4, 8)], [(1, 4, 4), (2, 6, 6)], "where H and W differ"),
    ],
)
def test_a_size_is_no_condition_where_the_number_of_images_tells_as_well(wrong, right, said):
    wrong, right = (
        [Case({"images": torch.zeros(b, 3, h, w)}, 0, 1, {"H": float(h), "W": float(w)}) for b, h, w in sizes]
        for sizes in (wrong, right)
    )
    assert where_wrong(wrong, right) == said


def test_rows_that_are_there_twice_are_not_called_another_order():
    b = torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [2.0, 2.0]])
    a = torch.tensor([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0], [2.0, 2.0]])
    assert "stand in another order" not in explain([Case({}, a, b)])
    assert "stand in another order along axis -2" in explain([Case({}, b[[1, 3, 0, 2]], b)])


class Counts(TorchFunctionMode):
    calls = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.calls += 1
        return function(*args, **(kwargs or {}))


def test_each_row_looks_for_its_place_among_all_others_at_once():
    b = torch.randn(226, 4, generator=torch.Generator().manual_seed(0))
    with Counts() as made:
        assert "stand in another order along axis -2" in explain([Case({}, b.flip(0).roll(9, 0), b)])
    assert made.calls < 40 * len(b)  # of PyTorch's functions; pair by pair they were a million


def test_a_dropout_made_in_forward_is_not_taken_for_a_function():
    text = """
        class MendedBlock(EncoderBlock):
            def forward(self, x):
                x = x + nn.Dropout(0.2)(self.attn(self.norm1(x)))
                return x + nn.Dropout(0.2)(self.mlp(self.norm2(x)))
        """
    assert "and neither does an nn.Dropout that is made in forward" in said_of("mended_block", text)
