"""Optimizers: what turns gradients into steps, and a moving average that makes the last steps smoother.

    AdamW     every weight has a step size of its own
    Muon      a matrix moves as a whole, by the nearest orthogonal matrix to its mean gradient; AdamW for the rest

Sources: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2 (AdamW); Jordan et al. 2024,
"Muon: An optimizer for hidden layers in neural networks"; Liu et al. 2025, "Muon is Scalable for LLM Training", section
2.2 (its step size); Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; the smaller
decay of its first steps is that of TensorFlow's ExponentialMovingAverage.
"""

import copy
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.training.fine_tuning import is_token_or_position, learning_rate_scales, named_parameters

ITERATION = (3.4445, -4.7750, 2.0315)  # Jordan et al.: small singular values grow fastest, to near 1 unless tiny
ITERATIONS = 5


def make_optimizers(
    model: nn.Module, name: str, learning_rate: float, weight_decay: float, layer_decay: float = 1.0
) -> list[torch.optim.Optimizer]:
    """Build AdamW ("adamw"), or Muon for the matrices in the blocks and AdamW for the rest ("muon").

    All matrices decay; biases, norms, the class token and the positions are left alone. A matrix that shrinks is a
    simpler function; a position that shrinks is only harder to see. Muon's steps are scaled to the length of AdamW's,
    so one learning rate serves both. Each group has an `lr_scale`, by which its learning rate is multiplied.
    Raises ValueError if `layer_decay` is not 1 and the model has no blocks.
    """
    scales = learning_rate_scales(model, layer_decay)
    names = {id(parameter): name for name, parameter in named_parameters(model).items()}
    hidden: Groups = {}
    matrices: Groups = {}
    others: Groups = {}
    for parameter in model.parameters():
        key = names[id(parameter)]
        is_matrix = parameter.ndim >= 2 and not is_token_or_position(key)
        in_block = name == "muon" and parameter.ndim == 2 and "blocks." in key
        groups = hidden if is_matrix and in_block else matrices if is_matrix else others
        groups.setdefault(scales[key], []).append(parameter)
    adamw = torch.optim.AdamW(
        [*_with_scales(matrices, weight_decay), *_with_scales(others, 0.0)],
        lr=learning_rate,
        betas=(0.9, 0.999),
        fused=all(map(_is_dense, model.parameters())),
    )
    return [adamw, Muon(_with_scales(hidden, weight_decay), learning_rate, weight_decay)] if hidden else [adamw]


Groups = dict[float, list[nn.Parameter]]  # by the factor of their learning rate


def _is_dense(parameter: nn.Parameter) -> bool:
    """Say whether the numbers lie side by side in memory, in whatever order; the fused AdamW takes that for granted."""
    return parameter.stride() == torch.empty_like(parameter, device="meta").stride()


def _with_scales(groups: Groups, weight_decay: float) -> list[dict]:
    """Make an optimizer's groups of parameters; without any there is one empty group."""
    return [
        {"params": members, "weight_decay": weight_decay, "lr_scale": scale}
        for scale, members in (groups or {1.0: []}).items()
    ]


class Muon(torch.optim.Optimizer):
    """Move each matrix by the orthogonal matrix nearest to the mean of its last gradients.

    It is torch.optim.Muon with adjust_lr_fn="match_rms_adamw", but all matrices of one shape take their step together:
    a GPU is told a few things about large stacks, and not hundreds of things about small matrices.
    Raises ValueError for a parameter that is not a matrix.
    Sources: Jordan et al. 2024; Liu et al. 2025, section 2.2, equation 4 (step size and weight decay).
    """

    def __init__(
        self, matrices: list[nn.Parameter] | list[dict], lr: float, weight_decay: float, momentum: float = 0.95
    ):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for matrix in (matrix for group in self.param_groups for matrix in group["params"]):
            if matrix.ndim != 2:
                raise ValueError(
                    f"Muon moves matrices, got a parameter of shape {list(matrix.shape)}; use AdamW for it"
                )

    @torch.no_grad()
    def step(self) -> None:
        """Move all matrices that have a gradient."""
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            if not matrices:
                continue
            gradients = [matrix.grad for matrix in matrices]
            means = [self._mean(matrix) for matrix in matrices]
            torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, means, group["momentum"])  # Nesterov: the mean, one gradient on
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
            for places in _of_equal_shape(matrices):
                steps = orthogonalize(torch.stack([ahead[i] for i in places]))
                length = group["lr"] * 0.2 * math.sqrt(max(steps.shape[1:]))
                torch._foreach_add_([matrices[i] for i in places], steps.unbind(), alpha=-length)

    def _mean(self, matrix: nn.Parameter) -> Tensor:
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)  # the name in torch.optim.Muon
        return state["momentum_buffer"]


def _of_equal_shape(matrices: list[Tensor]) -> list[list[int]]:
    """Give the places of the matrices of each shape."""
    places: dict[torch.Size, list[int]] = {}
    for i, matrix in enumerate(matrices):
        places.setdefault(matrix.shape, []).append(i)
    return list(places.values())


def orthogonalize(matrices: Float[Tensor, "K M N"], dtype: torch.dtype = torch.bfloat16) -> Float[Tensor, "K M N"]:
    """Bring the singular values of K matrices to between 0.68 and 1.2, and leave their directions alone.

    Those below a 600th of the matrix's norm, the root of the sum of their squares, stay smaller.
    Shapes: [K, M, N] -> [K, M, N]. It computes in `dtype`: matrix products alone, so few digits do.
    Source: Jordan et al. 2024, the iteration of Newton and Schulz with a polynomial of degree 5.
    """
    a, b, c = ITERATION
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(dtype)  # wide, so that the product with itself is the small one
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)  # now no singular value is above 1
    for _ in range(ITERATIONS):
        gram = x @ x.mT  # [K, M, M]
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, gram, x, beta=a)  # a x + b (x x^T) x + c (x x^T)^2 x
    return (x.mT if tall else x).contiguous().to(matrices.dtype)


class MovingAverage:
    """A copy of a model whose weights follow it slowly: each step, average <- decay * average + (1 - decay) * weights.

    In the first steps the decay is smaller, (1 + step) / (10 + step), or it would remember the untrained model.
    Whole numbers, such as a count of batches, are copied.
    Raises ValueError for weights of 16 bits, among which so small a move is mostly lost.
    """

    def __init__(self, model: nn.Module, decay: float):
        for name, parameter in model.named_parameters():
            if parameter.dtype in (torch.bfloat16, torch.float16):
                raise ValueError(
                    f"average is {decay:g}, and {name} is {parameter.dtype}, in which an average hardly moves; call "
                    "model.float() before, and let precision='bfloat16' have 16 bits where they do no harm"
                )
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move a little towards the weights of the model."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        pairs = list(zip(_tensors(self.model), _tensors(model), strict=True))
        real = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([kept for kept, _ in real], [new for _, new in real], 1 - decay)
        for kept, new in pairs:
            if not kept.is_floating_point():
                kept.copy_(new)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
