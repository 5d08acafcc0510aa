"""Which cells of a notebook must run before some of its cells can: read from their code, without running any.

A cell needs the last cell before it that binds a name it reads, and every cell in between that may change what the
name stands for: `model.eval()`, `table[0] = 1`, `fit(model, data)`, a function that does one of these to its argument.
A change also reaches what an object was made of: `optimizer.step()` changes the model of `Adam(model.parameters())`.
Where the code does not say what a cell touches, the cell is needed: a magic, `exec`, `globals()`, `del`, a starred
import.

Two things are not followed: which cell has set a seed, and what a function of another file does to an
argument where its value is kept (`history = fit(model, data)`). There a needed cell runs with other numbers than in the
whole notebook. A name that was missed is a NameError.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterable
from copy import deepcopy
from dataclasses import dataclass, field

UNCLEAR = {"exec", "eval", "globals", "locals", "vars", "setattr", "delattr", "get_ipython", "__import__"}
HARMLESS = {"print", "plots", "super"}  # they show what they are given, and change no more than a figure
SEEDS = {"manual_seed", "seed"}
BUILTINS = set(dir(builtins)) - UNCLEAR
ARGUMENTS = "its arguments"  # stands among the names that a function changes


@dataclass
class Cell:
    """What one cell does to names that other cells know."""

    reads: set[str] = field(default_factory=set)  # before it has bound them itself
    parts: set[str] = field(default_factory=set)  # what the objects that it reads were made of
    binds: dict[str, set[str]] = field(default_factory=dict)  # and what a function or class reads when it is used
    sure: set[str] = field(default_factory=set)  # what it binds on every way through its code
    changes: set[str] = field(default_factory=set)
    unclear: bool = False


@dataclass
class Known:
    """What the code so far has said of names."""

    imported: set[str] = field(default_factory=set)
    made_of: dict[str, set[str]] = field(default_factory=dict)  # the names in the expressions that made an object
    effects: dict[str, set[str]] = field(default_factory=dict)  # what a function or class changes when it is called


def needed(sources: Iterable[str], wanted: Collection[int]) -> list[int]:
    """The numbers of the cells to run, in order: the wanted ones, the unclear ones, and what all of these depend on."""
    cells = read_cells(sources)
    run, todo = set(), [*wanted, *(number for number, cell in enumerate(cells) if cell.unclear)]
    while todo:
        number = todo.pop()
        if number not in run:
            run.add(number)
            todo += givers(cells, number)
    return sorted(run)


def givers(cells: list[Cell], number: int) -> list[int]:
    """The cells before this one that bind or change what it reads, or change a part of it."""
    found = [n for n, cell in enumerate(cells[:number]) if not cell.changes.isdisjoint(cells[number].parts)]
    names = list(cells[number].reads)
    for name in names:  # grows: who reads a function reads what it reads
        for earlier in range(number - 1, -1, -1):
            cell = cells[earlier]
            if name in cell.changes or name in cell.binds:
                found.append(earlier)
            names += cell.binds.get(name, set()) - set(names)
            if name in cell.sure:
                break
    return found


def read_cells(sources: Iterable[str]) -> list[Cell]:
    """What each cell reads, binds and changes, where the cells before it have run."""
    known, cells = Known(), []
    for source in sources:
        reader = Reader(known)
        try:
            reader.run(ast.parse(source).body)
        except SyntaxError:  # a magic
            reader.cell.unclear = True
        cells.append(reader.cell)
    return cells


class Reader(ast.NodeVisitor):
    """Follows the statements of one cell, or of one function's body, in the order in which they run."""

    def __init__(self, known: Known):
        self.known, self.cell = known, Cell()
        self.bound = self.cell.sure

    def run(self, body: Iterable[ast.AST]) -> None:
        for node in body:
            self.visit(node)

    # ------------------------------------------------------------------------------------------ names

    def read(self, names: set[str]) -> None:
        new = names - self.bound - self.built_in()
        self.cell.reads |= new
        self.cell.parts |= self.with_parts(new) - new
        self.cell.unclear |= not new.isdisjoint(UNCLEAR)

    def bind(self, name: str, made_of: Iterable[str] = (), reads: Iterable[str] = ()) -> None:
        self.bound.add(name)
        self.cell.binds[name] = self.cell.binds.get(name, set()) | set(reads)
        self.known.imported.discard(name)
        self.known.effects.pop(name, None)
        before = self.known.made_of.get(name, set()) if name in made_of else set()
        self.known.made_of[name] = before | set(made_of)

    def change(self, names: Iterable[str]) -> None:
        """These are changed, and with them what they were made of."""
        self.cell.changes |= self.with_parts(names) - self.bound  # what is new here matters to nobody by its old name

    def with_parts(self, names: Iterable[str]) -> set[str]:
        """These names, and those that their objects were made of."""
        found = list(names)
        for name in found:  # grows
            found += self.known.made_of.get(name, set()) - set(found)
        return set(found)

    def objects(self, node: ast.AST) -> set[str]:
        """The names in an expression that stand for something that can be changed, as modules and functions cannot."""
        return names_in(node) - self.known.imported - self.known.effects.keys() - self.built_in()

    def built_in(self) -> set[str]:
        """The names that are still Python's own."""
        return BUILTINS - self.known.made_of.keys()

    def store(self, target: ast.expr, made_of: set[str]) -> None:
        """A target gets a value that was made of these, or a part of it."""
        match target:
            case ast.Name(id=name):
                self.bind(name, made_of)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self.store(part, made_of)
            case ast.Starred(value=value):
                self.store(value, made_of)
            case ast.Attribute() | ast.Subscript():
                self.visit(target)
                for name in self.objects(target.value):
                    self.known.made_of.setdefault(name, set()).update(made_of - {name})

    # ------------------------------------------------------------------------------------------ statements

    def visit_Name(self, node: ast.Name) -> None:
        self.read({node.id})

    def visit_Attribute(self, node: ast.Attribute | ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self.change(self.objects(node.value) or names_in(node.value))

    visit_Subscript = visit_Attribute

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self.cell.unclear |= alias.name == "*"
            name = (alias.asname or alias.name).split(".")[0]
            self.bind(name)
            self.known.imported.add(name)

    visit_ImportFrom = visit_Import

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> None:
        if node.value is not None:
            self.visit(node.value)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.store(target, self.objects(node.value))

    visit_AnnAssign = visit_NamedExpr = visit_Assign

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.run([node.value, node.target])
        self.change(names_in(node.target))

    def visit_Delete(self, node: ast.Delete) -> None:
        self.generic_visit(node)
        self.cell.unclear |= any(isinstance(target, ast.Name) for target in node.targets)

    def visit_Global(self, node: ast.Global) -> None:
        self.change(node.names)

    def visit_Expr(self, node: ast.Expr) -> None:
        self.visit(node.value)
        if isinstance(node.value, ast.Call):
            self.call(node.value, dropped=True)

    # ------------------------------------------------------------------------------------------ branches and loops

    def branches(self, *bodies: Iterable[ast.AST]) -> None:
        """Each of these may run or not: what it binds may still be what it was before."""
        before = set(self.bound)
        for body in bodies:
            self.run(body)
            self.bound &= before

    def visit_If(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        self.branches(node.body, node.orelse)

    visit_While = visit_If

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        before = set(self.bound)
        self.store(node.target, self.objects(node.iter))
        self.branches(node.body, node.orelse)
        self.bound &= before

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars:
                self.store(item.optional_vars, self.objects(item.context_expr))
        self.run(node.body)

    def visit_Try(self, node: ast.Try) -> None:
        self.branches([*node.body, *node.orelse], node.handlers)
        self.run(node.finalbody)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bind(node.name)
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        self.generic_visit(node)
        self.cell.unclear = True

    # ------------------------------------------------------------------------------------------ calls

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        self.call(node, dropped=False)

    def call(self, node: ast.Call, dropped: bool) -> None:
        """A call changes what it was called for if its value is dropped, or if its name ends in `_`."""
        of, *path = dotted(node.func)
        name = path[-1] if path else of
        if of in HARMLESS or name in SEEDS:
            return
        given = [*node.args, *(word.value for word in node.keywords)]
        arguments = set().union(*map(self.objects, given))
        for function in {name} - set(path) | set().union(*map(names_in, given)):  # one that is given may be called
            effects = self.known.effects.get(function, set())
            self.change(effects - {ARGUMENTS} | (arguments if ARGUMENTS in effects else set()))
        if dropped or name.endswith("_"):
            method = path and of not in self.known.imported
            self.change(self.objects(node.func) if method else arguments or {of} & self.known.imported)

    # ------------------------------------------------------------------------------------------ scopes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.run(node.decorator_list)
        inner = self.inside(node.args, node.body)
        self.bind(node.name, reads=inner.reads - {node.name})
        self.known.effects[node.name] = inner.changes

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.run([*node.decorator_list, *node.bases, *(word.value for word in node.keywords)])
        inner = self.inside(None, node.body)
        self.bind(node.name, reads=inner.reads - {node.name})
        self.known.effects[node.name] = set()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.change(self.inside(node.args, [ast.Expr(node.body)]).changes - {ARGUMENTS})

    def inside(self, parameters: ast.arguments | None, body: list[ast.AST]) -> Cell:
        """What a body does to names outside of it, where a change of a parameter is one of ARGUMENTS."""
        reader = Reader(deepcopy(self.known))
        if parameters:
            self.run([*parameters.defaults, *filter(None, parameters.kw_defaults)])
            for name in names_of(parameters):
                reader.bind(name, made_of=[ARGUMENTS])
        reader.run(body)
        outside = {
            name for part in body for each in ast.walk(part) if isinstance(each, ast.Global) for name in each.names
        }
        local = reader.cell.binds.keys() - outside
        self.read(reader.cell.reads - local)
        self.cell.unclear |= reader.cell.unclear
        return Cell(reads=reader.cell.reads - local, changes=reader.cell.changes - local)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        reader = Reader(deepcopy(self.known))
        for loop in node.generators:
            reader.visit(loop.iter)
            reader.store(loop.target, reader.objects(loop.iter))
            reader.run(loop.ifs)
        reader.run([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self.read(reader.cell.reads)
        self.change(reader.cell.changes)

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp


def names_in(node: ast.AST) -> set[str]:
    """The names in an expression, without those that are its own, as of a comprehension or a lambda."""
    match node:
        case ast.Name(id=name):
            return {name}
        case ast.Lambda(args=parameters, body=body):
            return names_in(parameters) | names_in(body) - names_of(parameters)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            own = set().union(*(names_in(loop.target) for loop in node.generators))
            return names_in(node.generators[0].iter) | set().union(*map(names_in, ast.iter_child_nodes(node))) - own
    return set().union(*map(names_in, ast.iter_child_nodes(node)))


def names_of(parameters: ast.arguments) -> set[str]:
    """The names of a function's parameters."""
    return {each.arg for each in ast.walk(parameters) if isinstance(each, ast.arg)}


def dotted(function: ast.expr) -> list[str]:
    """`a.b.c` as its parts; the first is empty where it is no name, as in `a().c`."""
    match function:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=value, attr=attribute):
            return [*dotted(value), attribute]
    return [""]
