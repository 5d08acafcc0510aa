"""notebooks/build.py makes the same notebook twice, and refuses every kind of bad one.

A kernel takes seconds to start, so the tests share what kernels have said wherever a kernel is not what they are about.
"""

import json
import re
import shutil

import jupytext
import nbformat
import pytest

pytestmark = pytest.mark.slow

GOOD = """
# %% tags=["exercise"]
def double(x):
    ...


# %% tags=["solution"] jupyter={"source_hidden": true}
def double(x):
    return 2 * x


# %%
import ipywidgets

for i in range(3):
    print(i, flush=True)
ipywidgets.IntSlider(3)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def read(folder, name="00_lesson"):
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


def change(folder, edit, name="00_lesson"):
    """Edit a built notebook as plain JSON."""
    path = folder / f"{name}.ipynb"
    notebook = json.loads(path.read_text())
    edit(notebook)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
    """A folder with the good notebook, built once for all tests that only look at it or change a copy."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "source").mkdir()
    (folder / "source" / "00_lesson.py").write_text(f"# %% [markdown]\n# # A lesson\n\n{GOOD}\n")
    assert build.main([], folder) == 0
    return folder


@pytest.fixture(scope="module")
def outputs(build, tmp_path_factory):
    """What each cell below prints or shows, as {source: outputs}, all of them run by one kernel."""
    cells = [cell.source for text in [PICTURE, *REFUSED_OUTPUTS] for cell in cells_of(text)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    build.execute(notebook, tmp_path_factory.mktemp("outputs"))
    return {cell.source: cell.outputs for cell in notebook.cells}


@pytest.fixture
def without_kernel(build, monkeypatch):
    """Return a function that lets builds number their cells, and take outputs as another notebook had them."""

    def replay(outputs=None):
        def execute(notebook, folder):
            for number, cell in build.numbered_code_cells(notebook):
                cell.execution_count, cell.outputs = number, nbformat.from_dict((outputs or {}).get(cell.source, []))

        monkeypatch.setattr(build, "execute", execute)

    return replay


def cells_of(text):
    return [cell for cell in jupytext.reads(text, fmt="py:percent").cells if cell.cell_type == "code"]


def test_a_good_notebook_is_built_executed_and_agrees_with_its_source(build, built):
    folder = built
    assert build.main(["--check"], folder) == 0
    notebook = read(folder)
    nbformat.validate(notebook)
    exercise, solution, last = code_cells(notebook)
    assert [cell.execution_count for cell in (exercise, solution, last)] == [1, 2, 3]
    assert exercise.metadata == {"tags": ["exercise"]}
    assert solution.metadata == {"tags": ["solution"], "jupyter": {"source_hidden": True}}
    assert [output.output_type for output in last.outputs] == ["stream", "execute_result"]
    assert last.outputs[0].text == "0\n1\n2\n"
    assert last.outputs[1].data == {"text/plain": "IntSlider(value=3)"}
    assert "widgets" not in notebook.metadata
    assert "version" not in notebook.metadata.language_info
    assert [path.name for path in folder.iterdir() if path.name != "source"] == ["00_lesson.ipynb"]


def test_two_builds_write_the_same_bytes(build, built, write_source, folder):
    write_source(GOOD)
    build.main([], folder)
    content = (folder / "00_lesson.ipynb").read_bytes()
    assert content == (built / "00_lesson.ipynb").read_bytes()
    assert content.endswith(b"}\n")


PICTURE = """# %%
from IPython.display import display

view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
display({"text/plain": "an explorer", "image/png": "AAAA", **view}, raw=True)
"""


def test_a_static_picture_stays_where_a_widget_stood(build, write_source, folder, without_kernel, outputs):
    assert "application/vnd.jupyter.widget-view+json" in outputs[cells_of(PICTURE)[0].source][0].data
    without_kernel(outputs)
    write_source(PICTURE)
    assert build.main([], folder) == 0
    assert code_cells(read(folder))[0].outputs[0].data == {"text/plain": "an explorer", "image/png": "AAAA"}


def test_a_notebook_runs_in_its_folder_without_what_the_learner_has_done(build, write_source, folder, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(folder / "progress.json"))
    monkeypatch.setenv("MINE", "kept")
    (folder / "words.txt").write_text("found")
    (folder / "runs").mkdir()
    (folder / "runs" / "mine.txt").write_text("mine")
    (folder / ".01_other.ipynb.1.tmp").touch()  # what another build is just writing
    write_source(
        """# %%
import os
from pathlib import Path

print(Path("words.txt").read_text(), Path("runs").exists(), Path("..", Path.cwd().name).exists())
Path("runs").mkdir()
print(Path("runs/mine.txt").write_text("the build's"))
print([os.environ["VIT_TUTORIAL_PROGRESS"], os.environ["MINE"]], list(Path().glob(".*")))
"""
    )
    assert build.main([], folder) == 0
    assert code_cells(read(folder))[0].outputs[0].text == "found False True\n11\n['', 'kept'] []\n"
    assert (folder / "runs" / "mine.txt").read_text() == "mine"
    assert not list(folder.parent.glob(".build-*"))


def test_navigation_leads_to_the_lessons_before_and_after(build, write_source, folder, without_kernel):
    without_kernel()
    for name, title in (("00_a", "First"), ("01_b", "Second"), ("02_c", "Third")):
        write_source("# %%\nprint(1)", name, title)
    assert build.main([], folder) == 0
    line = "[← First](00_a.ipynb) | [Third →](02_c.ipynb)"
    assert [cell.source for cell in (read(folder, "01_b").cells[0], read(folder, "01_b").cells[-1])] == [line, line]
    assert read(folder, "00_a").cells[0].source == "[Second →](01_b.ipynb)"
    assert read(folder, "02_c").cells[-1].source == "[← Second](01_b.ipynb)"
    write_source("# %%\nprint(1)", "03_d", "Fourth")
    assert build.main(["--check", "02_c"], folder) == 1


def test_the_code_of_an_extra_is_folded_and_its_text_is_not(build, write_source):
    path = write_source(
        '# %% [markdown] tags=["extra"]\n# *Extra.*\n\n# %% tags=["extra", "claim-X"]\nx = 1\n\n# %%\ny = 2'
    )
    text, extra, open_cell = build.read_source(path, [path]).cells[1:]
    assert text.metadata == {"tags": ["extra"]}
    assert extra.metadata == {"tags": ["extra", "claim-X"], "jupyter": {"source_hidden": True}}
    assert open_cell.metadata == {}


def test_ids_survive_a_change_elsewhere(build, write_source, folder):
    path = write_source("# %%\nprint(1)\n\n# %%\nprint(1)\n\n# %%\nprint(3)")
    before = [cell.id for cell in build.read_source(path, [path]).cells]
    write_source("# %%\nprint(0)\n\n# %%\nprint(1)\n\n# %%\nprint(1)\n\n# %%\nprint(3)")
    after = [cell.id for cell in build.read_source(path, [path]).cells]
    assert after[:1] + after[2:] == before
    assert len(set(after)) == len(after) == 5


REFUSED_OUTPUTS = {
    "# %%\nimport sys\n\nprint('careful', file=sys.stderr)": "code cell 1 writes to stderr: careful",
    "# %%\nimport warnings\n\nwarnings.warn('old')": "code cell 1 writes to stderr",
    "# %%\nprint('/home/ann/course/x.py')": "code cell 1 shows a path of this machine: /home/ann/course/x.py",
    "# %%\nprint('file:///tmp/x')": "code cell 1 shows a path of this machine",
    "# %%\nimport ipywidgets\n\nprint(ipywidgets.__file__)": "code cell 1 shows a path of this machine",
    "# %%\nfrom pathlib import Path\n\nPath.cwd()": "code cell 1 shows a path of this machine",
    "# %%\nobject()": "code cell 1 shows an object's address",
    "# %%\nprint(('x' * 99 + '\\n') * 21_000)": "it is 2.3 MB large, more than 2; draw smaller pictures",
}
REFUSED_SOURCES = {
    "# %% [markdown]\n# Look into /root/course/x.": "a cell's text names a path of this machine: /root/course/x.",
    "# %%\n\n# %%\nprint(1)": "code cell 1 is empty",
    '# %% tags=["solution"]\nx = 1': "code cell 1 is a solution that lies open",
    '# %% tags=["exercise"] jupyter={"source_hidden": true}\nx = 1': "code cell 1 is an exercise that is folded",
}
REFUSED_RUNS = {
    "# %%\nprint(1)\n\n# %%\n1 / 0": "code cell 2 fails with ZeroDivisionError: division by zero",
    "# %%\nimport os\n\nos._exit(1)": "the kernel died",
    "# %%\nwhile True:\n    pass": "a cell ran for more than 1 s",
}


def assert_refused(build, write_source, folder, capfd, cells, sentence):
    (folder / "00_lesson.ipynb").write_text("as it was")
    write_source(cells)
    assert build.main([], folder) == 1
    said = capfd.readouterr().err
    assert re.search(rf"^00_lesson: refused: .*{re.escape(sentence)}", said, re.MULTILINE)
    assert "Traceback" not in said
    assert (folder / "00_lesson.ipynb").read_text() == "as it was"
    assert sorted(path.name for path in folder.iterdir()) == ["00_lesson.ipynb", "source"]


@pytest.mark.parametrize(("cells", "sentence"), REFUSED_RUNS.items())
def test_a_notebook_that_fails_is_refused_and_the_old_one_stays(
    build, write_source, folder, capfd, monkeypatch, cells, sentence
):
    if "while True" in cells:
        monkeypatch.setattr(build, "SECONDS_PER_CELL", 1)
    assert_refused(build, write_source, folder, capfd, cells, sentence)


@pytest.mark.parametrize(("cells", "sentence"), [*REFUSED_OUTPUTS.items(), *REFUSED_SOURCES.items()])
def test_a_bad_notebook_is_refused_and_the_old_one_stays(
    build, write_source, folder, capfd, without_kernel, outputs, cells, sentence
):
    without_kernel(outputs)
    assert_refused(build, write_source, folder, capfd, cells, sentence)


def test_a_build_that_cannot_write_the_states_leaves_the_old_notebook(
    build, write_source, folder, without_kernel, monkeypatch
):
    path = folder / "00_lesson.ipynb"
    path.write_text("as it was")
    write_source("# %%\nprint(1)")
    without_kernel()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(build.states, "write", fail)
    with pytest.raises(OSError, match="the disk is full"):
        build.main([], folder)
    assert path.read_text() == "as it was"


def test_one_bad_notebook_does_not_keep_the_others_from_being_built(build, write_source, folder, without_kernel):
    without_kernel()
    write_source('# %% tags=["solution"]\nx = 1', "00_bad")
    write_source("# %%\nprint(1)", "01_good")
    assert build.main([], folder) == 1
    assert not (folder / "00_bad.ipynb").exists()
    assert read(folder, "01_good").cells


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# %%\nprint(1)\n", "has no title"),
        (
            "# ---\n# jupyter:\n#   kernelspec:\n#     name: x\n# ---\n# %% [markdown]\n# # T\n",
            "not describe a notebook",
        ),
    ],
)
def test_a_source_that_is_no_lesson_is_refused(build, write_source, folder, capfd, text, sentence):
    write_source("").write_text(text)
    (folder / "source" / "01_next.py").write_text("# %% [markdown]\n# # Next\n")
    assert build.main(["00_lesson" if "T" in text else "01_next"], folder) == 1
    assert sentence in capfd.readouterr().err


def test_an_unknown_name_is_refused(build, write_source, folder, capfd):
    write_source("")
    assert build.main(["01_patch"], folder) == 1
    assert capfd.readouterr().err == "no source for 01_patch; there are: 00_lesson\n"


def set_count(notebook):
    code_cells(notebook)[1]["execution_count"] = None


def add_error(notebook):
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    code_cells(notebook)[0]["outputs"].append(error)


def add_stderr(notebook):
    code_cells(notebook)[0]["outputs"].append({"output_type": "stream", "name": "stderr", "text": ["oh\n"]})


def add_view(notebook):
    code_cells(notebook)[2]["outputs"][1]["data"]["application/vnd.jupyter.widget-view+json"] = {"model_id": "1"}


def add_widget_state(notebook):
    notebook["metadata"]["widgets"] = {}


def add_version(notebook):
    notebook["metadata"]["language_info"]["version"] = "3.11.7"


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (set_count, "code cell 2 carries the execution count None"),
        (add_error, "code cell 1 ends in an error"),
        (add_stderr, "code cell 1 writes to stderr: oh"),
        (add_view, "code cell 3 holds a widget view"),
        (add_widget_state, "metadata are not the ones"),
        (add_version, "metadata are not the ones"),
        (lambda notebook: notebook["cells"].pop(), "differs from its source"),
        (lambda notebook: notebook["cells"].reverse(), "differs from its source"),
        (lambda notebook: code_cells(notebook)[1]["source"].append("# more"), "differs from its source"),
        (lambda notebook: code_cells(notebook)[1]["metadata"].pop("tags"), "differs from its source"),
        (lambda notebook: notebook["cells"][0].update(id="other"), "differs from its source"),
        (lambda notebook: notebook.update(nbformat_minor=4), "was saved by another program"),
        (lambda notebook: notebook.update(more=1), "was saved by another program"),
        (lambda notebook: notebook.clear(), "is not a notebook any more"),
    ],
)
def test_check_sees_what_was_changed_after_the_build(build, built, folder, capfd, edit, sentence):
    shutil.copytree(built, folder, dirs_exist_ok=True)
    change(folder, lambda notebook: None)
    assert build.main(["--check"], folder) == 0
    change(folder, edit)
    assert build.main(["--check"], folder) == 1
    assert sentence in capfd.readouterr().err


def test_check_sees_missing_and_orphaned_notebooks(build, write_source, folder, capfd):
    write_source(GOOD)
    (folder / "05_gone.ipynb").write_text("{}")
    assert build.main(["--check"], folder) == 1
    said = capfd.readouterr().err
    assert "00_lesson: refused: not built yet" in said
    assert "05_gone: refused: the notebook has no source" in said
