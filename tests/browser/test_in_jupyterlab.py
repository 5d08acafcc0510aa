"""What only JupyterLab can show of the explorers: all of them in one notebook, with a kernel behind them."""

import nbformat
from explorers import NOISE, PICTURE, PICTURES, assert_kernel_says, check_named_and_readable, kernel_says, words
from lab import write_notebook

from vit_tutorial import explore
from vit_tutorial.explore.base import Explorer

PREPARE = f"""import torch
from vit_tutorial import load_model
from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.explore import *
{PICTURES}
def trained():
    return load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
def small_pair():
    from vit_tutorial import ViT, ViTConfig
    from vit_tutorial.cnn import CNN, CNNConfig
    cnn = CNN(CNNConfig(28, 1, 10, layers=(1, 1), width=4, stem="3x3"))
    return cnn, ViT(ViTConfig(28, 4, 1, 10, dim=8, depth=2, num_heads=2))
maps = np.full((2, 3, 50, 50), 0.02)
pictures = torch.from_numpy(np.stack([small[None]] * 3))
features = np.random.default_rng(0).normal(size=(9, 6))
labs = []
def show(lab):
    labs.append(lab)
    return lab"""
EXPLORERS = {  # what makes each, and a change from code
    "PatchLab": ("PatchLab({'one': picture, 'two': small}, 8)", "picture='two'"),
    "TokenTable": ("TokenTable(trained(), small)", "stage=2"),
    "PositionLab": ("PositionLab(trained(), {'noise': small})", "grid=8"),
    "AttentionLab": ("AttentionLab(small, maps, 7, scores=np.log(maps))", "layer=0"),
    "AttentionPlane": ("AttentionPlane()", "mask='causal'"),
    "HeadsGallery": ("HeadsGallery(trained(), small)", "layer=2"),
    "LensLab": ("LensLab(trained(), {'one': small, 'two': small.T})", "exchange='all patches'"),
    "ReachLab": ("ReachLab(small_pair(), small)", "stage=2"),
    "ProbeLab": ("ProbeLab({'a': features, 'b': -features}, [small] * 9, [0, 1, 0] * 3, 4, 'ab')", "stage='b'"),
    "SignalLab": ("SignalLab(depth=6)", "norm='post'"),
    "SketchLab": ("SketchLab(trained(), {'one': small}, drawing='one')", "drawing='nothing'"),
    "ModelMap": ("ModelMap(trained(), small)", "box='attn'"),
    "TrainingTimeline": ("TrainingTimeline({0: trained(), 1: trained()}, pictures, 'abc', [0.5])", "picture='c'"),
}


def test_no_explorer_is_forgotten():
    exported = [getattr(explore, name) for name in explore.__all__]
    labs = {each.__name__ for each in exported if isinstance(each, type) and issubclass(each, Explorer)}
    assert set(EXPLORERS) == labs, "EXPLORERS has one line for each explorer: what makes it, and a change from code"


def wait_for_other_words(lab, number, before):
    lab.page.wait_for_function(
        "([canvas, number, old]) => document.querySelectorAll(canvas)[number].getAttribute('aria-label') !== old",
        arg=[PICTURE, number, before],
    )


def check_lives(lab, theme, number, trait, values):
    """It has names and colours; a key reaches it and not JupyterLab; page and kernel agree after keys and code.

    The code sets that of two values which the keys have not set already.
    """
    page, canvas = lab.page, lab.page.locator(PICTURE).nth(number)
    canvas.scroll_into_view_if_needed()
    check_named_and_readable(lab, theme, number)
    before = words(lab, number)
    assert_kernel_says(lab, f"labs[{number}].words()", before)
    canvas.focus()
    page.keyboard.press("ArrowDown")
    if words(lab, number) == before:
        page.keyboard.press("ArrowRight")
    wait_for_other_words(lab, number, before)
    page.keyboard.type("bd")  # to JupyterLab: a new cell, and half of deleting one
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application", number
    assert_kernel_says(lab, f"labs[{number}].words()", said := words(lab, number))
    now = kernel_says(lab, f"repr(labs[{number}].{trait})")
    value = next(value for value in values if value != now)
    told = kernel_says(lab, f"setattr(labs[{number}], {trait!r}, {value}) or labs[{number}].words()")
    wait_for_other_words(lab, number, said)
    assert words(lab, number) == told


def test_all_explorers_live_in_one_notebook(open_notebook, server):
    """In a light JupyterLab, and when it has become a dark one."""
    codes = [f"show({code})" for code, _ in EXPLORERS.values()]
    write_notebook(server.root / "all.ipynb", PREPARE, *codes)
    lab = open_notebook("all.ipynb")
    lab.run_all(240)
    page = lab.page
    page.wait_for_function(f"document.querySelectorAll('{PICTURE}').length === {len(EXPLORERS)}", timeout=60_000)
    cells = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length")
    changes = [change.split("=") for _, change in EXPLORERS.values()]
    opening = [kernel_says(lab, f"repr(labs[{number}].{trait})") for number, (trait, _) in enumerate(changes)]
    for number, (trait, value) in enumerate(changes):
        check_lives(lab, "light", number, trait, (value, opening[number]))
    lab.wear("dark")
    for number, (trait, value) in enumerate(changes):
        check_lives(lab, "dark", number, trait, (value, opening[number]))
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.length") == cells
    assert lab.errors() == []
    assert lab.broken_widgets() == []
    assert lab.console_errors == []
    assert lab.foreign_requests == []


def test_an_explorer_outlives_an_error_and_a_restart(open_notebook, server):
    write_notebook(
        server.root / "impossible.ipynb",
        PREPARE,
        "lab = PatchLab({'one': picture, 'two': small}, 8)\nlab",
        "lab.patch_size = 5",
    )
    lab = open_notebook("impossible.ipynb")
    lab.run_all(120)
    assert lab.errors() == [
        "cell 2: ChoiceError: patch_size 5 is not among 1, 2, 4, 8, 16, 32, the sizes that divide 32x32"
    ]
    assert words(lab).startswith("Patch size 8:")
    kernel_says(lab, "setattr(lab, 'picture', 'two')")
    lab.page.wait_for_function(
        f"document.querySelector('{PICTURE}').getAttribute('aria-label').startsWith('Patch size 7:')"
    )
    lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.deleteCell(2)")
    lab.run_all(120)
    lab.page.locator(PICTURE).wait_for(state="visible")
    assert words(lab).startswith("Patch size 8:")
    lab.page.locator(PICTURE).press("End")
    assert_kernel_says(lab, "lab.token", "15")
    assert lab.errors() == []
    assert lab.broken_widgets() == []
    assert lab.console_errors == []


def test_a_cell_that_runs_again_closes_its_last_explorer_and_no_other(open_notebook, server):
    kept = "labs = labs if 'labs' in globals() else []"
    codes = [kept, "show(HeadsGallery(trained(), small))", "show(PatchLab(small, 7))"]
    write_notebook(server.root / "again.ipynb", PREPARE.replace("labs = []", ""), *codes)
    lab = open_notebook("again.ipynb")
    for _ in range(3):
        lab.run_all(120)
    assert_kernel_says(lab, "[number for number, lab in enumerate(labs) if '(closed)' not in repr(lab)]", "[4, 5]")
    assert lab.page.locator(PICTURE).count() == 2
    assert words(lab, 1).startswith("Patch size 7:")
    assert lab.errors() == []
    assert lab.broken_widgets() == []
    assert lab.console_errors == []


def test_explorers_are_ipywidgets_that_can_be_joined(open_notebook, server):
    write_notebook(
        server.root / "joined.ipynb",
        PREPARE,
        "from ipywidgets import HBox, jslink\nlabs = [LensLab(trained(), small) for _ in range(2)]",
        "jslink((labs[0], 'block'), (labs[1], 'block'))\nHBox(labs)",
    )
    lab = open_notebook("joined.ipynb")
    lab.run_all(120)
    lab.page.locator(PICTURE).nth(1).wait_for(state="visible")
    for pressed, other in ((0, 1), (1, 0)):
        before = words(lab, other)
        lab.page.locator(PICTURE).nth(pressed).press("PageUp")
        wait_for_other_words(lab, other, before)
        assert words(lab, other) == words(lab, pressed)
    assert lab.errors() == []
    assert lab.console_errors == []


def test_stored_output_is_a_picture_with_alt_text(open_notebook, server):
    lab = explore.PatchLab(NOISE, 8)
    data, _ = lab._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", execution_count=1, data={"text/html": data["text/html"]})
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell("lab", outputs=[output], execution_count=1)]
    nbformat.write(notebook, server.root / "stored.ipynb")
    image = open_notebook("stored.ipynb").page.locator(".jp-OutputArea-output img")
    image.wait_for(state="visible")
    assert image.evaluate("image => image.naturalWidth") > 900
    assert image.get_attribute("alt").startswith("Patch size 8: 4 rows and 4 columns give 16 patches")
