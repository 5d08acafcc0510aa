"""Lesson 4: attention by hand and in code, masks, cost, a self-attention for the real model, and one that is ill."""

import math
from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor, nn

from vit_tutorial.attention import scaled_dot_product_attention
from vit_tutorial.exercises.builders import FORGOT_MODULE, changed, fill, misfit_of, uneven
from vit_tutorial.exercises.counting import mistakes_of, pairs_of, solution_of
from vit_tutorial.exercises.difference import Hints, Said
from vit_tutorial.exercises.engine import Exercise, Mistake, Property
from vit_tutorial.exercises.properties import forgets, learns, passes_on

LESSON = "04_scaled_dot_product_attention"
__all__ = [
    "attention",
    "attention_by_hand",
    "attention_cost",
    "attention_mask",
    "mended_attention",
    "self_attention",
]


# ------------------------------------------------------------------------------------------------------ with a pencil

HAND = (
    torch.tensor([2.0, 1.0, 0.0, 1.0]),  # the query
    torch.tensor([[0.0, 0.0, 3.0, 0.0], [1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]]),  # keys: the scores are 0, 2, 4
    torch.tensor([[10.0, 0.0], [0.0, 10.0], [10.0, 10.0]]),  # values
)


def _mix(weigh: Callable[[Tensor], Tensor]) -> Callable:
    """Mix the values with the weights that `weigh(scores)` gives."""
    return lambda query, keys, values: weigh(keys @ query) @ values


_BY_HAND = (
    (
        _mix(lambda scores: scores.softmax(0)),
        "the scores are not scaled. Divide 0, 2, 4 by √d first; a query has d = 4 numbers.",
    ),
    (_mix(lambda scores: (scores / 4).softmax(0)), "you divided by d. Divide by its square root: √4 = 2."),
    (
        _mix(lambda scores: (scores / math.sqrt(2)).softmax(0)),
        "you divided by √2, as in the lesson. There d was 2; this query has 4 numbers.",
    ),
    (
        _mix(lambda scores: (scores / math.sqrt(3)).softmax(0)),
        "you divided by √3, the number of keys. d is how many numbers a query has: 4.",
    ),
    (
        _mix(lambda scores: scores / 2),
        "the scaled scores were used as weights. The softmax is missing: e to the power of each, over their sum.",
    ),
    (_mix(lambda scores: scores), "the bare scores were used as weights. Scaling and softmax are missing."),
    (
        _mix(lambda scores: scores / scores.sum()),
        "you divided each score by the sum of the scores. Softmax takes e to the power of each first.",
    ),
    (
        _mix(lambda scores: (scores / 2).exp()),
        "the exponentials were not divided by their sum. Weights sum to 1.",
    ),
    (
        _mix(lambda scores: scores.softmax(0) / 2),
        "you divided by 2 after the softmax. Scale the scores before it, or the weights no longer sum to 1.",
    ),
    (
        _mix(lambda scores: (scores / 2).softmax(0).round(decimals=1)),
        "you rounded the weights to one decimal before you mixed. Keep two decimals, and round at the end.",
    ),
    (
        lambda query, keys, values: values[int((keys @ query).argmax())],
        "you took the value of the best key alone. The output is a mixture of all three.",
    ),
    (
        lambda query, keys, values: values.mean(0),
        "you gave all three values the same weight, 1/3. The better a key fits, the more its value counts.",
    ),
    (
        lambda query, keys, values: (keys @ query / 2).softmax(0),
        "these are the weights. One step is missing: multiply each with its value, and add.",
    ),
    (
        lambda query, keys, values: _hand_solution(query, keys, values).flip(0),
        "your two numbers have changed places: value 0 has its 10 first, value 1 has it second.",
    ),
    (
        lambda query, keys, values: keys @ query,
        "these are the scores, the first of the four steps. Scale, softmax, and mix the values.",
    ),
)


def _hand_solution(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return scaled_dot_product_attention(query[None], keys, values)[0][0]


class _OnPaper(str):
    """A number worked out on paper, shown as it was written: equal to another within 0.06, or 1 in 100."""

    numbers: Tensor

    @classmethod
    def of(cls, number: Tensor) -> "_OnPaper":
        """Write a number down."""
        written = cls(f"{number.item():.4g}")
        written.numbers = number
        return written

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _OnPaper):
            return False
        return torch.allclose(self.numbers, other.numbers, rtol=0.01, atol=0.06)

    __hash__ = str.__hash__
    __repr__ = str.__str__


def _as_on_paper(answer: Callable) -> Callable:
    """Compare the numbers of an answer as numbers worked out on paper are to be compared."""

    def run(*given: Tensor):
        output = answer(*given)
        if output is None or output is ...:
            return output
        try:
            numbers = torch.as_tensor(output, dtype=torch.float64).detach()
        except (TypeError, ValueError, RuntimeError):
            return Said("what you returned holds something that is no number. Return two numbers.")
        if numbers.ndim != 1:
            return Said(f"return two numbers; yours have the shape {list(numbers.shape)}.")
        return tuple(_OnPaper.of(x) for x in numbers)

    return run


attention_by_hand = Exercise(
    name="attention_by_hand",
    lesson=LESSON,
    difficulty=1,
    minutes=6,
    solution=_hand_solution,
    adapt=_as_on_paper,
    secret=True,
    inputs=[HAND],
    hints=Hints(
        inputs="query keys values",
        steps=[
            ("the scores, keys times query", lambda _, query, keys, values: keys @ query),
            ("the division by √d", lambda scores, query, keys, values: scores / 2),
            ("the softmax", lambda scores, query, keys, values: scores.softmax(0)),
            ("the mixture of the values", lambda weights, query, keys, values: weights @ values),
        ],
    ),
    mistakes=[Mistake(answer, sentence) for answer, sentence in _BY_HAND],
    done="Scores, scaled scores, weights, and the mixture: with these four steps you can compute any attention.",
)


# ------------------------------------------------------------------------------------------------------- the function


def _input(*batch: int, queries: int, keys: int, dim: int, values: int, masked: bool = False):
    random = torch.Generator().manual_seed(queries + 10 * keys + 100 * dim)
    q, k, v = (
        torch.randn(*batch, rows, columns, generator=random)
        for rows, columns in ((queries, dim), (keys, dim), (keys, values))
    )
    mask = torch.ones(queries, keys).tril(keys - queries + 1).bool() if masked else None
    if masked:
        mask[0, 1:] = False
    return q, k, v, mask


def _forbid(scores: Tensor, mask: Tensor | None) -> Tensor:
    return scores if mask is None else scores.masked_fill(~mask, -torch.inf)


def _attention(
    scale: Callable[[int], float] = lambda d: 1 / math.sqrt(d),
    axis: int = -1,
    forbid: Callable = _forbid,
    finish: Callable = lambda weights, mask: weights,
) -> Callable:
    """Attention with one step done differently; `forbid` changes the scores, `finish` the weights."""

    def answer(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = forbid(q @ k.transpose(-2, -1) * scale(q.shape[-1]), mask)
        return finish(scores.softmax(axis), mask) @ v

    return answer


def _scores_as_weights(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return (scores if mask is None else scores.masked_fill(~mask, 0)) @ v


def _divided_by(size: Callable[[Tensor, Tensor, Tensor], int]) -> Callable:
    """Attention whose scores are divided by the root of another size, `size(q, k, v)`."""

    def answer(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return _forbid(q @ k.transpose(-2, -1) / math.sqrt(size(q, k, v)), mask).softmax(-1) @ v

    return answer


def _number_by_number(mix: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """Attention whose scores, and perhaps whose mixture, are made with * in place of @."""

    def answer(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return mix(_forbid(q * k / math.sqrt(q.shape[-1]), mask).softmax(-1), v)

    return answer


def _sum_without_axis(q, k, v, mask=None):
    exponentials = _forbid(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), mask).exp()
    return exponentials / exponentials.sum(-1) @ v


def _only_where(change: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """Change scores or weights if there is a mask."""
    return lambda table, mask: table if mask is None else change(table, mask)


TWO_THINGS = "you returned two things. Here the outputs alone are wanted."

_CHANGED_STEPS = (
    ({"scale": lambda d: 1}, "the scores are not scaled. Divide them by sqrt(d) before the softmax."),
    ({"scale": lambda d: 1 / d}, "you divide by d. Divide by its square root."),
    ({"scale": math.sqrt}, "you multiply by sqrt(d). Divide by it."),
    (
        {"axis": -2},
        "the softmax runs over the queries. Each query shares out 1 over the keys: that is the last axis, dim=-1.",
    ),
    (
        {"scale": lambda d: 1 / math.sqrt(2)},
        "you divide by √2, as in the lesson's example. There d was 2; take q.shape[-1].",
    ),
    ({"axis": 1}, "right without a batch: then dim=1 is the last axis. With a batch in front it is not: use dim=-1."),
    (
        {"forbid": lambda scores, mask: scores},
        "right without a mask, but a mask changes nothing. Where it is False, the score becomes -inf.",
    ),
    (
        {"forbid": _only_where(lambda scores, mask: scores.masked_fill(mask, -torch.inf))},
        "your mask is the wrong way round: it forbids where it is True. True means: may look. Fill where ~mask.",
    ),
    (
        {
            "forbid": lambda scores, mask: scores,
            "finish": _only_where(lambda weights, mask: weights.masked_fill(~mask, 0)),
        },
        (
            "you masked after the softmax, so what is left of a row no longer sums to 1. Put -inf into the scores "
            "before it."
        ),
    ),
    (
        {
            "forbid": lambda scores, mask: scores,
            "finish": _only_where(lambda weights, mask: weights.masked_fill(~mask, -torch.inf)),
        },
        "you put -inf into the weights, after the softmax. It belongs into the scores, before it.",
    ),
    (
        {"forbid": _only_where(lambda scores, mask: scores.masked_fill(~mask, 0))},
        "forbidden scores became 0, and e to the power 0 is 1: they still get weight. Make them -inf.",
    ),
    (
        {"forbid": _only_where(lambda scores, mask: scores + mask)},
        "you added the mask itself: True adds 1, and False forbids nothing. scores.masked_fill(~mask, -torch.inf).",
    ),
)

attention = Exercise(
    name="attention",
    lesson=LESSON,
    difficulty=2,
    minutes=12,
    solution=lambda q, k, v, mask=None: scaled_dot_product_attention(q, k, v, mask)[0],
    inputs=[
        (torch.eye(2), torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 2.0]]), None),
        _input(queries=3, keys=3, dim=2, values=2),
        _input(queries=3, keys=3, dim=2, values=2, masked=True),
        _input(queries=2, keys=5, dim=4, values=3),
        _input(2, queries=4, keys=4, dim=8, values=8, masked=True),
        _input(2, 3, queries=5, keys=5, dim=16, values=16),
    ],
    hints=Hints(
        axes="N d_v",
        sizes=lambda q, k, v, mask: {"d": q.shape[-1], "N": q.shape[-2], "M": k.shape[-2], "d_v": v.shape[-1]},
        steps=[
            ("the scores, q times k transposed", lambda _, q, k, v, mask: q @ k.transpose(-2, -1)),
            ("the division by √d", lambda scores, q, k, v, mask: scores / math.sqrt(q.shape[-1])),
            ("the mask", lambda scores, q, k, v, mask: _forbid(scores, mask)),
            ("the softmax", lambda scores, q, k, v, mask: scores.softmax(-1)),
            ("the product with v", lambda weights, q, k, v, mask: weights @ v),
        ],
    ),
    mistakes=[
        *(Mistake(_attention(**change), sentence) for change, sentence in _CHANGED_STEPS),
        Mistake(_scores_as_weights, "there is no softmax: the scores were used as weights."),
        Mistake(
            lambda q, k, v, mask=None: _forbid(q @ k.transpose(-2, -1), mask).softmax(-1) / math.sqrt(q.shape[-1]) @ v,
            "you scaled after the softmax. Scale the scores before it, or the weights no longer sum to 1.",
        ),
        Mistake(
            lambda *given: scaled_dot_product_attention(*given)[1], "you returned the weights. Multiply them by v."
        ),
        Mistake(scaled_dot_product_attention, TWO_THINGS),
        Mistake(
            _divided_by(lambda q, k, v: k.shape[-2]),
            "you divide by the square root of the number of keys. Take that of the length of a query, q.shape[-1].",
        ),
        Mistake(
            _divided_by(lambda q, k, v: q.shape[-2]),
            "you divide by the square root of the number of queries. Take that of the length of a query, q.shape[-1].",
        ),
        Mistake(
            _divided_by(lambda q, k, v: v.shape[-1]),
            "you divide by the square root of the length of a value. Take that of a query, q.shape[-1].",
        ),
        Mistake(
            [_number_by_number(torch.mul), _number_by_number(torch.matmul)],
            "you multiplied q and k number by number. A score is a sum of products, which `@` makes of q and k "
            "transposed.",
        ),
        Mistake(
            _sum_without_axis,
            "the sum has lost its last axis, so each *column* is divided by the sum of a row. Keep the axis: "
            "sum(-1, keepdim=True).",
        ),
    ],
    pairs=pairs_of(_attention, _CHANGED_STEPS),
    done="Each row of weights sums to 1, each output is a mixture of values, and what is masked has no part in it.",
)


# --------------------------------------------------------------------------------------------------------------- masks


def _mask(
    past: Callable[[Tensor, Tensor], Tensor] = lambda i, j: j <= i,
    real: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda i, j, length: j < length,
    join: Callable[[Tensor, Tensor], Tensor] = torch.logical_and,
) -> Callable:
    """The mask of causal and padding, with one condition done differently: query i, key j, length [B, 1, 1]."""

    def answer(lengths: Tensor, size: int) -> Tensor:
        i, j = torch.arange(size)[:, None], torch.arange(size)
        length = lengths[:, None, None]
        return join(past(i, j), real(i, j, length)).expand(len(lengths), size, size)

    return answer


def _always(i: Tensor, j: Tensor, length: Tensor | None = None) -> Tensor:
    return (i == i) & (j == j) & (True if length is None else length == length)


def _real(lengths: Tensor, size: int) -> Tensor:
    return torch.arange(size) < lengths[:, None]


def _added(lengths: Tensor, size: int) -> Tensor:
    allowed = _mask()(lengths, size)
    return torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)


def _cut_off_for_one(lengths: Tensor, size: int) -> Tensor:
    allowed = torch.ones(size, size).tril().bool()
    allowed[:, lengths:] = False  # raises TypeError unless there is one length alone
    return allowed


def _is_boolean(run: Callable) -> bool | Said:
    mask = run(torch.tensor([2]), 3)
    if isinstance(mask, list | tuple):
        return Said("return a tensor, not a list: torch.tensor(…) makes one of numbers, torch.stack(…) of tensors.")
    return str(mask.dtype).endswith("bool")  # of a tensor or an array


attention_mask = Exercise(
    name="attention_mask",
    lesson=LESSON,
    difficulty=2,
    minutes=10,
    solution=_mask(),
    inputs=[
        (torch.tensor([2]), 3),
        (torch.tensor([3, 1]), 3),
        (torch.tensor([4, 2, 5]), 5),
        (torch.tensor([6, 1, 3, 4]), 6),
    ],
    hints=Hints(
        axes="sentence query key",
        sizes=lambda lengths, size: {"B": len(lengths), "the longest sentence": int(lengths.max())},
    ),
    mistakes=[
        Mistake(
            lambda lengths, size: ~_mask()(lengths, size),
            "the mask is the wrong way round: True must mean that a query may look.",
        ),
        Mistake(
            _mask(past=lambda i, j: j >= i),
            "your words look at what comes after them, and not at what came before. Rows are queries: keep the lower "
            "left.",
        ),
        Mistake(
            _mask(past=lambda i, j: j < i),
            "the diagonal is missing: a word may look at itself. The first word would have nothing to look at.",
        ),
        Mistake(
            lambda lengths, size: torch.ones(size, size).tril().bool() & _real(lengths, size),
            "the padding needs an axis for the queries: real[:, None, :] is [B, 1, size], the same for every query.",
        ),
        Mistake(
            _cut_off_for_one,
            "the batch axis is missing: each sentence has a length of its own, so the mask is [B, size, size].",
        ),
        Mistake(
            [
                lambda lengths, size: _mask()(lengths, size) | torch.eye(size).bool(),
                lambda lengths, size: (
                    _mask(real=lambda i, j, length: i < length)(lengths, size) | torch.eye(size).bool()
                ),
            ],
            "padded rows look at padding, namely at themselves. Let them look at the words: nobody reads what they "
            "find.",
        ),
        Mistake(
            lambda lengths, size: _real(lengths, size)[:, None, :],
            "this is the padding alone, [B, 1, size]. Join it with the causal mask by `&`.",
        ),
        Mistake(_mask(past=_always), "words may look at what comes after them. The causal half is missing: key j ≤ i."),
        Mistake(
            [_mask(real=_always), lambda lengths, size: torch.ones(size, size).tril().bool()],
            "the padding is forgotten: keys from place `length` on are no words. Forbid these columns too.",
        ),
        Mistake(
            _mask(real=lambda i, j, length: j <= length),
            "one padded place too many is allowed. A sentence of length 2 has its words at places 0 and 1: j < length.",
        ),
        Mistake(
            _mask(real=lambda i, j, length: j < length - 1),
            "the last word of each sentence is forbidden, too. A sentence of length 2 has its words at places 0 and 1: "
            "j < length, with j from 0.",
        ),
        Mistake(
            _mask(real=lambda i, j, length: i < length),
            "you forbid padded rows, the queries: then they have nothing to look at, and softmax gives NaN. Forbid "
            "padded columns, the keys. Nobody reads what padded rows find.",
        ),
        Mistake(
            _mask(join=torch.logical_or),
            "you joined the two with `or`. A look must be allowed by both: `&`.",
        ),
        Mistake(
            lambda lengths, size: _mask()(lengths, size).mT,
            "rows and columns have changed places. Rows are queries, columns keys.",
        ),
        Mistake(
            _added,
            "this is the additive form, 0 and -inf. Here the boolean one is wanted: True where a query may look.",
        ),
    ],
    properties=[
        Property(
            _is_boolean,
            "it holds numbers, not True and False. A mask of numbers is *added* to the scores: 0 would forbid nothing.",
        )
    ],
    done="No word looks ahead, none looks at padding, and every row has something to look at.",
)


# ---------------------------------------------------------------------------------------------------------------- cost

# For each of the three numbers, how to work it out: rightly first, then with a mistake and its sentence.
_COUNTS = (
    (
        (lambda n, dim: 2 * n * n * dim, ""),
        (
            lambda n, dim: n * n * dim,
            "your first number is one of two products. Q·Kᵀ takes N·N·D, and weights times V as many again.",
        ),
        (
            lambda n, dim: 2 * n * n,
            "your first number counts the numbers in the tables. Each is a sum of products: D for a score.",
        ),
        (
            lambda n, dim: n * n,
            "your first number is the size of the table. Each score in it takes D multiplications, and a second "
            "product follows.",
        ),
        (
            lambda n, dim: 2 * n * n * dim + 4 * n * dim * dim,
            "your first number holds the projections too. They grow with N alone; here the N² part is asked for.",
        ),
        (
            lambda n, dim: 4 * n * n * dim,
            "your first number is twice too large: additions are not counted here.",
        ),
        (
            lambda n, dim: 2 * n * dim * dim,
            "your first number has N and D the wrong way round. Q·Kᵀ is [N, D] times [D, N]: N·D·N.",
        ),
    ),
    (
        (lambda n, dim: 8 * n * dim * dim, ""),
        (
            lambda n, dim: 4 * n * dim * dim,
            "your second number is the first layer of the MLP alone. The second takes 4·D back to D: as many again.",
        ),
        (
            lambda n, dim: 8 * dim * dim,
            "your second number is for one token. There are N.",
        ),
        (
            lambda n, dim: 2 * n * dim * dim,
            "your second number is for an MLP that is not wider than the token. It has 4·D hidden numbers.",
        ),
        (
            lambda n, dim: 16 * n * dim * dim,
            "your second number is twice too large: additions are not counted here.",
        ),
    ),
    (
        (lambda n, dim: 4 * dim, ""),
        (
            lambda n, dim: 6 * dim,
            "your third number compares the N² part with everything else, 12·N·D². Compare it with the MLP alone.",
        ),
        (
            lambda n, dim: 8 * dim,
            "your third number is twice too large. Set 2·N²·D = 8·N·D², and divide both sides by 2·N·D.",
        ),
        (
            lambda n, dim: 2 * dim,
            "your third number is 2·D. Set 2·N²·D = 8·N·D², and divide both sides by 2·N·D.",
        ),
        (
            lambda n, dim: 4 * n,
            "your third number is 4·N. But N is what is asked for: solve 2·N²·D = 8·N·D² for N.",
        ),
        (lambda n, dim: dim, "your third number is D. Set 2·N²·D = 8·N·D², and divide both sides by 2·N·D."),
    ),
)

attention_cost = Exercise(
    name="attention_cost",
    lesson=LESSON,
    difficulty=2,
    minutes=6,
    solution=solution_of(_COUNTS),
    inputs=[(5, 3), (10, 4), (50, 64), (197, 768), (1025, 1280)],
    hints=Hints(inputs="N D"),
    mistakes=mistakes_of(_COUNTS),
    done="Below N = 4·D the MLP costs more than the N² part of attention, above it less.",
)


# ----------------------------------------------------------------------------------------- a self-attention of your own


def _with_layers(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds it, fills its three layers with known numbers, and runs it."""

    def run(x: Tensor) -> Tensor | str:
        dim = x.shape[-1]
        module = make(dim, 1)
        if misfit := misfit_of(module):
            return misfit
        sizes = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
        layers = {name.split(".")[0] for name in sizes}
        if shared := _shared(module):
            return Said(shared)
        if numbers := [name for name in sizes if "." not in name]:
            return Said(f"there is a parameter besides the three layers: `{numbers[0]}`. Nothing else is learned here.")
        if layers > {"query", "key", "value"}:
            return "a layer besides query, key and value"
        if layers != {"query", "key", "value"}:
            return "layers with other names than query, key and value"
        if sizes != {name: tuple(p.shape) for name, p in _SelfAttention(dim, 1).named_parameters()}:
            return "layers of another size than D to D, with biases"
        fill(module.named_parameters(), spread=0.4)
        return module(x)

    return run


def _shared(module: nn.Module) -> str:
    """Return a sentence on two of the three that are one and the same layer, or nothing."""
    layers = {name: getattr(module, name, None) for name in ("query", "key", "value")}
    for (one, a), (other, b) in combinations(layers.items(), 2):
        if a is b and a is not None:
            return f"`{one}` and `{other}` are one and the same layer, so they always say the same. Make three."
    return ""


class _SelfAttention(nn.Module):
    """One head: three linear layers, and equation 1. The wrong answers below change one thing."""

    bias = True

    def __init__(self, dim: int, num_heads: int = 1):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=self.bias) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))[0]


def _self_attention(way: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> type[nn.Module]:
    """A self-attention that goes another way, `way(q, k, v, x)`."""

    class Answer(_SelfAttention):
        def forward(self, x: Tensor) -> Tensor:
            return way(self.query(x), self.key(x), self.value(x), x)

    return Answer


def _attend(scale: Callable[[Tensor, Tensor], float] = lambda q, k: math.sqrt(q.shape[-1]), axis: int = -1) -> Callable:
    """Equation 1 with scores divided by something else, or a softmax along another axis."""
    return lambda q, k, v, x: (q @ k.mT / scale(q, k)).softmax(axis) @ v


class _Unnamed(nn.Module):
    def __init__(self, dim: int, num_heads: int = 1):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)


class _Projected(_SelfAttention):
    def __init__(self, dim: int, num_heads: int = 1):
        super().__init__(dim)
        self.proj = nn.Linear(dim, dim)


_LEARNS = (
    learns(_with_layers(_SelfAttention), uneven(2, 5, 4)),
    passes_on(_with_layers(_SelfAttention), uneven(2, 5, 4)),
    forgets((uneven(2, 5, 4),), (-uneven(2, 5, 4),), (uneven(3, 4, 4),)),
)
TOKENS = Hints(axes="B N D", sizes=lambda x: {"N": x.shape[1], "D": x.shape[2]})

self_attention = Exercise(
    name="self_attention",
    lesson=LESSON,
    difficulty=3,
    minutes=12,
    solution=_SelfAttention,
    adapt=_with_layers,
    inputs=[(uneven(1, 2, 3),), (uneven(1, 3, 4),), (uneven(2, 5, 4),), (uneven(3, 4, 6),)],
    hints=TOKENS,
    mistakes=[
        Mistake(
            _self_attention(_attend(scale=lambda q, k: 1.0)),
            "the scores are not scaled. Divide them by sqrt(D), before the softmax.",
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: q.shape[-1])), "you divide by D. Divide by its square root."
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: math.sqrt(k.shape[-2]))),
            "you divide by the square root of N, the number of tokens. It is the length of a query that counts.",
        ),
        Mistake(
            _self_attention(_attend(axis=-2)),
            "the softmax runs over the queries. With a batch in front that is dim=1; the keys are dim=-1.",
        ),
        Mistake(
            _self_attention(_attend(axis=0)),
            "the softmax runs along the batch, so that images share weights. It runs over the keys: dim=-1.",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: q @ k.mT / math.sqrt(q.shape[-1]) @ v),
            "there is no softmax: the scores were used as weights.",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: _attend()(k, q, v, x)),
            "queries and keys have changed places: the scores came out transposed.",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: _attend()(q, k, x, x)),
            "you mixed the tokens themselves. Mix their values: weights @ self.value(x).",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: _attend()(q, k, k, x)),
            "you mixed the keys. Mix the values: weights @ self.value(x).",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: _attend()(x, x, v, x)),
            "the tokens were compared as they are. Compare self.query(x) with self.key(x).",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: _attend()(x, x, x, x)),
            "the tokens themselves are compared and mixed, and your three layers change nothing. Make q, k and v of x: "
            "self.query(x), self.key(x), self.value(x).",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: _attend()(q, k, v, x) + x),
            "the tokens are added at the end. That plus belongs to the block around attention, which is lesson 6.",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)),
            "you returned the weights. Multiply them by the values.",
        ),
        Mistake(_self_attention(lambda q, k, v, x: scaled_dot_product_attention(q, k, v)), TWO_THINGS),
        Mistake(_Unnamed, "the layers have other names. Make three, and call them query, key and value."),
        Mistake(_Projected, "there is a layer besides query, key and value. The output projection comes in lesson 5."),
        Mistake(
            changed(_SelfAttention, bias=False), "your three layers must be nn.Linear(dim, dim), with their biases."
        ),
        FORGOT_MODULE,
    ],
    properties=_LEARNS,
    done="One head of self-attention, made of three linear layers and three lines. A ViT can be built of it.",
)


# ----------------------------------------------------------------------------------------------- mend one that is ill


def _doubled(x: Tensor) -> Tensor:
    """Each token twice: [B, N, D] -> [B, 2N, D]."""
    return torch.cat([x, x], dim=1)


mended_attention = Exercise(
    name="mended_attention",
    lesson=LESSON,
    difficulty=3,
    minutes=10,
    solution=_SelfAttention,
    adapt=_with_layers,
    inputs=[(uneven(1, 2, 3),), (uneven(1, 3, 2),), (uneven(2, 6, 4),), (_doubled(uneven(2, 6, 4)),)],
    hints=TOKENS,
    mistakes=[
        Mistake(
            _self_attention(_attend(scale=lambda q, k: math.sqrt(k.shape[-2]))),
            "the fault is still there: the scale still depends on the number of tokens. After the transpose, what is "
            "the last axis of k?",
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: k.shape[-2])),
            "you divide by N, the number of tokens, now without the root. The divisor must not know N at all.",
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: 1.0)),
            "you took the division away. That cures the symptom with twice the tokens, and brings back what √d is "
            "there for: the scores are too large.",
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: q.shape[-1])),
            "you divide by d. Divide by its square root.",
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: math.sqrt(32))),
            "√32 is right for D = 32 only. Take it from q.shape[-1].",
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: math.sqrt(17))),
            "√17 is that of the 17 tokens in the short training: the old fault, written as a number. Take the length "
            "of a query, q.shape[-1].",
        ),
        Mistake(
            _self_attention(_attend(scale=lambda q, k: math.sqrt(q.shape[-1] * k.shape[-2]))),
            "you divide by both roots. The one of N must go.",
        ),
        Mistake(
            _self_attention(_attend(axis=-2)),
            "the scale is mended, but now the softmax runs over the queries. Its axis was right: dim=-1.",
        ),
        Mistake(
            _self_attention(lambda q, k, v, x: (q @ k.mT).softmax(-1) / math.sqrt(q.shape[-1]) @ v),
            "you divide by the right number in the wrong place: the scores are to be scaled before the softmax.",
        ),
    ],
    properties=_LEARNS,
    done="However many tokens there are, the scores now keep their spread.",
)
