"""What all explorers share, in a real JupyterLab: the picture that stands where no kernel runs."""

import nbformat
from explorers import PICTURES

LAB = f"""from vit_tutorial.explore import PatchLab
{PICTURES}
lab = PatchLab(picture, 8)"""


def test_stored_output_is_a_picture_with_alt_text(explorer, open_notebook, servers):
    lab = explorer(LAB)
    output = next(output for output in lab.outputs() if "text/html" in output.get("data", {}))
    output.pop("cell")
    output["data"].pop("application/vnd.jupyter.widget-view+json")
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell("lab", outputs=[nbformat.from_dict(output)], execution_count=1)]
    nbformat.write(notebook, servers("light").root / "stored.ipynb")
    stored = open_notebook("stored.ipynb")
    image = stored.page.locator(".jp-OutputArea-output img")
    image.wait_for(state="visible", timeout=10_000)
    assert image.evaluate("image => image.naturalWidth") > 900
    assert image.get_attribute("alt").startswith("Patch size 8: 4 rows and 4 columns give 16 tokens")
