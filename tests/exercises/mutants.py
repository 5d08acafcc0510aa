"""Mutants of an answer: one small change each, made in its syntax tree."""

import ast
import copy
import textwrap
from collections.abc import Iterator

SWAPS = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.BitAnd: (ast.BitOr,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
METHODS = {
    "mean": ("sum", "amax"),
    "sum": ("mean",),
    "sin": ("cos",),
    "cos": ("sin",),
    "softmax": ("log_softmax", "sigmoid"),
    "tril": ("triu",),
    "sqrt": ("square",),
    "gelu": ("relu", "silu"),
    "var": ("std",),
    "min": ("max",),
    "max": ("min",),
    "expand": ("repeat",),
    "cat": ("stack",),
}


def mutants_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield what was changed, in words, with the text of the mutant; each differs from the others."""
    tree = ast.parse(textwrap.dedent(text))
    seen = {ast.unparse(tree)}
    for place, node in enumerate(ast.walk(tree)):
        for words, change in _changes(node):
            mutant = copy.deepcopy(tree)
            change(list(ast.walk(mutant))[place])
            made = ast.unparse(ast.fix_missing_locations(mutant))
            if made not in seen and _compiles(made):
                seen.add(made)
                line = next((new for new in made.splitlines() if new not in ast.unparse(tree).splitlines()), "")
                yield f"{words}: {line.strip()}", made
    for place, node in enumerate(ast.walk(tree)):
        for i, step in enumerate(getattr(node, "body", []) if isinstance(node, ast.FunctionDef | ast.For) else []):
            if _drops(step, node.body):
                mutant = copy.deepcopy(tree)
                body = list(ast.walk(mutant))[place].body
                body[i : i + 1] = [] if len(body) > 1 else [ast.Pass()]
                yield f"dropped: {ast.unparse(step)}", ast.unparse(ast.fix_missing_locations(mutant))


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Yield changes of one node, as functions of its copy."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        for other in SWAPS[type(node.op)]:
            yield "operator", lambda copied, other=other: setattr(copied, "op", other())
        yield "left alone", lambda copied: _become(copied, copied.left)
        yield "right alone", lambda copied: _become(copied, copied.right)
        if isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.MatMult | ast.Pow):
            yield "exchanged", lambda copied: _exchange(copied)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        for other in SWAPS[type(node.ops[0])]:
            yield "comparison", lambda copied, other=other: setattr(copied, "ops", [other()])
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in {node.value + 1, node.value - 1, -node.value, 0} - {node.value}:
            yield "constant", lambda copied, value=value: setattr(copied, "value", value)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield "constant", lambda copied: setattr(copied, "value", not copied.value)
    if isinstance(node, ast.UnaryOp):
        yield "sign", lambda copied: _become(copied, copied.operand)
    if isinstance(node, ast.Attribute) and node.attr in METHODS:
        for other in METHODS[node.attr]:
            yield "method", lambda copied, other=other: setattr(copied, "attr", other)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
            yield "without the call", lambda copied: _become(copied, copied.func.value)
        if len(node.args) == 1:
            yield "without the call", lambda copied: _become(copied, copied.args[0])
        for i in range(len(node.keywords)):
            yield "without the keyword", lambda copied, i=i: copied.keywords.pop(i)
        for i in range(len(node.args) - 1):
            yield "arguments", lambda copied, i=i: _swap(copied.args, i)
    if isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        for i in range(len(node.elts) - 1):
            yield "order", lambda copied, i=i: _swap(copied.elts, i)


def _become(node: ast.AST, other: ast.AST) -> None:
    node.__class__ = other.__class__
    node.__dict__ = other.__dict__


def _exchange(node: ast.BinOp) -> None:
    node.left, node.right = node.right, node.left


def _swap(items: list, i: int) -> None:
    items[i], items[i + 1] = items[i + 1], items[i]


def _drops(step: ast.stmt, body: list[ast.stmt]) -> bool:
    """Say whether a statement can be left out and the rest still read as an answer."""
    return isinstance(step, ast.Assign | ast.AugAssign | ast.If | ast.For | ast.Expr) and len(body) > 1
