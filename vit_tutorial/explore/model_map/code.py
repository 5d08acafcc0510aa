"""The text of the code that runs in a box, read from the very classes of which the model is made."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from vit_tutorial.attention import MultiHeadAttention, scaled_dot_product_attention
from vit_tutorial.hybrid import HybridEmbedding
from vit_tutorial.patches import patchify
from vit_tutorial.vit import ViT


def probabilities(logits: Float[Tensor, "B num_classes"]) -> Float[Tensor, "B num_classes"]:
    """Turn logits into probabilities that sum to 1."""
    return logits.softmax(dim=-1)


def code_of(function: Callable, *marks: str) -> str:
    """The text of a function without its docstring and without the checks that only raise.

    With marks, the lines alone in which one of these stands; all lines if there is none. Where the text is not to be
    had, a sentence that says so.
    """
    try:
        text = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return f"# the text of {getattr(function, '__qualname__', function)} is not to be had"
    lines = text.splitlines()
    left_out = set(range(1, tree.lineno))  # decorators
    for node in getattr(tree, "body", [])[:-1]:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        raises = isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise)
        checks = isinstance(node, ast.Expr) and ast.unparse(node).removeprefix("self.").lstrip("_").startswith("check_")
        if docstring or raises or checks:
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    kept = [line for number, line in enumerate(lines, start=1) if number not in left_out]
    marked = [line for line in kept if any(mark in line for mark in marks)]
    return textwrap.dedent("\n".join(marked or kept)).strip("\n")


def code_of_box(model: ViT, key: str) -> tuple[str, str]:
    """The code of a box, and whose it is: read from the classes of which this very model is made.

    Cutting and softmax are done elsewhere or not at all by the model, and stand there as plain functions.
    """
    block = model.blocks[0]
    pre = model.config.norm == "pre"
    embed = type(model.patch_embed)
    functions: dict[str, list[tuple]] = {
        "image": [(type(model).forward,)],
        "patches": [(patchify,)],
        "patch_embed": [(embed.forward,), *([(embed._project,)] if hasattr(embed, "_project") else [])],
        "class_token": [(type(model.class_token).forward,)],
        "position": [(type(model.position).forward,)],
        "block": [(type(block).forward,)],
        "norm": [(ViT.__init__, "self.norm = "), (ViT.forward, "self.norm(")],
        "pool": [(ViT._pool,)],
        "pre_logits": [(ViT._build_pre_logits,)],
        "head": [(ViT.__init__, "self.head = "), (ViT.classify, "self.head(")],
        "softmax": [(probabilities,)],
    }
    if isinstance(model.patch_embed, HybridEmbedding):
        functions["feature_map"] = [(type(model.patch_embed.backbone).forward,)]
    first, second = ("self.attn(self.norm1(", "self.mlp(self.norm2(") if pre else ("self.norm1(x + ", "self.norm2(x + ")
    if key in ("norm1", "norm2"):
        line = first if key == "norm1" else second
        functions[key] = [(type(block).__init__, f"self.{key} = "), (type(block).forward, line)]
    elif key in ("attn", "mlp"):
        functions[key] = [(type(getattr(block, key)).forward,)]
        if isinstance(getattr(block, key), MultiHeadAttention):
            functions[key].append((scaled_dot_product_attention,))
    elif key in ("residual1", "residual2"):
        functions[key] = [(type(block).forward, first if key == "residual1" else second)]
    chosen = functions[key]
    owners = dict.fromkeys(f"{function.__qualname__} in {function.__module__}" for function, *_ in chosen)
    return "\n\n".join(code_of(*parts) for parts in chosen), ", ".join(owners)
