"""The first cell of every notebook does nothing at home; elsewhere it gets the course, and leaves the host as it is."""

import importlib.util
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import IPython.display
import nbformat
import pytest

from vit_tutorial.support import paths

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
CODE = (NOTEBOOKS / "source" / "set_up.py").read_text()
ADDRESS = "https://example.org/course"
NEEDS = ["torch<3,>=2.9", "numpy>=2.1", "einops<0.9,>=0.8", "jupyterlab>=4", "ipykernel<7", 'timm>=1; extra == "test"']


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host without the course, that has old torch and numpy; the lines that pip gets there are kept in `.asked`."""

    host = SimpleNamespace(asked=[], constraints=[], fails="")
    host.there = {"torch": "2.8.0+cu126", "numpy": "2.0.2", "ipykernel": "6.17.1"}

    def pip(command, **options):
        host.asked.append(command[4:])
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        host.constraints += [Path(word).read_text() for word in command if word.endswith("as_it_is.txt")]
        return subprocess.CompletedProcess(command, int(bool(host.fails)), "", host.fails)

    def version(name):
        if name not in host.there:
            raise metadata.PackageNotFoundError(name)
        return host.there[name]

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vit_tutorial" else find(name))
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda name: NEEDS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("VIT_TUTORIAL_REPOSITORY", raising=False)
    monkeypatch.chdir(tmp_path)
    return host


def run(code=CODE, address=""):
    names = {"__name__": "__main__"}
    exec(compile(code.replace('REPOSITORY = ""', f"REPOSITORY = {address!r}"), "set_up", "exec"), names)
    return set(names) - {"__name__", "__builtins__"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_notebook_begins_with_it_folded_and_it_prints_nothing_at_home(path):
    first, *others = nbformat.read(path, as_version=4).cells
    assert first.cell_type == "code"
    assert first.metadata["tags"] == ["set-up"]
    assert first.metadata["jupyter"] == {"source_hidden": True}
    assert first.outputs == []
    assert all("set-up" not in cell.metadata.get("tags", []) for cell in others)
    figures = {file.name for file in (NOTEBOOKS / "figures").iterdir()}
    shown = {name for name in figures if any(f"(figures/{name})" in cell.source for cell in others)}
    assert {name for name in figures if f'"{name}": "' in first.source} == shown


def test_at_home_nothing_happens_and_no_name_stays(monkeypatch, capsys):
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.setattr(subprocess, "run", None)
    assert run(address=ADDRESS) == set()
    assert capsys.readouterr() == ("", "")


def test_elsewhere_the_course_is_got_and_what_is_missing_and_the_host_keeps_its_own(host, capsys):
    assert run(address=ADDRESS) == set()
    course, missing = host.asked
    assert course == ["--quiet", "--no-deps", f"git+{ADDRESS}"]
    assert missing[:2] == ["--quiet", "--constraint"]
    assert missing[3:] == ["einops<0.9,>=0.8"]
    assert host.constraints == ["torch==2.8.0+cu126\nnumpy==2.0.2\nipykernel==6.17.1"]
    assert capsys.readouterr().out == "the course is installed, and what it needs\n"


def test_where_nothing_is_missing_only_the_course_is_got(host):
    host.there = host.there | {"einops": "0.8.1"}
    run(address=ADDRESS)
    assert len(host.asked) == 1


def test_the_environment_may_name_another_address(host, monkeypatch):
    monkeypatch.setenv("VIT_TUTORIAL_REPOSITORY", "file:///mine")
    run(address=ADDRESS)
    assert host.asked[0][-1] == "git+file:///mine"


def test_without_an_address_one_sentence_says_what_to_do(host):
    with pytest.raises(RuntimeError, match=r"does not say where it comes from.* VIT_TUTORIAL_REPOSITORY"):
        run()
    assert host.asked == []


def test_in_the_course_own_folder_nothing_is_installed_into_another_python(host, monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)
    with pytest.raises(RuntimeError, match=r"runs in another Python than the course.* `make lab`"):
        run(address=ADDRESS)
    assert host.asked == []


def test_a_python_that_is_too_old_is_named(host, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 2))
    with pytest.raises(RuntimeError, match=r"needs Python 3\.11 or newer"):
        run(address=ADDRESS)


def test_what_pip_says_is_passed_on(host):
    host.fails = "WARNING: old\n  more\nERROR: no network\n"
    with pytest.raises(RuntimeError, match=r"could not be installed here; pip says: ERROR: no network$"):
        run(address=ADDRESS)


def test_a_figure_that_the_text_cannot_find_is_shown_with_its_words(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    code = CODE.replace("FIGURES = {}", "FIGURES = {'training_step.svg': 'one \"step\" of training'}")
    monkeypatch.chdir(tmp_path)
    run(code)
    (picture,) = shown
    assert 'alt="one &quot;step&quot; of training" src="data:image/svg+xml;base64,' in picture.data
    monkeypatch.chdir(NOTEBOOKS)
    run(code)
    assert len(shown) == 1


def test_an_installed_copy_has_its_figures(tmp_path):
    assert paths.FIGURE_FOLDER == NOTEBOOKS / "figures"


# ------------------------------------------------------------------------------------------- what build.py does with it


@pytest.fixture
def lesson(write_source):
    path = write_source("# ![a cat in patches](figures/cat.png)\n\n# %%\nprint(1)\n\n# %%\n2")
    path.with_name("set_up.py").write_text("FIGURES = {}  # of the text\n")
    return path


def store(build, path, folder):
    """Write the notebook as a build would, without a kernel."""
    notebook = build.read_source(path, [path])
    for number, cell in build.numbered_code_cells(notebook):
        cell.execution_count = number
    result = nbformat.v4.new_output("execute_result", data={"text/plain": "2"}, execution_count=number)
    notebook.cells[-1].outputs = [result]
    (folder / "00_lesson.ipynb").write_bytes(build.dump(notebook))


def test_a_build_puts_it_first_and_tells_it_the_figures(build, lesson):
    first = build.read_source(lesson, [lesson]).cells[0]
    assert first.source == 'FIGURES = {\n    "cat.png": "a cat in patches",\n}  # of the text'
    assert first.metadata == build.FOLDED


def test_another_set_up_reaches_the_notebooks_without_running_them(build, lesson, tmp_path, capfd):
    set_up = lesson.with_name("set_up.py")
    code = set_up.read_text()
    set_up.unlink()
    store(build, lesson, tmp_path)
    for new in (code, code + "ADDRESS = 1\n"):
        set_up.write_text(new)
        assert build.main(["--check"], tmp_path) == 1
        assert build.main(["--set-up"], tmp_path) == 0
        assert build.main(["--check"], tmp_path) == 0
    cells = build.numbered_code_cells(nbformat.read(tmp_path / "00_lesson.ipynb", as_version=4))
    assert [cell.execution_count for _, cell in cells] == [1, 2, 3]
    assert cells[0][1].source.endswith("ADDRESS = 1")
    assert cells[2][1].outputs[0].execution_count == 3


def test_a_set_up_is_not_given_to_a_notebook_that_differs_in_more(build, lesson, tmp_path, capfd):
    store(build, lesson, tmp_path)
    lesson.write_text(lesson.read_text().replace("print(1)", "print(3)"))
    before = (tmp_path / "00_lesson.ipynb").read_bytes()
    assert build.main(["--set-up"], tmp_path) == 1
    assert "differs from its source in more than its set-up" in capfd.readouterr().err
    assert (tmp_path / "00_lesson.ipynb").read_bytes() == before
