"""The house rules: the model reads in one direction, imports little, and says of each part what it is."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

import vit_tutorial

FOLDER = Path(vit_tutorial.__file__).parent
CONCEPTS = ["patches", "tokens", "positions", "attention", "encoder", "hybrid", "vit", "cnn"]  # in reading order
MODEL_FILES = ["inputs", *CONCEPTS]  # what all of them ask of what they are given, and then one concept a file
FURTHER = {"torch", "einops", "jaxtyping"}
LATER = {("vit", "vit_tutorial.pretrained")}  # imported inside ViT.from_pretrained, when it is called
PUBLIC = {name: getattr(vit_tutorial, name) for name in vit_tutorial.__all__}


def imports(module):
    """Every module that a file imports, or a file of a folder, at its top or inside a function."""
    for path in sorted((FOLDER / module).glob("*.py")) or [FOLDER / f"{module}.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: write imports in full"
                yield node.module


@pytest.mark.parametrize("module", MODEL_FILES)
def test_the_model_imports_little_and_only_what_was_read_before(module):
    earlier = {f"vit_tutorial.{name}" for name in MODEL_FILES[: MODEL_FILES.index(module)]}
    for name in imports(module):
        top, later = name.split(".")[0], (module, name) in LATER
        known = name in earlier or top in FURTHER or top in sys.stdlib_module_names
        assert known or later, f"{module}.py imports {name}"


def test_a_module_of_the_model_is_imported_later_only_where_it_is_said():
    later = set()
    for module in MODEL_FILES:
        tree = ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))
        top = {node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
        inside = {node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)} - top
        later |= {(module, node.module) for node in inside}
    assert later == LATER


@pytest.mark.parametrize(
    ("module", "more"),
    [
        (
            "introspection",
            {"vit_tutorial.support.meta", "vit_tutorial.support.usual", "vit_tutorial.support.wrapped"},
        ),
        (
            "weights",
            {
                "vit_tutorial.support.files",
                "vit_tutorial.support.meta",
                "vit_tutorial.support.normalizing",
                "vit_tutorial.support.paths",
                "vit_tutorial.support.pictures",
                "vit_tutorial.support.wrapped",
                "safetensors",
                "numpy",
            },
        ),
        ("pretrained", {"vit_tutorial.support.meta", "vit_tutorial.weights", "torchvision", "timm", "huggingface_hub"}),
    ],
)
def test_what_stands_around_the_model_imports_the_model_and_little_more(module, more):
    allowed = {f"vit_tutorial.{name}" for name in MODEL_FILES} | more
    for name in imports(module):
        top, own = name.split(".")[0], name.startswith(f"vit_tutorial.{module}.")
        known = name in allowed or own or top in FURTHER | more
        assert known or top in sys.stdlib_module_names, f"{module} imports {name}"


def test_importing_the_package_loads_little_beside_torch():
    """Told by the names of what it adds to `import torch`, which are the same on every machine; seconds are not."""
    code = "import sys, torch; before = set(sys.modules); import vit_tutorial; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    others = {name.split(".")[0] for name in loaded} - {"vit_tutorial", *sys.stdlib_module_names}
    assert others <= {"numpy", "einops", "jaxtyping", "wadler_lindig", "safetensors"}  # the last but one is jaxtyping's
    ours = {name.split(".")[1] for name in loaded if name.startswith("vit_tutorial.")}
    assert ours == {*MODEL_FILES, "weights", "pretrained", "introspection", "support"}


def test_loading_a_model_does_not_load_pytorchs_compiler():
    """It takes longer to load than the model; PyTorch wants it to draw normal numbers that are thrown away."""
    path = FOLDER.parent / "data" / "vit_fashion_mnist.safetensors"
    code = f"""
import sys
from vit_tutorial import load_model

load_model({str(path)!r})
print("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def floors():
    """The layers of import-linter's contract, the lowest first, each a set of names."""
    with open(FOLDER.parent / "pyproject.toml", "rb") as file:
        contract = tomllib.load(file)["tool"]["importlinter"]["contracts"][0]
    assert contract["exhaustive"]
    return [set(re.findall(r"\w+", layer)) for layer in reversed(contract["layers"])], contract["ignore_imports"]


def test_every_module_has_its_floor():
    """`make test` runs import-linter, which refuses an import that goes up; here no module escapes its contract."""
    found, ignored = floors()
    there = {path.stem for path in FOLDER.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    listed = [name for floor in found for name in floor]
    assert there - {"__init__"} <= set(listed)
    assert len(listed) == len(set(listed))
    assert ignored == [f"vit_tutorial.{module} -> {name}" for module, name in LATER]
    height = {name: number for number, floor in enumerate(found) for name in floor}
    assert (
        height["support"]
        < height["datasets"]
        < height["inputs"]
        < height["patches"]
        < height["encoder"]
        < height["vit"]
    )
    assert height["vit"] < height["weights"] < height["pretrained"] < height["training"] < height["train"]


def test_no_module_imports_the_whole_package():
    """That would be a way round the floors: the package imports the model, its weights and more."""
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                assert "vit_tutorial" not in names, path
            elif getattr(node, "module", None) == "vit_tutorial":
                assert all((FOLDER / f"{name}.py").exists() or (FOLDER / name).is_dir() for name in names), path


def test_the_model_files_are_a_page_or_two():
    for module in MODEL_FILES:
        assert len((FOLDER / f"{module}.py").read_text(encoding="utf-8").splitlines()) < 260, module


def test_the_list_of_public_names_is_sorted_and_whole():
    assert len(set(vit_tutorial.__all__)) == len(vit_tutorial.__all__)
    imported = {
        alias.asname or alias.name
        for node in ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(vit_tutorial.__all__) == imported


# ---------------------------------------------------------------------------------------------- docstrings


def takes_or_gives_tensors(thing):
    if inspect.isclass(thing):
        return issubclass(thing, nn.Module)
    annotations = inspect.get_annotations(thing).values()
    return any("Tensor" in str(annotation) or annotation is torch.Tensor for annotation in annotations)


def raises(thing):
    return any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(inspect.getsource(thing))))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_says_what_it_is(name):
    thing = PUBLIC[name]
    assert thing.__doc__, "no docstring"
    assert not thing.__doc__.startswith(f"{name}("), "the docstring that Python made up for a dataclass"
    first = thing.__doc__.splitlines()[0]
    assert first.endswith("."), "the first line is one sentence"
    assert len(first) <= 120


@pytest.mark.parametrize("name", [name for name in PUBLIC if takes_or_gives_tensors(PUBLIC[name])])
def test_every_computation_gives_its_shapes(name):
    if name not in ("count_parameters", "load_weights", "save_model", "load_model"):
        assert "Shapes: " in PUBLIC[name].__doc__
        assert "->" in PUBLIC[name].__doc__


@pytest.mark.parametrize("name", [name for name in PUBLIC if raises(PUBLIC[name])])
def test_what_can_go_wrong_is_written_down(name):
    assert "aises " in PUBLIC[name].__doc__


@pytest.mark.parametrize("module", [*CONCEPTS, "introspection"])
def test_every_model_file_names_its_source(module):
    doc = ast.get_docstring(ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8")))
    assert "Source" in doc
    assert "Dosovitskiy et al. 2021" in doc


@pytest.mark.parametrize("name", [name for name in PUBLIC if PUBLIC[name].__module__.split(".")[1] in MODEL_FILES])
def test_every_building_block_names_its_source(name):
    if name not in ("unpatchify", "ViTConfig"):  # the inverse of a sourced function; a list of settings
        assert "Source: " in PUBLIC[name].__doc__


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isclass(PUBLIC[name])])
def test_public_methods_say_what_they_do(name):
    for method, function in vars(PUBLIC[name]).items():
        if not method.startswith("_") and callable(getattr(function, "__func__", function)):
            if method in ("forward", "extra_repr"):  # nn.Module's; the class says what it computes
                continue
            assert getattr(function, "__doc__", None), f"{name}.{method}"
