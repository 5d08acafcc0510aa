"""What lesson 11 promises, in a real JupyterLab: the stop button ends a training, and the same cell goes on with it."""

from lab import write_notebook

PREPARE = """from dataclasses import replace
from pathlib import Path
import torch
from vit_tutorial import plots
from vit_tutorial.datasets import load
from vit_tutorial.recipes import PRESETS
from vit_tutorial.training import fit
preset, data, live = PRESETS["cpu"], load("fashion_mnist"), plots.LiveCurves()
data = replace(data, train_images=data.train_images[:600], train_labels=data.train_labels[:600])
recipe, drawn = replace(preset.training, epochs=12, warmup_epochs=1), []
def on_epoch(history):
    drawn.append(history.epochs)
    live(history)"""
TRAIN = """model = preset.build(data)
history = fit(model, data, recipe, checkpoint=Path("runs/stopped"), on_epoch=on_epoch)"""
COMPARE = """whole = preset.build(data)
fit(whole, data, recipe, progress=False)
same = all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), whole.state_dict().values(), strict=True))
print("epochs of this cell:", *drawn)
print("same weights as a run never stopped:", same)"""


def test_the_stop_button_ends_a_training_and_the_same_cell_goes_on(open_notebook, server):
    write_notebook(server.root / "stop.ipynb", PREPARE, TRAIN, COMPARE)
    lab = open_notebook("stop.ipynb")
    lab.start_all()
    lab.page.locator("img[alt^='Curves over ']").wait_for(timeout=120_000)
    lab.page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    lab.page.get_by_text("stopped after epoch").first.wait_for(timeout=30_000)
    assert [error.split(":")[:2] for error in lab.errors()] == [["cell 1", " Stopped"]]
    assert lab.page.get_by_text("Traceback").count() == 0

    lab.page.wait_for_timeout(2000)  # what is asked right after an error, the kernel drops
    lab.run_all()
    assert lab.errors() == []
    said = [output["text"] for output in lab.outputs() if output["cell"] == 2]
    epochs, same = "".join(said).splitlines()
    finished = [int(word) for word in epochs.split(":")[1].split()]
    assert finished == list(range(finished[0], 13))
    assert finished[0] > 1, "the second run began afresh"
    assert same == "same weights as a run never stopped: True"
