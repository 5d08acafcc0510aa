"""Run every lesson as a hosted notebook would: an opened .ipynb, without the course, its folder or Jupyter's variables.

    python tests/benchmarks/bench_elsewhere.py PYTHON [NAME ...]

PYTHON is the interpreter of an environment with torch, ipykernel and ipywidgets, in the versions that a host has, and
without the course. Each lesson is copied into an empty folder and run from top to bottom; its set-up cell gets the
course from this clone's last commit, and by pip what else is missing. Printed are, for each lesson, seconds, errors,
the explorers that came with a widget and with a still picture, and whether a progress bar was seen. The versions that
the host had before must be there afterwards.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
TOLD_BY_FRONT_ENDS = ("JPY_", "VSCODE_", "COLAB_", "VIT_TUTORIAL_", "PYTHONPATH")
WIDGET = "application/vnd.jupyter.widget-view+json"
KEPT = ("numpy", "torch", "ipykernel", "ipywidgets", "jupyterlab")


class HostKernel(AsyncKernelManager):
    """The kernel of the host's Python, in place of this one's."""

    python = sys.executable

    @property
    def kernel_spec(self):
        return KernelSpec(
            argv=[self.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="host",
            language="python",
        )


def versions(python: str) -> dict[str, str | None]:
    """The versions of what a host must keep."""
    code = (
        "import json; from importlib.metadata import distributions\n"
        "there = {one.name.lower(): one.version for one in distributions()}\n"
        f"print(json.dumps([there.get(name) for name in {KEPT}]))"
    )
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return dict(zip(KEPT, json.loads(said), strict=True))


def run(path: Path, environment: dict[str, str]) -> str:
    """Run one lesson in an empty folder; say how it went."""
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook, timeout=1200, kernel_manager_class=HostKernel, resources=resources, allow_errors=True
        )
        client.execute(env=environment)
        made = sorted(file.name for file in Path(folder).iterdir())
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    errors = [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]
    shown = [output.data for output in outputs if "data" in output]
    live = sum(WIDGET in data for data in shown)
    still = sum(WIDGET in data and "image/png" in data.get("text/html", "") for data in shown)
    bars = any("%|" in output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs)
    figures = sum("data:image/svg+xml" in data.get("text/html", "") for data in shown)
    words = f"{live} widgets, {still} of them with a still picture, {figures} figures, bar {'seen' if bars else 'none'}"
    return f"{path.stem}: {time.perf_counter() - started:.0f} s, {words}, made {made}, errors {errors}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="the host's interpreter")
    parser.add_argument("names", nargs="*", metavar="NAME", help="for example 01_patches (default: all)")
    options = parser.parse_args()
    HostKernel.python = str(Path(options.python).absolute())
    environment = {name: value for name, value in os.environ.items() if not name.startswith(TOLD_BY_FRONT_ENDS)}
    before = versions(HostKernel.python)
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "course.git")
        subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, bare], check=True)
        environment["VIT_TUTORIAL_REPOSITORY"] = f"file://{bare}"
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            if not options.names or path.stem in options.names:
                print(run(path, environment), flush=True)
        shutil.rmtree(bare)
    after = versions(HostKernel.python)
    print("the host kept its own:", before == after, after)


if __name__ == "__main__":
    main()
