"""A warm Python is a Python: what it is told, where it stands, what it hears and how it ends are as for a fresh one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm Pythons are for Linux")

FOLDER = Path(__file__).parent / "warm"
# The server, with less to load.
START = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import server
server.LOADED = ("numpy", "wave")
sys.exit(server.main(sys.argv[1:]))
"""
COMMAND = 'echo "$VIT_TUTORIAL_WARM_PYTHON"; echo "$JUPYTER_PATH"; read line; exit 7'


def start_server(*command, **options):
    words = [sys.executable, "-c", START, str(FOLDER), *command]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


@pytest.fixture(scope="module")
def served():
    """The program that starts a warm Python, and the path on which Jupyter looks for kernels."""
    server = start_server("sh", "-c", COMMAND, env=os.environ | {"JUPYTER_PATH": "/somewhere"})
    program, path = server.stdout.readline().strip(), server.stdout.readline().strip()
    yield program, path
    server.communicate("that is all\n")
    assert server.returncode == 7
    assert not Path(program).parent.exists()


@pytest.fixture
def program(served):
    return served[0]


TELL = """
import json, os, sys
has = [name in sys.modules for name in ("wave", "vit_tutorial")]
print(json.dumps([sys.argv, os.getcwd(), os.environ["SAID"], sys.path[0], sys.executable, has, sys.stdin.read()]))
print("aside", file=sys.stderr)
sys.exit(3)
"""


@pytest.mark.parametrize("way", ["-c", "-m", "a file"])
def test_it_is_what_a_fresh_python_is(program, tmp_path, way):
    (tmp_path / "told.py").write_text(TELL)
    start = {"-c": ["-c", TELL], "-m": ["-m", "told"], "a file": ["told.py"]}[way]

    def told_by(python):
        command, environment = [python, *start, "one", "two words"], os.environ | {"SAID": "ü\n"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, input="in", capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (3, "aside\n")
        *same, loaded, heard = json.loads(done.stdout)
        return same, loaded, heard

    (warm, loaded, heard), (fresh, _, _) = told_by(program), told_by(sys.executable)
    assert warm == fresh
    assert (loaded, heard) == ([True, False], "in")


def run(program, code, **options):
    return subprocess.run([program, "-c", code], capture_output=True, text=True, **options)


def test_a_module_is_found_where_pythonpath_says(program, tmp_path):
    (tmp_path / "only_there.py").write_text("x = 6")
    done = run(program, "import only_there; print(only_there.x)", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "6\n"


def test_no_two_draw_the_same(program):
    draw = "import random, numpy; print(random.random(), numpy.random.rand())"
    drawn = {number for _ in range(3) for number in run(program, draw).stdout.split()}
    assert len(drawn) == 6


def test_an_error_ends_it_with_its_traceback(program):
    done = run(program, "1 / 0")
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_what_it_cannot_be_is_said(program):
    done = subprocess.run([program, "-X", "dev", "-c", "1"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("-X is not among the options that a copy can take")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_it_ends_by_a_signal_as_a_fresh_one_does(program, number):
    assert run(program, f"import os; os.kill(os.getpid(), {int(number)})").returncode == -number


WAIT = """
import os, signal, sys, time
try:
    print(os.getpid())
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def start(program):
    process = subprocess.Popen([program, "-u", "-c", WAIT], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def test_the_stop_button_reaches_it(program):
    process, _ = start(program)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_stand_in(program, number):
    process, copy = start(program)
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == -number
    wait_until_ended(copy)


@pytest.mark.parametrize("killed", [False, True])
def test_it_ends_with_the_command_and_with_the_server(killed):
    server = start_server("sh", "-c", COMMAND)
    process, copy = start(server.stdout.readline().strip())
    if killed:
        server.kill()
    server.communicate("that is all\n")
    wait_until_ended(copy)
    assert process.wait(30) == 70
    shutil.rmtree(Path(process.args[0]).parent, ignore_errors=True)  # a server that is killed leaves it


def wait_until_ended(number):
    for _ in range(3000):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail(f"process {number} goes on")


def test_one_that_is_killed_at_once_leaves_nobody(program, tmp_path):
    code = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch(); time.sleep(60)"
    for tried in range(40):  # it has asked by then, and the copy may not have begun
        process = subprocess.Popen([program, "-c", code])
        time.sleep(0.02 + tried % 10 / 300)
        process.kill()
        process.wait()
    time.sleep(1)  # until one that goes on has said so
    for path in tmp_path.iterdir():
        wait_until_ended(int(path.name))


SPAWN = """
import multiprocessing

def square(x):
    return x * x

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(square, [2, 3]))
"""


def test_a_script_finds_its_functions_in_the_processes_that_it_starts(program, tmp_path):
    (tmp_path / "squares.py").write_text(SPAWN)
    done = subprocess.run([program, "squares.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[4, 9]\n", "")


def test_it_is_not_tried_in_a_folder_that_is_not_fit(tmp_path):
    (tmp_path / "two words").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "two words"), "VIT_TUTORIAL_WARM_PYTHON": "nothing"}
    server = start_server("sh", "-c", COMMAND, env=environment)
    assert server.communicate("that is all\n")[0].splitlines()[0] == "nothing"
    assert (server.returncode, list((tmp_path / "two words").iterdir())) == (7, [])


def test_jupyter_starts_its_kernels_so(served, monkeypatch):
    program, path = served
    assert path.split(os.pathsep)[1:] == ["/somewhere"]
    monkeypatch.setenv("JUPYTER_PATH", path)
    assert KernelSpecManager().get_kernel_spec("python3").argv[:3] == [program, "-m", "ipykernel_launcher"]
