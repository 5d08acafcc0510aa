"""Wrong answers as students write them, made from the text of the lessons alone: a right answer, and slips of the pen.

A slip is "old => new", once or several times with " ;; " between; or a whole answer of its own. Nothing here was
written for a sentence: `tests/exercises/test_corpus.py` and `tests/benchmarks/bench_checks.py` see what is said.
"""

import itertools
import linecache
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from vit_tutorial.attention import MultiHeadAttention, scaled_dot_product_attention
from vit_tutorial.encoder import MLP, EncoderBlock
from vit_tutorial.patches import PatchEmbedding
from vit_tutorial.vit import ViT

KNOWN = {
    "math": math,
    "torch": torch,
    "nn": nn,
    "F": F,
    "rearrange": rearrange,
    "MultiHeadAttention": MultiHeadAttention,
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "MLP": MLP,
    "EncoderBlock": EncoderBlock,
    "PatchEmbedding": PatchEmbedding,
    "ViT": ViT,
}
_number = itertools.count()


@dataclass(frozen=True)
class Slips:
    """A right answer as text, and what goes wrong in it."""

    right: str
    slips: tuple[str, ...]


def made_of(text: str) -> Callable:
    """Run the text of one answer, as a cell does, and return the function or class that it defines last."""
    text = textwrap.dedent(text).strip() + "\n"
    name = f"<corpus {next(_number)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names = dict(KNOWN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # students compare with `is`
        exec(compile(text, name, "exec"), names)
    return [value for key, value in names.items() if key not in KNOWN and key != "__builtins__"][-1]


def wrong_answers(slips: Slips) -> Iterator[tuple[str, str]]:
    """Yield each slip with the text of the wrong answer that it makes."""
    for slip in slips.slips:
        if " =>" not in slip:
            yield slip.strip().splitlines()[-1].strip(), slip
            continue
        text = slips.right
        for change in slip.split(" ;; "):
            old, new = change.split(" => ") if " => " in change else (change.removesuffix(" =>"), "")
            assert old in text, f"{old!r} does not stand in the right answer"
            text = text.replace(old, new)
        yield slip, text
