"""`make` sets the course up once, says in one sentence what is missing, and installs what environment.yml installs.

Nothing is installed here: the Pythons on PATH are small programs that claim a version and note down what they are
asked to do.
"""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CPU, GPU = "https://example.org/whl/cpu", "https://example.org/whl/gpu"  # where builds of PyTorch could lie

# A Python that claims a version, lacks modules and sees a disk of a chosen size; its .venv holds the stubs below. It is
# a shell script first, because the path of the real Python may hold spaces.
FAKE_PYTHON = """#!/bin/sh
'''exec' '{real}' "$0" "$@"
' '''
import os, runpy, shutil, sys, types
sys.version_info = ({version}, 0, "final", 0)
sys.executable = {path!r}
for module in {missing!r}:
    sys.modules[module] = None
shutil.disk_usage = lambda path: types.SimpleNamespace(free={free_gb} * 1e9)
if sys.argv[1] == "-c":
    exec(sys.argv[2])
elif sys.argv[1:3] == ["-m", "venv"]:
    os.makedirs(sys.argv[-1] + "/bin", exist_ok=True)
    for name, stub in {stubs!r}.items():
        with open(sys.argv[-1] + "/bin/" + name, "w") as file:
            file.write(stub)
        os.chmod(sys.argv[-1] + "/bin/" + name, 0o755)
else:
    sys.argv.pop(0)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""

# The Python inside .venv: notes each call in the file `calls`; the files beside it say how an installation goes.
STUB_PYTHON = """#!/bin/sh
echo "$@" >> '{notes}/calls'
case "$*" in
    tests/warm/server.py*) shift; exec "$@" ;;
    *ensurepip*) echo {version} 1 ;;
    *"pip install"*)
        if [ -e '{notes}/pip-hangs' ]; then exec sleep 60; fi
        if [ -e '{notes}/pip-says' ]; then cat '{notes}/pip-says' >&2; exit 1; fi ;;
    *"import matplotlib"*)
        if [ -e '{notes}/import-says' ]; then cat '{notes}/import-says' >&2; exit 1; fi ;;
esac
"""

# The other programs inside .venv, likewise.
STUB_PROGRAM = """#!/bin/sh
echo "{name} $@" >> '{notes}/calls'
if [ -e '{notes}/{name}-says' ]; then cat '{notes}/{name}-says' >&2; exit 1; fi
"""


class Machine:
    """A folder with the course in it, and a PATH on which there is nothing but the Pythons that a test puts there."""

    def __init__(self, folder):
        self.course, self.bin, self.notes = folder / "the course", folder / "bin", folder / "notes"
        for path in (self.course, self.bin, self.notes):
            path.mkdir()
        for name in ("Makefile", "setup_env.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.course / name)
        (self.course / "notebooks" / "figures").mkdir(parents=True)
        (self.course / "notebooks" / "00_start_here.ipynb").touch()
        for tool in ("cat", "cp", "ls", "mkdir", "rm", "sleep"):
            (self.bin / tool).symlink_to(shutil.which(tool))

    def add_python(self, name="python3", version="3, 12", missing=(), free_gb=100):
        path = self.bin / name
        facts = {"notes": self.notes, "version": version.replace(",", "")}
        stubs = {
            "python": STUB_PYTHON.format(**facts),
        }
        stubs |= {name: STUB_PROGRAM.format(**facts, name=name) for name in ("npm", "lint-imports")}
        path.write_text(
            FAKE_PYTHON.format(
                real=sys.executable, version=version, path=str(path), missing=missing, free_gb=free_gb, stubs=stubs
            )
        )
        path.chmod(0o755)
        return path

    def start(self, *arguments):
        """Start `make` with these arguments."""
        environment = {"PATH": str(self.bin), "HOME": str(self.notes), "LANG": "C"}
        return subprocess.Popen(
            [shutil.which("make"), *arguments],
            cwd=self.course,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def make(self, *arguments):
        """Run `make` to its end; return (exit status, all that it printed)."""
        process = self.start(*arguments)
        said = process.communicate(timeout=60)[0]
        return process.returncode, said

    def refuses(self, *arguments):
        """Run `make`, which must fail without a traceback; return the one sentence that it says."""
        status, said = self.make(*arguments)
        assert status != 0
        assert "Traceback" not in said
        told = ("Making .venv", "Installing the course", "make: ***", "Removing .venv")
        lines = [line for line in said.splitlines() if line and not line.startswith(told)]
        assert len(lines) == 1, said
        return lines[0]

    def calls(self, word):
        """Return the calls of .venv's Python that contain this word."""
        path = self.notes / "calls"
        return [line for line in path.read_text().splitlines() if word in line] if path.exists() else []

    def wait_for_pip(self):
        """Wait until an installation is under way."""
        deadline = time.monotonic() + 30
        while not self.calls("pip install"):
            assert time.monotonic() < deadline, "pip was not started"
            time.sleep(0.02)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def ready(machine):
    """A machine on which `make setup` has run."""
    machine.add_python()
    status, said = machine.make("setup")
    assert status == 0, said
    return machine


# ---------------------------------------------------------------------------------- which Python, and what is missing


def test_no_python(machine):
    assert machine.refuses("setup").startswith("No Python was found; install Python 3.11 or newer from https://")


def test_python_too_old(machine):
    machine.add_python("python3", "3, 8")
    machine.add_python("python", "3, 10")
    assert machine.refuses("setup").startswith("The course needs Python 3.11 or newer, but python3 is Python 3.8;")
    assert not (machine.course / ".venv").exists()


def test_a_newer_python_is_found_behind_an_old_one(machine):
    machine.add_python("python3", "3, 8")
    machine.add_python("python3.12", "3, 12")
    machine.add_python("python3.11", "3, 11")
    status, said = machine.make("setup")
    assert status == 0
    assert "Making .venv with python3.12" in said


def test_a_python_that_cannot_start_is_passed_over(machine):
    (machine.bin / "python3.13").write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
    (machine.bin / "python3.13").chmod(0o755)
    machine.add_python("python3", "3, 11")
    assert "Making .venv with python3\n" in machine.make("setup")[1]


def test_python_can_be_chosen(machine):
    machine.add_python("python3", "3, 12")
    chosen = machine.add_python("my python", "3, 11")
    status, said = machine.make("setup", f"PYTHON={chosen}")
    assert status == 0
    assert f"Making .venv with {chosen}" in said


@pytest.mark.parametrize(
    ("version", "sentence"),
    [(None, "PYTHON=pythonx cannot be run; give"), ("3, 9", "needs Python 3.11 or newer, but pythonx is Python 3.9")],
)
def test_the_chosen_python_does_not_do(machine, version, sentence):
    machine.add_python("python3", "3, 12")
    if version:
        machine.add_python("pythonx", version)
    assert sentence in machine.refuses("setup", "PYTHON=pythonx")


def test_another_version_than_before_makes_venv_anew(ready):
    ready.add_python("python3.11", "3, 11")
    status, said = ready.make("setup", "PYTHON=python3.11")
    assert status == 0
    assert "Removing .venv, which holds Python 3.12\nMaking .venv with python3.11" in said
    ready.make("setup", "PYTHON=python3.11")
    assert len(ready.calls("pip install")) == 2


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_no_venv_module(machine, module):
    machine.add_python("python3", "3, 11", missing=(module,))
    sentence = machine.refuses("setup")
    assert sentence.startswith("python3 (Python 3.11) has no venv module with pip in it; on Debian or Ubuntu run")
    assert "sudo apt install python3.11-venv" in sentence


def test_a_python_with_venv_is_preferred(machine):
    machine.add_python("python3.13", "3, 13", missing=("ensurepip",))
    machine.add_python("python3", "3, 11")
    assert "Making .venv with python3\n" in machine.make("setup")[1]


def test_too_little_disk_space(machine):
    machine.add_python(free_gb=3.25)
    sentence = machine.refuses("setup")
    assert re.match(
        r"The course needs about \d+\.0 GB of free disk space for \.venv .*the course has 3\.2 GB;", sentence
    )
    assert not (machine.course / ".venv").exists()


@pytest.mark.parametrize(("free_gb", "has_room"), [(2.75, False), (3.25, True)])
def test_pytorch_for_the_cpu_needs_less_disk_space(machine, free_gb, has_room):
    machine.add_python(free_gb=free_gb)
    status, said = machine.make("setup", f"TORCH_INDEX={CPU}/")
    assert (status == 0) is has_room, said
    assert ("needs about 3.0 GB of free disk space" in said) is not has_room


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch brings no libraries of NVIDIA")
def test_a_small_disk_is_told_of_the_smaller_pytorch(machine):
    machine.add_python(free_gb=3.25)
    sentence = machine.refuses("setup")
    assert sentence.endswith("without an NVIDIA GPU, take a smaller one ('Another PyTorch' in README.md).")


def test_setup_env_can_be_read_by_python_3_6():
    ast.parse((ROOT / "setup_env.py").read_text(), feature_version=(3, 6))


# ------------------------------------------------------------------------------------------------------- installation


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "WARNING: Retrying after NewConnectionError('Connection refused')\nERROR: No matching distribution",
            "pip could not reach the package index; check the network connection",
        ),
        ("ERROR: [Errno 28] No space left on device", "The disk became full while pip unpacked the course"),
        (
            "WARNING: x\nERROR: No matching distribution found for torch<2.16,>=2.9\n",
            "pip could not install the course (No matching distribution found for torch<2.16,>=2.9); all that it said",
        ),
        ("", "pip could not install the course (no word of explanation)"),
    ],
)
def test_pip_fails_and_the_next_run_tries_again(machine, said, sentence):
    machine.add_python()
    (machine.notes / "pip-says").write_text(said)
    assert machine.refuses("setup").startswith(sentence)
    (machine.notes / "pip-says").unlink()
    assert machine.make("setup")[0] == 0
    assert len(machine.calls("pip install")) == 2


def test_an_installation_that_cannot_be_imported_does_not_count(machine):
    machine.add_python()
    (machine.notes / "import-says").write_text("Traceback:\n  x\nImportError: libcudart.so: cannot open\n")
    assert "cannot be imported (ImportError: libcudart.so: cannot open)" in machine.refuses("setup")
    (machine.notes / "import-says").unlink()
    assert machine.make("setup")[0] == 0


def test_a_second_run_installs_nothing(ready):
    assert ready.calls("pip install") == ["-m pip install -e ."]
    assert ready.make("setup") == (0, "")
    assert len(ready.calls("pip install")) == 1


def test_a_change_of_pyproject_installs_again(ready):
    path = ready.course / "pyproject.toml"
    os.utime(path)
    ready.make("setup")
    assert len(ready.calls("pip install")) == 1
    path.write_text(path.read_text() + "\n")
    ready.make("setup")
    ready.make("setup")
    assert len(ready.calls("pip install")) == 2


def test_a_moved_course_is_installed_again(ready):
    ready.course = ready.course.rename(ready.course.with_name("moved"))
    ready.make("setup")
    assert len(ready.calls("pip install")) == 2


def test_the_tests_bring_the_course_with_them(machine):
    machine.add_python()
    machine.make("test")
    assert machine.calls("pip install") == ["-m pip install -e .[test]"]
    machine.make("setup")
    assert len(machine.calls("pip install")) == 1


def test_the_course_does_not_bring_the_tests(ready):
    ready.make("test")
    ready.make("test")
    assert ready.calls("pip install") == ["-m pip install -e .", "-m pip install -e .[test]"]


def test_the_web_edition_brings_the_course_and_not_the_tests(machine):
    machine.add_python()
    (machine.course / "package.json").write_text("{}")
    status, said = machine.make("site")
    assert status == 0, said
    assert machine.calls("install") == ["-m pip install -e .[site]"]
    assert machine.calls("npm ci") == ["npm ci --omit=dev"]
    assert machine.calls("site/build.py") == ["site/build.py"]
    assert machine.make("site-open")[0] == 0
    assert machine.calls("site/build.py")[1:] == ["site/build.py --open"]
    machine.make("setup")
    assert len(machine.calls("pip install")) == 1
    machine.make("test")
    machine.make("site")
    assert machine.calls("pip install")[1:] == ["-m pip install -e .[test]"]
    assert machine.calls("npm ci")[1:] == ["npm ci"]


# --------------------------------------------------------------------------------------------- another build of PyTorch


def test_pytorch_comes_from_the_index_that_was_asked_for(machine):
    machine.add_python()
    status, said = machine.make("setup", f"TORCH_INDEX={CPU}")
    assert status == 0, said
    first, second = machine.calls("pip install")
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    torch = [text for text in listed if text.startswith("torch")]
    assert len(torch) == 2
    assert first == f"-m pip install --index-url {CPU} {' '.join(torch)}"
    assert second == "-m pip install -e ."


def test_the_index_of_pytorch_is_kept(machine):
    machine.add_python()
    machine.make("setup", f"TORCH_INDEX={CPU}")
    for again in ([], [f"TORCH_INDEX={CPU}"], [f"TORCH_INDEX={CPU}/"]):
        assert machine.make("setup", *again) == (0, "")
    machine.make("test")
    assert machine.calls("pip install")[2].startswith(f"-m pip install --index-url {CPU} torch")
    assert machine.calls("pip install")[3:] == ["-m pip install -e .[test]"]


def test_the_index_of_pytorch_is_kept_by_an_interrupted_installation(machine):
    machine.add_python()
    (machine.notes / "pip-says").write_text("ERROR: no")
    machine.refuses("setup", f"TORCH_INDEX={CPU}")
    (machine.notes / "pip-says").unlink()
    machine.make("setup")
    assert machine.calls("pip install")[1].startswith(f"-m pip install --index-url {CPU} torch")


@pytest.mark.parametrize("before", ["", CPU])
def test_another_index_of_pytorch_makes_venv_anew(machine, before):
    machine.add_python()
    machine.make("setup", f"TORCH_INDEX={before}")
    (machine.course / ".venv" / "old").touch()
    status, said = machine.make("setup", f"TORCH_INDEX={GPU}")
    assert status == 0
    assert said.startswith("Removing .venv, which holds another build of PyTorch\nMaking .venv with")
    assert not (machine.course / ".venv" / "old").exists()
    assert machine.calls("pip install")[-2].startswith(f"-m pip install --index-url {GPU} torch")


def test_a_deleted_venv_forgets_the_index_of_pytorch(machine):
    machine.add_python()
    machine.make("setup", f"TORCH_INDEX={CPU}")
    shutil.rmtree(machine.course / ".venv")
    machine.make("setup")
    assert machine.calls("pip install")[2:] == ["-m pip install -e ."]


def test_an_index_of_pytorch_that_is_no_address_is_refused(ready):
    assert ready.refuses("setup", "TORCH_INDEX=cpu").startswith("TORCH_INDEX=cpu is not an address; choose a build at")
    assert ready.make("setup") == (0, "")


# ---------------------------------------------------------------------------------------------- the tools in JavaScript


def test_the_tests_bring_the_tools_that_package_json_lists(machine):
    machine.add_python()
    (machine.course / "package.json").write_text("{}")
    machine.make("setup")
    assert machine.calls("npm ci") == []
    machine.make("test")
    machine.make("test")
    assert machine.calls("install")[-1] == "-m pip install -e .[test]"
    assert machine.calls("npm ci") == ["npm ci"]
    (machine.course / "package-lock.json").write_text("{}")
    machine.make("test")
    assert len(machine.calls("npm ci")) == 2


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED", "npm could not reach the package index; check"),
        ("npm error code ENOSPC", "The disk became full while npm unpacked the course"),
        (
            "npm warn x\nnpm error code EUSAGE\nnpm error\nnpm error A log is in y",
            "npm could not install the course (code EUSAGE)",
        ),
    ],
)
def test_npm_fails_and_the_next_run_tries_again(machine, said, sentence):
    machine.add_python()
    (machine.course / "package.json").write_text("{}")
    (machine.notes / "npm-says").write_text(said)
    assert machine.refuses("test").startswith(sentence)
    (machine.notes / "npm-says").unlink()
    machine.make("test")
    assert len(machine.calls("npm ci")) == 2


# -------------------------------------------------------------------------------------------------- stopped on the way


def test_a_killed_installation_does_not_count(machine):
    machine.add_python()
    (machine.notes / "pip-hangs").touch()
    process = machine.start("setup")
    machine.wait_for_pip()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    (machine.notes / "pip-hangs").unlink()
    assert machine.make("setup")[0] == 0
    assert len(machine.calls("pip install")) == 2


def test_an_interrupted_installation_says_so_and_does_not_count(ready):
    (ready.notes / "pip-hangs").touch()
    (ready.notes / "calls").unlink()
    process = ready.start("test")
    ready.wait_for_pip()
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    assert "Stopped before the end; the next run goes on from here." in said
    assert "Traceback" not in said
    (ready.notes / "pip-hangs").unlink()
    ready.make("setup")
    assert len(ready.calls("pip install")) == 2


def test_the_tests_are_what_the_readme_says(ready):
    status, said = ready.make("test")
    assert status == 0, said
    runs = ready.calls("")
    warm = f"tests/warm/server.py {shutil.which('make')} --no-print-directory test-groups"
    runs = runs[runs.index(warm) + 1 :]
    runs = runs[runs.index("-m ruff check .") :]
    assert runs[:5] == [
        "-m ruff check .",
        "-m ruff format --check .",
        "lint-imports --no-cache",
        "npm run --silent lint",
        "npm run --silent test",
    ]
    everything, shapes, browser, notebooks = runs[5:]
    in_two = "-m pytest --tx 2*popen//python=.venv/bin/python"
    assert everything == f"{in_two} -m not checked --ignore=tests/browser"
    assert shapes == in_two
    assert browser == f"{in_two} --dist=worksteal tests/browser"
    names = [f"build/nbval/{path.name}" for path in sorted((ready.course / "notebooks").glob("*.ipynb"), reverse=True)]
    assert names
    assert notebooks.split() == [*in_two.split(), "--nbval", "--no-loadscope-reorder", *names]
    assert not (ready.course / "build" / "nbval").exists()
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert script[-1] == "make test"
    assert "make test" in (ROOT / "README.md").read_text()


# ---------------------------------------------------------------------------------------------------------- JupyterLab


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return port


def test_lab_opens_the_first_notebook(machine, free_port):
    machine.add_python()
    status, said = machine.make("lab", f"PORT={free_port}", "LAB_ARGS=--no-browser --ServerApp.token=abc")
    assert status == 0, said
    (call,) = machine.calls("-m jupyterlab")
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in call
    assert f"--ServerApp.root_dir={machine.course}" in call
    assert f"--ServerApp.port={free_port} --ServerApp.port_retries=0" in call
    assert "--LabApp.news_url=None" in call
    assert call.endswith("--no-browser --ServerApp.token=abc")
    assert f"http://localhost:{free_port}" in said
    settings = machine.course / ".venv/etc/jupyter/labconfig/default_setting_overrides.json"
    assert '"fetchNews": "false"' in settings.read_text()


def test_port_taken(ready, taken_port):
    sentence = ready.refuses("lab", f"PORT={taken_port}")
    assert sentence.startswith(
        f"Port {taken_port} is taken, perhaps by a JupyterLab that still runs; stop that one, or"
    )
    other = int(re.search(r"make lab PORT=(\d+)$", sentence)[1])
    assert taken_port < other < 65536
    assert ready.calls("jupyterlab") == []


@pytest.mark.parametrize("port", ["abc", "0", "70000", ""])
def test_port_is_no_port(ready, port):
    assert ready.refuses("lab", f"PORT={port}").startswith(f"PORT={port} is not a port; choose a number from 1024")


# --------------------------------------------------------------------------------------------------------------- conda


def requirement(text):
    """Split 'torch >=2.9,<2.16' into its name and its set of bounds."""
    name, bounds = re.match(r"([\w.-]+)\s*(.*)", text).groups()
    return name.lower(), frozenset(bounds.replace(" ", "").split(",")) - {""}


def conda_faults(environment, project):
    """Return a sentence for each way in which a conda environment would differ from what pyproject.toml asks for."""
    entries = yaml.safe_load(environment)["dependencies"]
    plain = [entry for entry in entries if isinstance(entry, str)]
    by_pip = [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]
    wanted = dict(requirement(text) for text in project["dependencies"])
    wanted["python"] = requirement("python" + project["requires-python"])[1]
    faults = []
    if "python" not in dict(map(requirement, plain)):
        faults.append("python is missing")
    if "pip" not in plain:
        faults.append("pip is missing")
    if "--editable ." not in by_pip:
        faults.append("the course itself is not installed, and so none of its dependencies")
    for name, bounds in map(requirement, plain + [line for line in by_pip if not line.startswith("-")]):
        if name != "pip" and bounds != wanted.get(name, bounds):
            faults.append(f"{name} has other bounds than in pyproject.toml")
        elif name not in {*wanted, "pip"}:
            faults.append(f"{name} is not in pyproject.toml")
    return faults


@pytest.fixture
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_installs_what_pyproject_lists(project):
    assert conda_faults((ROOT / "environment.yml").read_text(), project) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("python>=3.11", "python>=3.10", "python has other bounds"),
        ("  - python>=3.11\n", "", "python is missing"),
        ("  - pip\n", "", "pip is missing"),
        ("--editable .", "einops>=0.8,<0.9", "the course itself is not installed"),
        ("- pip\n", "- pip\n  - einops>=0.7,<0.9\n", "einops has other bounds"),
        ("- pip\n", "- pip\n  - pandas\n", "pandas is not in pyproject.toml"),
        ("- --editable .", "- --editable .\n      - numpy<3", "numpy has other bounds"),
    ],
)
def test_a_difference_from_pyproject_is_seen(project, old, new, fault):
    text = (ROOT / "environment.yml").read_text()
    assert old in text
    (told,) = conda_faults(text.replace(old, new, 1), project)
    assert told.startswith(fault)


def test_every_dependency_has_a_lowest_and_a_first_untested_version(project):
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *extras["site"], *extras["test"]]
    listed.remove(f"{project['name']}[site]")
    for name, bounds in map(requirement, listed):
        assert sorted(bound[:1] for bound in bounds) == ["<", ">"], f"{name} has no range"
