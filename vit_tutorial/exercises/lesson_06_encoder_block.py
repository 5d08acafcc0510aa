"""Lesson 6: count a block, normalise by hand, write the MLP and the block, and mend one that is ill."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.encoder import LAYER_NORM_EPS, MLP, EncoderBlock
from vit_tutorial.exercises.builders import FORGOT_MODULE, changed, fill, fitted, misfit_of, uneven
from vit_tutorial.exercises.compare import same
from vit_tutorial.exercises.counting import mistakes_of, pairs_of, solution_of
from vit_tutorial.exercises.difference import Hints, Said
from vit_tutorial.exercises.engine import Exercise, Mistake, Property
from vit_tutorial.exercises.properties import forgets, learns, passes_on
from vit_tutorial.support.seeds import seeded

LESSON = "06_encoder_block"
__all__ = ["block_parameters", "encoder_block", "layer_norm", "mended_block", "mlp"]


# ------------------------------------------------------------------------------------------ count a block

# For each of the three numbers, how to work it out: rightly first, then with a mistake and its sentence.
_COUNTS = (
    (
        (lambda dim, hidden: 4 * dim * dim + 4 * dim, ""),
        (
            lambda dim, hidden: 4 * dim * dim,
            "your first number leaves out the biases of attention: one for each of the 3·D + D outputs.",
        ),
        (
            lambda dim, hidden: 3 * dim * dim + 3 * dim,
            "your first number stops after queries, keys and values. The output projection has D·D + D more.",
        ),
        (
            lambda dim, hidden: 3 * dim * dim,
            "your first number holds the three matrices of Q, K and V alone. The output projection and the biases "
            "belong to attention too.",
        ),
        (
            lambda dim, hidden: dim * dim + dim,
            "your first number counts one matrix. Attention has four: W_Q, W_K, W_V and the output projection.",
        ),
    ),
    (
        (lambda dim, hidden: 2 * dim * hidden + hidden + dim, ""),
        (
            lambda dim, hidden: 2 * dim * hidden,
            "your second number leaves out the biases of the MLP: one for each output, and the two layers differ.",
        ),
        (
            lambda dim, hidden: 2 * dim * hidden + 2 * dim,
            "your second number has D biases in both layers. The first layer has as many as it has outputs: "
            "hidden_dim.",
        ),
        (
            lambda dim, hidden: 2 * dim * hidden + 2 * hidden,
            "your second number has hidden_dim biases in both layers. The second layer has D outputs.",
        ),
        (
            lambda dim, hidden: dim * hidden + hidden,
            "your second number counts the first layer of the MLP alone. The second takes hidden_dim back to D.",
        ),
        (
            lambda dim, hidden: 8 * dim * dim + 5 * dim,
            "your second number takes 4·D for the width of the MLP. Here the width is given: hidden_dim.",
        ),
    ),
    (
        (lambda dim, hidden: 4 * dim, ""),
        (
            lambda dim, hidden: 2 * dim,
            "your third number counts one norm, or one of γ and β. There are two norms, with both: 4·D.",
        ),
        (lambda dim, hidden: dim, "your third number is D. There are two norms, and each has γ and β of D numbers."),
        (
            lambda dim, hidden: 4,
            "your third number is 4. γ and β are vectors: one number for each of the D places.",
        ),
        (lambda dim, hidden: 0, "your third number is 0. The norms learn something too: γ and β, D numbers each."),
    ),
)


block_parameters = Exercise(
    name="block_parameters",
    lesson=LESSON,
    difficulty=1,
    minutes=5,
    solution=solution_of(_COUNTS),
    inputs=[(2, 5), (4, 16), (8, 16), (192, 768), (768, 3072)],
    hints=Hints(inputs="D hidden_dim"),
    mistakes=mistakes_of(_COUNTS),
    done="With hidden_dim = 4·D the MLP has twice what attention has: two thirds of the block.",
)


# ------------------------------------------------------------------------------------------ LayerNorm by hand


def _root(z: Tensor, eps: float) -> Tensor:
    """Return by what LayerNorm divides each token."""
    return torch.sqrt(z.var(dim=-1, keepdim=True, correction=0) + eps)


def _norm(
    centre: Callable = lambda z: z.mean(dim=-1, keepdim=True),
    divide: Callable = _root,
    finish: Callable = lambda x, gamma, beta: gamma * x + beta,
) -> Callable:
    """LayerNorm with one step done differently."""
    return lambda z, gamma, beta, eps: finish((z - centre(z)) / divide(z, eps), gamma, beta)


def _over(*axes: int) -> Callable:
    """The same steps over other axes than the last."""

    def answer(z: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
        wanted = axes or tuple(range(z.ndim))
        variance, mean = torch.var_mean(z, dim=wanted, correction=0, keepdim=True)
        return gamma * (z - mean) / torch.sqrt(variance + eps) + beta

    return answer


def _norm_input(
    *shape: int, size: float = 1.0, shift: float = 0.0, eps: float = 1e-6
) -> tuple[Tensor, Tensor, Tensor, float]:
    dim = shape[-1]
    return uneven(*shape) * size + shift, 1 + torch.arange(dim).double() / 4, uneven(dim) - 1, eps


_CHANGED_STEPS = (
    (
        {"divide": lambda z, eps: z.std(dim=-1, keepdim=True, correction=0) + eps},
        "your ε is outside the root. It belongs to the variance: sqrt(variance + ε).",
    ),
    (
        {"divide": lambda z, eps: torch.sqrt(z.var(dim=-1, keepdim=True) + eps)},
        "your variance is divided by D - 1, as torch.var does unless told otherwise. Divide by D: correction=0.",
    ),
    (
        {"divide": lambda z, eps: z.std(dim=-1, keepdim=True) + eps},
        "two things: your ε is outside the root, and torch.std divides by D - 1 unless you say correction=0.",
    ),
    (
        {"divide": lambda z, eps: ((z - z.mean(-1, keepdim=True)).square().sum(-1, keepdim=True) + eps).sqrt()},
        "you added the squares up. The variance is their mean: divide the sum by D.",
    ),
    (
        {"divide": lambda z, eps: z.std(dim=-1, keepdim=True, correction=0)},
        "your ε is missing: a token whose numbers are nearly equal is blown up. sqrt(variance + ε).",
    ),
    (
        {"divide": lambda z, eps: z.std(dim=-1, keepdim=True)},
        "your ε is missing, and torch.std divides by D - 1 unless you say correction=0.",
    ),
    (
        {"divide": lambda z, eps: z.var(dim=-1, keepdim=True, correction=0) + eps},
        "you divided by the variance. Divide by its root.",
    ),
    ({"divide": lambda z, eps: 1.0}, "you subtracted the mean, and did not divide by the root of the variance."),
    ({"centre": lambda z: 0.0}, "the mean is still there: subtract it before you divide."),
    (
        {"centre": lambda z: 0.0, "divide": lambda z, eps: (z.square().mean(dim=-1, keepdim=True) + eps).sqrt()},
        "the mean was never subtracted. That is RMSNorm, which newer language models use; LayerNorm centres first.",
    ),
    ({"finish": lambda x, gamma, beta: x}, "γ and β are missing: times gamma, plus beta, number by number."),
    ({"finish": lambda x, gamma, beta: gamma * x}, "β is missing: add beta at the end."),
    ({"finish": lambda x, gamma, beta: x + beta}, "γ is missing: multiply by gamma before you add beta."),
    (
        {"finish": lambda x, gamma, beta: gamma * (x + beta)},
        "you added beta before you multiplied by gamma: the order is gamma · (…) + beta.",
    ),
    ({"finish": lambda x, gamma, beta: beta * x + gamma}, "gamma and beta are swapped: γ multiplies, β is added."),
)

layer_norm = Exercise(
    name="layer_norm",
    lesson=LESSON,
    difficulty=2,
    minutes=10,
    solution=_norm(),
    inputs=[
        _norm_input(1, 1, 4, shift=2.0),
        _norm_input(1, 3, 4, size=0.001),  # a variance near eps
        _norm_input(2, 3, 4, size=3.0, shift=-1.0),
        _norm_input(3, 3, 3, size=0.002, shift=0.01, eps=1e-5),
        _norm_input(2, 5, 8),
    ],
    hints=Hints(
        axes="B N D",
        sizes=lambda z, gamma, beta, eps: {"N": z.shape[1], "D": z.shape[2]},
        steps=[
            ("subtracting the mean", lambda _, z, gamma, beta, eps: z - z.mean(-1, keepdim=True)),
            (
                "dividing by sqrt(variance + eps)",
                lambda x, z, gamma, beta, eps: x / torch.sqrt(z.var(-1, keepdim=True, correction=0) + eps),
            ),
            ("multiplying by gamma", lambda x, z, gamma, beta, eps: (z if x is None else x) * gamma),
            ("adding beta", lambda x, z, gamma, beta, eps: x + beta),
        ],
    ),
    mistakes=[
        *(Mistake(_norm(**change), sentence) for change, sentence in _CHANGED_STEPS),
        Mistake(
            [
                lambda z, gamma, beta, eps, scale=scale: (
                    scale(z, gamma) - z.mean(-1, keepdim=True) / _root(z, eps) + beta
                )
                for scale in (lambda z, gamma: gamma * z, lambda z, gamma: z)
            ],
            "only the mean is divided by the root, as division comes before subtraction. Put z - mean in brackets.",
        ),
        Mistake(
            _over(-2),
            "your mean and variance run over the tokens, so that tokens of one image meet. They run over the D numbers "
            "of each token: dim=-1.",
        ),
        Mistake(
            _over(0),
            "your mean and variance run over the batch. So does BatchNorm; here they run over the D numbers of each "
            "token: dim=-1.",
        ),
        Mistake(
            _over(0, 1),
            "your mean and variance run over the batch and the tokens, one for each of the D places. That is "
            "BatchNorm; here they run over the D numbers of each token: dim=-1.",
        ),
        Mistake(
            _over(-2, -1),
            "your mean and variance are those of a whole image. Each token has its own: dim=-1.",
        ),
        Mistake(_over(), "your mean and variance are those of all numbers at once. Each token has its own: dim=-1."),
    ],
    pairs=pairs_of(_norm, _CHANGED_STEPS),
    done="ε inside the root, the variance divided by D, each token on its own: this is nn.LayerNorm.",
)


# ------------------------------------------------------------------------------------------ the MLP


def _with_matrices(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds it, gives its two linear layers these numbers, and runs it in eval."""

    def run(x: Tensor, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor) -> Tensor | str:
        module = make(x.shape[-1], len(up))
        if misfit := misfit_of(module):
            return misfit
        layers = [part for part in module.modules() if isinstance(part, nn.Linear)]
        if misfit := _no_two_layers(module, layers):
            return misfit
        with torch.no_grad():
            for layer, weight, bias in zip(layers, (up, down), (up_bias, down_bias), strict=False):
                layer.weight.copy_(fitted(weight, layer.weight.shape, padding=1.0))
                if layer.bias is not None:
                    layer.bias.copy_(fitted(bias, layer.bias.shape, padding=1.0))
        return module.eval()(x)

    return run


def _no_two_layers(module: nn.Module, layers: list[nn.Linear]) -> Said | None:
    """Say what there is to learn besides two linear layers, or return None."""
    linear = {id(parameter) for layer in layers for parameter in layer.parameters()}
    if others := [name for name, parameter in module.named_parameters() if id(parameter) not in linear]:
        return Said(f"`{others[0]}` belongs to no nn.Linear. Two of these are all that learns here.")
    if len(layers) > 2:
        return Said(f"your class makes {len(layers)} layers nn.Linear. Two are asked for, up and down.")
    return None


class _MLP(nn.Module):
    """What the wrong answers below have in common; each changes one thing."""

    bias = True

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        width = self.width(dim, hidden_dim)
        self.fc1 = nn.Linear(dim, width, bias=self.bias)
        self.fc2 = nn.Linear(width, dim, bias=self.bias)

    def width(self, dim: int, hidden_dim: int) -> int:
        return hidden_dim

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def _mlp(way: Callable[[Tensor, nn.Module, nn.Module], Tensor]) -> type[nn.Module]:
    """An MLP with another way through its two layers."""

    class Answer(_MLP):
        def forward(self, x: Tensor) -> Tensor:
            return way(x, self.fc1, self.fc2)

    return Answer


class _Swapped(nn.Module):
    """The second layer is made first."""

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.fc1 = nn.Linear(dim, hidden_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def _mlp_input(batch: int, number: int, dim: int, hidden: int) -> tuple[Tensor, ...]:
    down = uneven(hidden, dim).T.contiguous() / 2 + 0.1
    return uneven(batch, number, dim), uneven(hidden, dim) + 0.3, uneven(hidden) / 3, down, 1 + uneven(dim)


_LOOK_AT_MLP = _mlp_input(1, 2, 3, 5)

mlp = Exercise(
    name="mlp",
    lesson=LESSON,
    difficulty=2,
    minutes=8,
    solution=MLP,
    adapt=_with_matrices,
    hints=Hints(axes="B N D"),
    inputs=[_mlp_input(1, 1, 2, 3), _mlp_input(1, 3, 2, 11), _mlp_input(2, 3, 4, 6), _mlp_input(3, 2, 5, 20)],
    mistakes=[
        Mistake(
            _mlp(lambda x, up, down: down(up(x))),
            "nothing bends between the two layers. Two matrices in a row are one matrix: put GELU between them.",
        ),
        Mistake(
            _mlp(lambda x, up, down: down(F.relu(up(x)))),
            "you used ReLU. ViT uses GELU, which is smooth around 0: F.gelu or nn.GELU().",
        ),
        Mistake(
            _mlp(lambda x, up, down: down(F.gelu(up(x), approximate="tanh"))),
            "you used the tanh approximation of GELU. It is near, and not the same: leave `approximate` out.",
        ),
        Mistake(
            _mlp(lambda x, up, down: down(F.silu(up(x)))),
            "you used SiLU, x · sigmoid(x). GELU is x · Φ(x): F.gelu.",
        ),
        Mistake(
            _mlp(lambda x, up, down: down(torch.tanh(up(x)))),
            "you used tanh. ViT uses GELU here: F.gelu or nn.GELU().",
        ),
        Mistake(
            _mlp(lambda x, up, down: F.gelu(down(up(x)))),
            "GELU comes after the second layer, so nothing bends in the wide part. Put it between the two.",
        ),
        Mistake(
            _mlp(lambda x, up, down: F.gelu(down(F.gelu(up(x))))),
            "there is a second GELU at the end. It would keep the MLP from saying anything below -0.17: only one, in "
            "the middle.",
        ),
        Mistake(
            _mlp(lambda x, up, down: down(up(F.gelu(x)))),
            "GELU comes before the first layer, and the wide part does not bend. Put it between the two.",
        ),
        Mistake(
            _mlp(lambda x, up, down: x + down(F.gelu(up(x)))),
            "the input is added at the end. That plus belongs to the block, which adds what the MLP says.",
        ),
        Mistake(
            _mlp(lambda x, up, down: F.gelu(up(x))),
            "you returned the wide part. The second layer takes it back to D numbers.",
        ),
        Mistake(
            changed(_MLP, width=lambda self, dim, hidden_dim: 4 * dim),
            "your hidden layer always has 4·D numbers. Its width is given: hidden_dim.",
        ),
        Mistake(
            changed(_MLP, width=lambda self, dim, hidden_dim: dim),
            "your hidden layer has D numbers, as many as came in. Its width is given: hidden_dim.",
        ),
        Mistake(
            changed(_MLP, width=lambda self, dim, hidden_dim: dim * hidden_dim),
            "your hidden layer has D · hidden_dim numbers. hidden_dim is the width itself, not a factor.",
        ),
        Mistake(changed(_MLP, bias=False), "the biases are missing: leave out bias=False."),
        Mistake(
            _Swapped,
            "your second layer is made before the first. Make them in the order in which they are used: from D to "
            "hidden_dim, then back.",
        ),
        FORGOT_MODULE,
    ],
    properties=[
        learns(_with_matrices(MLP), *_LOOK_AT_MLP),
        passes_on(_with_matrices(MLP), *_LOOK_AT_MLP),
        forgets(_LOOK_AT_MLP, (-_LOOK_AT_MLP[0], *_LOOK_AT_MLP[1:])),
    ],
    done="Wider, bent, and narrow again, for each token alone. Now it can stand in a block.",
)


# ------------------------------------------------------------------------------------------ the block

PARTS = ("norm1", "attn", "norm2", "mlp")


def _built(make: Callable[..., nn.Module], z: Tensor, num_heads: int) -> nn.Module | str:
    """Build a block for these tokens and fill it, or say what is wrong with it.

    For small tokens the numbers are small too, so that the ε of both norms counts.
    """
    dim = z.shape[-1]
    block = make(dim, num_heads)
    if misfit := misfit_of(block):
        return misfit
    own, course = ({name: x.shape for name, x in each.named_parameters()} for each in (block, EncoderBlock(dim, 1)))
    if {name.split(".")[0] for name in own} - set(PARTS):
        return "parts with other names than norm1, attn, norm2 and mlp"
    if own.keys() - course.keys():
        return "layers with other names inside the parts"
    for name, shape in own.items():
        if shape != course[name]:
            return Said(f"`{name}` has the shape {list(shape)}, and should have {list(course[name])}.")
    fill(block.named_parameters(), spread=0.4 if z.abs().max() > 0.1 else 0.05)
    return block


def _with_parts(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds the block, fills its parts with known numbers, and runs it in eval."""

    def run(z: Tensor, num_heads: int) -> Tensor | str:
        block = _built(make, z, num_heads)
        return block if isinstance(block, str) else block.eval()(z)

    return run


class _Block(nn.Module):
    """What the wrong answers below have in common: the four parts."""

    eps = LAYER_NORM_EPS
    mlp_ratio = 4

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=self.eps)
        self.attn = MultiHeadAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=self.eps)
        self.mlp = MLP(dim, self.mlp_ratio * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def _pre(x: Tensor, norm: nn.Module, branch: nn.Module) -> Tensor:
    return x + branch(norm(x))


def _post(x: Tensor, norm: nn.Module, branch: nn.Module) -> Tensor:
    return norm(x + branch(x))


def _inside(x: Tensor, norm: nn.Module, branch: nn.Module) -> Tensor:
    return x + norm(branch(x))


def _residual_from_norm(x: Tensor, norm: nn.Module, branch: nn.Module) -> Tensor:
    return _no_norm(norm(x), norm, branch)


def _no_residual(x: Tensor, norm: nn.Module, branch: nn.Module) -> Tensor:
    return branch(norm(x))


def _no_norm(x: Tensor, norm: nn.Module, branch: nn.Module) -> Tensor:
    return x + branch(x)


def _block(attention: Callable = _pre, mlp: Callable = _pre) -> type[nn.Module]:
    """A block that goes through its two branches in these ways."""
    return changed(_Block, forward=lambda self, x: mlp(attention(x, self.norm1, self.attn), self.norm2, self.mlp))


class _OtherNames(nn.Module):
    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.block = _Block(dim, num_heads)


class _OtherLayers(_Block):
    def __init__(self, dim: int, num_heads: int):
        super().__init__(dim, num_heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


def _tokens(*shape: int, num_heads: int, size: float = 1.0) -> tuple[Tensor, int]:
    return uneven(*shape) * size, num_heads


_LOOK_AT_BLOCK = _tokens(1, 6, 8, num_heads=2)

TOKENS = Hints(axes="B N D", sizes=lambda z, num_heads: {"N": z.shape[1], "D": z.shape[2]})

encoder_block = Exercise(
    name="encoder_block",
    lesson=LESSON,
    difficulty=3,
    minutes=15,
    solution=EncoderBlock,
    adapt=_with_parts,
    hints=TOKENS,
    inputs=[
        _tokens(1, 2, 4, num_heads=1),
        _tokens(1, 3, 4, num_heads=2, size=0.005),  # small, so that eps counts
        _tokens(2, 5, 8, num_heads=2),
        _tokens(3, 4, 6, num_heads=3, size=3.0),
    ],
    mistakes=[
        Mistake(
            _block(_post, _post),
            "this is post-norm: each norm comes after the addition, and stands in the way of the residual. ViT norms "
            "what a branch reads: x + attn(norm1(x)).",
        ),
        Mistake(
            _block(_inside, _inside),
            "your norms stand at the end of each branch, as in Swin v2. ViT norms what a branch reads: x + "
            "attn(norm1(x)).",
        ),
        Mistake(
            _block(_residual_from_norm, _residual_from_norm),
            "you add the branches to the normed tokens. The residual goes round the norm: keep x as it is, and give "
            "norm1(x) to the branch alone.",
        ),
        Mistake(
            _block(attention=_residual_from_norm),
            "attention is added to the normed tokens. The residual goes round the norm: x + attn(norm1(x)).",
        ),
        Mistake(
            _block(mlp=_residual_from_norm),
            "the MLP is added to the normed tokens. The residual goes round the norm: x + mlp(norm2(x)).",
        ),
        Mistake(
            _block(mlp=_no_residual),
            "the second residual is missing: what the MLP says is added to x, not put in its place.",
        ),
        Mistake(
            _block(attention=_no_residual),
            "the first residual is missing: what attention says is added to x, not put in its place.",
        ),
        Mistake(
            _block(_no_residual, _no_residual),
            "both residuals are missing: what a branch says is added to x, not put in its place.",
        ),
        Mistake(
            changed(_Block, forward=lambda self, x: _pre(_pre(x, self.norm1, self.attn), self.norm1, self.mlp)),
            "norm1 is used twice, and norm2 never. They learn different γ and β: norm2 belongs to the MLP.",
        ),
        Mistake(
            changed(_Block, forward=lambda self, x: _pre(_pre(x, self.norm2, self.attn), self.norm1, self.mlp)),
            "the norms are swapped: norm1 belongs to attention, norm2 to the MLP.",
        ),
        Mistake(
            changed(_Block, forward=lambda self, x: x + self.attn(self.norm1(x)) + self.mlp(self.norm2(x))),
            "both branches read the same x. In ViT the MLP reads what attention has already changed: two lines, one "
            "after the other.",
        ),
        Mistake(
            changed(_Block, forward=lambda self, x: x + self.mlp(self.norm2(_pre(x, self.norm1, self.attn)))),
            "at the end you add to what came into the block, so that the plus of attention is lost. Add to its result.",
        ),
        Mistake(
            changed(_Block, forward=lambda self, x: _pre(_pre(x, self.norm2, self.mlp), self.norm1, self.attn)),
            "the MLP comes before attention. Equation 2 is attention, equation 3 the MLP.",
        ),
        Mistake(_block(mlp=_no_norm), "the second norm is missing: the MLP reads norm2(x)."),
        Mistake(_block(attention=_no_norm), "the first norm is missing: attention reads norm1(x)."),
        Mistake(
            _block(_no_norm, _no_norm), "the norms are never used: attention reads norm1(x), and the MLP norm2(x)."
        ),
        Mistake(
            _block(mlp=_post),
            "norm2 stands at the end of the block. It belongs in front of the MLP, inside the branch: x + "
            "mlp(norm2(x)).",
        ),
        Mistake(
            changed(_Block, eps=1e-5),
            "your norms have PyTorch's usual ε, 0.00001. ViT's is smaller: nn.LayerNorm(dim, eps=1e-6).",
        ),
        Mistake(
            changed(_Block, mlp_ratio=1),
            "your MLP is not wider than the token. Its hidden layer has 4·D numbers: MLP(dim, 4 * dim).",
        ),
        Mistake(
            _OtherNames,
            "the parts have other names. Call them norm1, attn, norm2 and mlp, as timm does: then saved weights find "
            "their places.",
        ),
        Mistake(
            _OtherLayers,
            "the layers inside your parts have other names than the course's: qkv and proj in attn, fc1 and fc2 in "
            "mlp. With these, saved weights find their places.",
        ),
        FORGOT_MODULE,
    ],
    properties=[
        learns(_with_parts(EncoderBlock), *_LOOK_AT_BLOCK),
        passes_on(_with_parts(EncoderBlock), *_LOOK_AT_BLOCK),
        forgets(_LOOK_AT_BLOCK, _tokens(1, 6, 8, num_heads=2, size=-1.0)),
    ],
    done="Given the same numbers, it says what the course's EncoderBlock says. Now a ViT can be built of it.",
)


# ------------------------------------------------------------------------------------------ mend one that is ill

RATE = 0.2
ANOTHER_SHARE = "while training, another share than 0.2 of the numbers is dropped"
_BRANCHES = ("attention", "MLP")


def _twice(make: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that runs the block in eval, and says if training makes it random.

    The function returns what `look(block, z)` gives instead, if there is a `look`; the block is in training mode then.
    """

    def run(z: Tensor, num_heads: int, look: Callable | None = None):
        block = _built(make, z, num_heads)
        if isinstance(block, str):
            return block, False
        if look:
            return look(block.train(), z)
        output = block.eval()(z)
        if _sets_the_seed(block, z):
            return Said(
                "your block sets the seed itself. Then dropout drops the same numbers at each call, in eval too, and "
                "whatever the notebook draws afterwards changes. Tell F.dropout the mode instead."
            ), False
        quiet = torch.equal(block(z), output)
        trained = [block.train()(z) for _ in range(20)]
        random = not all(torch.equal(one, trained[0]) for one in trained)
        if quiet and not random and not same(trained[0], output):
            return Said(
                "in training your block says something else than in eval, and yet nothing in it is random. Is "
                "everything dropped? The second argument of F.dropout is p, and the third is `training`."
            ), False
        return output, random

    return run


def _sets_the_seed(block: nn.Module, z: Tensor) -> bool:
    """Say whether the random numbers after a call are the same, whatever they were before it."""
    states = []
    for seed in (0, 1):
        with seeded(seed):
            block(z)
            states.append(torch.get_rng_state())
    return torch.equal(*states)


def _with_dropout(attention: Callable, mlp: Callable | None = None) -> type[nn.Module]:
    """A block whose branches go through `attention(branch, training)` and `mlp(branch, training)` before the plus."""

    class Answer(_Block):
        def forward(self, x: Tensor) -> Tensor:
            x = x + attention(self.attn(self.norm1(x)), self.training)
            return x + (mlp or attention)(self.mlp(self.norm2(x)), self.training)

    return Answer


def _always(branch: Tensor, training: bool) -> Tensor:
    return F.dropout(branch, RATE)


def _bare(branch: Tensor, training: bool) -> Tensor:
    return F.dropout(branch)


def _mended(branch: Tensor, training: bool) -> Tensor:
    return F.dropout(branch, RATE, training)


def _silence(block: nn.Module, *branches: str) -> None:
    """Let these branches of a block, "attention" or "MLP", say 0."""
    with torch.no_grad():
        for branch in branches:
            layer = block.attn.proj if branch == "attention" else block.mlp.fc2
            layer.weight.zero_(), layer.bias.zero_()


def _added_to_silence(block: nn.Module, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return what comes to the tokens while training, if both branches say 0; and to tokens of twice the size."""
    _silence(block, *_BRANCHES)
    added = []
    for tokens in (z, 2 * z):
        with seeded(0):
            added.append(block(tokens) - tokens)
    return added[0], added[1]


def _says_nothing(block: nn.Module, z: Tensor) -> bool:
    """Whether branches that say 0 add nothing while training that has nothing to do with the tokens."""
    added, to_twice = _added_to_silence(block, z)
    return not added.any() or not torch.allclose(added, to_twice, atol=1e-4)


def _passes_through(block: nn.Module, z: Tensor) -> bool:
    """Whether tokens pass unchanged while training, if both branches say 0."""
    return not _added_to_silence(block, z)[0].any()


def _reads_all(block: nn.Module, z: Tensor) -> bool:
    """Whether each branch reads the same while training, whenever it reads the same tokens."""
    read = []
    _silence(block, "attention")  # so that both branches read what came in
    for part in (block.attn, block.mlp):
        part.register_forward_pre_hook(lambda part, given: read.append(given[0]))
    block(z), block(z)
    half = len(read) // 2
    return all(same(one, other) for one, other in zip(read[:half], read[half:], strict=False))


def _kept(block: nn.Module, z: Tensor, branch: str) -> Tensor:
    """What is left of a branch's numbers while training, each divided by what it is in eval."""
    _silence(block, "MLP" if branch == "attention" else "attention")
    with torch.no_grad():
        many = z.expand(200, -1, -1)
        return ((block(many) - many) / (block.eval()(many) - many)).flatten()


def _share_dropped(run: Callable, branch: str) -> float:
    return run(*_LOOK_AT_BLOCK, lambda block, z: float((_kept(block, z, branch) == 0).float().mean()))


def _drops_a_fifth(run: Callable) -> bool | Said:
    """Whether both branches lose about a fifth of their numbers while training."""
    for branch in _BRANCHES:
        if not 0.17 < (share := _share_dropped(run, branch)) < 0.23:
            whose = "attention" if branch == "attention" else "the MLP"
            return Said(f"{ANOTHER_SHARE}: {share:.0%} of those of {whose}.")
    return True


def _size_of_what_stays(run: Callable, branch: str) -> float:
    return run(*_LOOK_AT_BLOCK, lambda block, z: float((kept := _kept(block, z, branch))[kept != 0].median()))


def _at_rest(block: nn.Module, z: Tensor) -> Tensor:
    return block.eval()(z)


mended_block = Exercise(
    name="mended_block",
    lesson=LESSON,
    difficulty=3,
    minutes=12,
    solution=_with_dropout(_mended),
    adapt=_twice,
    hints=replace(TOKENS, part=0),
    inputs=[
        _tokens(1, 2, 4, num_heads=1),
        _tokens(1, 3, 4, num_heads=2, size=0.005),  # small, so that eps counts
        _tokens(2, 5, 8, num_heads=2),
        _tokens(1, 6, 6, num_heads=3, size=3.0),
    ],
    mistakes=[
        Mistake(
            _with_dropout(_always),
            "the fault is still there: dropout works in eval too. F.dropout does not know the mode of your block "
            "unless it is told, and neither does an nn.Dropout that is made in forward.",
        ),
        Mistake(
            _with_dropout(lambda branch, training: F.dropout(branch, RATE, not training)),
            "dropout works in eval and rests in training: `training` must be self.training, not its opposite.",
        ),
        Mistake(
            _with_dropout(lambda branch, training: branch),
            "there is no dropout any more, in training neither. That hides the fault: it shall work in training, and "
            "rest in eval.",
        ),
        Mistake(
            _with_dropout(_mended, _always),
            "attention is mended; after the MLP, dropout still works in eval.",
        ),
        Mistake(
            _with_dropout(_always, _mended),
            "the MLP is mended; after attention, dropout still works in eval.",
        ),
        *(
            Mistake(
                _with_dropout(*branches),
                f"{where}, F.dropout has no p and no `training`: so it drops half of the numbers, and in eval too.",
            )
            for where, branches in (
                ("in both branches", (_bare, _bare)),
                ("after attention", (_bare, _mended)),
                ("after the MLP", (_mended, _bare)),
            )
        ),
        Mistake(
            changed(_with_dropout(_mended), eps=1e-5),
            "dropout is mended, and your norms have PyTorch's usual ε, 0.00001. Leave them: "
            "nn.LayerNorm(dim, eps=1e-6).",
        ),
        Mistake(
            _with_dropout(lambda branch, training: F.dropout(branch, RATE) if training else (1 - RATE) * branch),
            "in eval you shrink what the branches say. F.dropout has made up for it in training already, by dividing "
            "what stays by 1 - p.",
        ),
    ],
    properties=[
        Property(
            lambda run: run(*_LOOK_AT_BLOCK, _says_nothing),
            "while training, a branch that says 0 adds something to the stream all the same. What is dropped must "
            "become 0, as F.dropout does it, and F.alpha_dropout does not.",
        ),
        Property(
            lambda run: run(*_LOOK_AT_BLOCK, _passes_through),
            "while training, dropout falls on the residual stream. Only what a branch says may be dropped: x + "
            "dropout(branch).",
        ),
        Property(
            lambda run: run(*_LOOK_AT_BLOCK, _reads_all),
            "while training, dropout falls on what goes into a branch. It belongs behind it, on what the branch says: "
            "x + dropout(branch(norm(x))).",
        ),
        *(
            Property(
                lambda run, branch=branch: _share_dropped(run, branch) > 0,
                f"while training, nothing is dropped after {branch if branch == 'attention' else 'the MLP'}.",
            )
            for branch in _BRANCHES
        ),
        Property(_drops_a_fifth, f"{ANOTHER_SHARE}."),
        Property(
            lambda run: all(1.2 < _size_of_what_stays(run, branch) < 1.3 for branch in _BRANCHES),
            "while training, what stays is not divided by 1 - p, so that the mean of the branch changes.",
        ),
        learns(_twice(_with_dropout(_mended)), *_LOOK_AT_BLOCK, _at_rest),
        passes_on(_twice(_with_dropout(_mended)), *_LOOK_AT_BLOCK, _at_rest),
    ],
    done="Random while it trains, the same answer every time when it is asked.",
)
