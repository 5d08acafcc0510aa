"""Independent references: the mathematics of the paper in plain Python loops, and small helpers for several test files.

Nothing here calls the code under test, nor the tensor operations that it is made of.
"""

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}


def assert_same(actual: Tensor, expected: Tensor) -> None:
    """Same shape, same dtype, and equal to 1e-12 in float64 or 1e-5 in float32."""
    tolerance = EXACT[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def exactly(text: str) -> str:
    """The pattern for pytest.raises(match=...) that stands for this very text."""
    return re.escape(text)


def randomize(module: nn.Module, seed: int = 1) -> nn.Module:
    """Give every parameter random numbers, so that none is a zero or a one that would hide a fault."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 25
            largest = math.sqrt(3 / fan_in)  # numbers between -a and a have the standard deviation a / sqrt(3)
            parameter.uniform_(-largest, largest, generator=generator)
            if "norm" in name or "ln" in name:
                parameter.add_(1 if name.endswith("weight") else 0)
    return module


def unfilled(make: Callable[[], nn.Module], dtype: torch.dtype = torch.float32) -> nn.Module:
    """Build a large model without the numbers that it starts with: they take longest, and are overwritten here."""
    with torch.device("meta"):
        model = make().to(dtype)
    return model.to_empty(device="cpu").eval()


def patchify_by_loops(images: Tensor, patch_size: int) -> Tensor:
    batch = []
    for image in images.tolist():  # image[channel][row][column]
        patches = []
        for top in range(0, len(image[0]), patch_size):
            for left in range(0, len(image[0][0]), patch_size):
                patch = []
                for row in range(top, top + patch_size):
                    for column in range(left, left + patch_size):
                        patch += [channel[row][column] for channel in image]
                patches.append(patch)
        batch.append(patches)
    return torch.tensor(batch, dtype=images.dtype)


def softmax(scores: list[float]) -> list[float]:
    exponentials = [math.exp(score - max(scores)) for score in scores]
    return [e / math.fsum(exponentials) for e in exponentials]


def attention_by_loops(q: list, k: list, v: list, mask: list | None = None) -> tuple[list, list]:
    """One head: q [N][d], k [M][d], v [M][d_v] -> output [N][d_v], weights [N][M]."""
    output, weights = [], []
    for i, query in enumerate(q):
        scores = [math.fsum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(len(query)) for key in k]
        if mask is not None:
            scores = [score if allowed else -math.inf for score, allowed in zip(scores, mask[i], strict=True)]
        share = softmax(scores)
        weights.append(share)
        output.append([math.fsum(share[j] * v[j][n] for j in range(len(v))) for n in range(len(v[0]))])
    return output, weights


def linear_by_loops(x: list, weight: Tensor, bias: Tensor | None) -> list:
    """x [N][in], weight [out, in], bias [out] -> [N][out]."""
    rows = weight.tolist()
    offsets = [0.0] * len(rows) if bias is None else bias.tolist()
    return [
        [math.fsum(map(float.__mul__, row, token)) + b for row, b in zip(rows, offsets, strict=True)] for token in x
    ]


def multi_head_attention_by_loops(module: nn.Module, x: list) -> tuple[list, list]:
    """x [N][D] -> output [N][D], weights [h][N][N]; head i owns the numbers i*d to (i+1)*d of queries, keys, values."""
    dim, heads = len(x[0]), module.num_heads
    d = dim // heads
    qkv = linear_by_loops(x, module.qkv.weight, module.qkv.bias)
    side_by_side, weights = [[] for _ in x], []
    for head in range(heads):
        q, k, v = ([token[part * dim + head * d : part * dim + (head + 1) * d] for token in qkv] for part in range(3))
        output, share = attention_by_loops(q, k, v)
        weights.append(share)
        for token, found in zip(side_by_side, output, strict=True):
            token.extend(found)
    return linear_by_loops(side_by_side, module.proj.weight, module.proj.bias), weights


def layer_norm_by_loops(x: list, weight: Tensor, bias: Tensor, eps: float = 1e-6) -> list:
    """Each token less its mean, over its standard deviation (of the whole population, not of a sample)."""
    result = []
    for token in x:
        mean = math.fsum(token) / len(token)
        variance = math.fsum((number - mean) ** 2 for number in token) / len(token)
        scale = math.sqrt(variance + eps)
        result.append(
            [(t - mean) / scale * w + b for t, w, b in zip(token, weight.tolist(), bias.tolist(), strict=True)]
        )
    return result


def gelu_exact(x: float) -> float:
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def mlp_by_loops(module: nn.Module, x: list, gelu=gelu_exact) -> list:
    hidden = linear_by_loops(x, module.fc1.weight, module.fc1.bias)
    return linear_by_loops([[gelu(h) for h in token] for token in hidden], module.fc2.weight, module.fc2.bias)


def add(x: list, y: list) -> list:
    return [[a + b for a, b in zip(left, right, strict=True)] for left, right in zip(x, y, strict=True)]


def encoder_block_by_loops(block: nn.Module, x: list, norm: str) -> list:
    """Equations 2 and 3 of the paper for one image, x [N][D] -> [N][D]; or the original Transformer's order."""

    def norm1(x):
        return layer_norm_by_loops(x, block.norm1.weight, block.norm1.bias)

    def norm2(x):
        return layer_norm_by_loops(x, block.norm2.weight, block.norm2.bias)

    if norm == "pre":
        x = add(multi_head_attention_by_loops(block.attn, norm1(x))[0], x)
        return add(mlp_by_loops(block.mlp, norm2(x)), x)
    x = norm1(add(multi_head_attention_by_loops(block.attn, x)[0], x))
    return norm2(add(mlp_by_loops(block.mlp, x), x))


def sincos_1d_by_loops(num_positions: int, dim: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/D)), PE(pos, 2i+1) = cos of the same."""
    table = [[0.0] * dim for _ in range(num_positions)]
    for position in range(num_positions):
        for i in range(dim // 2):
            angle = position / 10000 ** (2 * i / dim)
            table[position][2 * i] = math.sin(angle)
            table[position][2 * i + 1] = math.cos(angle)
    return torch.tensor(table, dtype=torch.float64)


def sincos_2d_by_loops(rows: int, columns: int, dim: int) -> Tensor:
    """Beyer et al. 2022: for each patch the sines of its column, the cosines of it, then the same of its row."""
    waves = [10000 ** -(i / (dim // 4 - 1)) for i in range(dim // 4)]
    places = [(column, row) for row in range(rows) for column in range(columns)]
    table = [[f(x * wave) for x in place for f in (math.sin, math.cos) for wave in waves] for place in places]
    return torch.tensor(table, dtype=torch.float64)


def matmul_by_loops(a: list, b: list) -> list:
    return [[math.fsum(row[k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))] for row in a]
