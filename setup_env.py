"""Make the course's own environment, .venv, and start what lives in it.

    python setup_env.py course         install what the lessons need (`make setup`)
    python setup_env.py site           the same, and what makes the web edition (`make site`)
    python setup_env.py test           all of this, and what the tests need
    python setup_env.py lab [OPTION]   install the course, then open JupyterLab (`make lab`)

Two environment variables choose what .venv is made of: PYTHON is the interpreter, and TORCH_INDEX the address of the
package index that another build of PyTorch comes from. .venv keeps to both until asked for others.

Any Python from 3.6 on can run this file, so that one which is too old for the course can say so in a sentence.
"""

import argparse
import errno
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PROGRAMS = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
VENV_PYTHON = os.path.join(PROGRAMS, "python.exe" if os.name == "nt" else "python")
NPM = os.path.join(PROGRAMS, "npm")
STATE = os.path.join(VENV, ".installed.json")

EXTRAS = {"course": ".", "site": ".[site]", "test": ".[test]"}
SERVED_BY = {"course": ("course", "site", "test"), "site": ("site", "test"), "test": ("test",)}

OLDEST = (3, 11)
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")
# Measured at its largest, while pip unpacks; on Linux, torch brings NVIDIA's libraries unless it is built for the CPU.
NEED_GB, NEED_GB_WITH_NVIDIA = 3.0, 9.0

START_PAGE = "notebooks/00_start_here.ipynb"
LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}

NETWORK_WORDS = (
    "ConnectionError",
    "Connection refused",
    "Connection reset",
    "Connection broken",
    "connection broken",
    "ConnectTimeout",
    "ReadTimeout",
    "Read timed out",
    "NameResolutionError",
    "name resolution",
    "Name or service not known",
    "Network is unreachable",
    "ProxyError",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENOTFOUND",
    "ETIMEDOUT",
    "EAI_AGAIN",
)


class SetupError(Exception):
    """What is missing, as one sentence that also names the way out."""


# ---------------------------------------------------------------------------------------------- the Python to use


def probe(python):
    """Return ((major, minor), has_venv) of an interpreter, or None when it cannot be run."""
    code = (
        "import sys\n"
        "try:\n    import ensurepip, venv\n    whole = 1\nexcept ImportError:\n    whole = 0\n"
        "print(sys.version_info[0], sys.version_info[1], whole)"
    )
    try:
        words = subprocess.check_output([python, "-c", code], stderr=subprocess.DEVNULL).split()
        major, minor, whole = (int(word) for word in words)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return (major, minor), bool(whole)


def choose_python(asked):
    """Return the interpreter that makes .venv: the one asked for, else the first candidate that will do."""
    names = [asked] if asked else [*CANDIDATES, sys.executable]
    too_old, without_venv = [], []
    for name in names:
        facts = probe(name)
        if facts is None:
            continue
        version, has_venv = facts
        if version < OLDEST:
            too_old.append((name, version))
        elif not has_venv:
            without_venv.append((name, version))
        else:
            return name
    if without_venv:
        name, version = without_venv[0]
        raise SetupError(
            f"{name} (Python {dotted(version)}) has no venv module with pip in it; on Debian or Ubuntu run "
            f"'sudo apt install python{dotted(version)}-venv', elsewhere install Python from https://www.python.org."
        )
    if too_old:
        name, version = too_old[0]
        raise SetupError(
            f"The course needs Python {dotted(OLDEST)} or newer, but {name} is Python {dotted(version)}; install a "
            "newer one from https://www.python.org, or name the one to use: make PYTHON=/path/to/python3.12 lab"
        )
    raise SetupError(f"PYTHON={asked} cannot be run; give the path of a Python {dotted(OLDEST)} or newer.")


def dotted(version):
    return ".".join(str(part) for part in version)


# ------------------------------------------------------------------------------------------------ the environment


def state():
    """Return what the last installation wrote down: its TORCH_INDEX, and once it is done its kind and fingerprint."""
    try:
        with open(STATE) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def write_state(**facts):
    with open(STATE, "w") as file:
        json.dump(facts, file)


def read(name):
    """Return the text of a file of the course, "" when it is not there."""
    path = os.path.join(ROOT, name)
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def fingerprint():
    """Return a digest of all that an installation depends on: what is asked for, and where the course lies."""
    return hashlib.sha256((read("pyproject.toml") + read("package-lock.json") + ROOT).encode()).hexdigest()


def is_installed(kind):
    """Say whether the last installation ran to its end, holds this kind, and nothing has changed since."""
    last = state()
    return last.get("fingerprint") == fingerprint() and last["kind"] in SERVED_BY[kind] and os.path.exists(VENV_PYTHON)


def choose_torch_index():
    """Return the address that PyTorch is taken from: the one asked for, else the one of before; "" is pip's own."""
    asked = os.environ.get("TORCH_INDEX", "").rstrip("/")
    if asked and "://" not in asked:
        raise SetupError(
            f"TORCH_INDEX={asked} is not an address; choose a build at https://pytorch.org/get-started/locally and "
            "give what is shown there after --index-url."
        )
    return asked or state().get("torch_index", "")


def check_disk(torch_index):
    """Raise SetupError when the disk cannot hold what is still missing from .venv."""
    have_now = 0
    for folder, _, files in os.walk(VENV):
        have_now += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)
    with_nvidia = sys.platform.startswith("linux") and not torch_index.endswith("/cpu")
    need = (NEED_GB_WITH_NVIDIA if with_nvidia else NEED_GB) - have_now / 1e9
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < need:
        raise SetupError(
            f"The course needs about {need:.1f} GB of free disk space for .venv (torch is the largest part), but "
            f"{ROOT} has {free:.1f} GB; make room, or move the course to a larger disk"
            + (
                ", or, without an NVIDIA GPU, take a smaller one ('Another PyTorch' in README.md)."
                if with_nvidia
                else "."
            )
        )


def what_is_other(python, torch_index):
    """Return what .venv holds in the place of what is asked for, "" when it holds nothing else."""
    if not os.path.exists(VENV_PYTHON):
        return ""
    wanted, present = probe(python) if python else None, probe(VENV_PYTHON)
    if wanted and present and wanted[0] != present[0]:
        return "Python " + dotted(present[0])
    return "another build of PyTorch" if torch_index != state().get("torch_index", "") else ""


def make_venv(asked):
    """Make .venv, unless one is there that works and fits."""
    usable = os.path.exists(VENV_PYTHON) and probe(VENV_PYTHON)
    if usable and usable[0] >= OLDEST and run_quietly("-m", "pip", "--version") is None:
        return
    python = choose_python(asked)
    print(f"Making .venv with {python}", flush=True)
    try:
        subprocess.check_output([python, "-m", "venv", "--clear", VENV], stderr=subprocess.STDOUT)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "output", b"").decode(errors="replace").strip() or str(error)
        raise SetupError(f"{python} could not make .venv: {said.splitlines()[-1]}") from None


def run_quietly(*arguments):
    """Run .venv's Python; return None when it went well, else the last line that it wrote."""
    process = subprocess.Popen([VENV_PYTHON, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = process.communicate()[0].decode(errors="replace").split("\n")
    if process.returncode == 0:
        return None
    return ([line.strip() for line in lines if line.strip()] or ["no word of explanation"])[-1]


def installation(kind, torch_index):
    """Return the commands that fill .venv, in order: PyTorch where it comes from elsewhere, the course, npm's tools."""
    pip = [VENV_PYTHON, "-m", "pip", "install"]
    commands = [[*pip, "-e", EXTRAS[kind]]]
    if torch_index:
        # pip keeps what it finds installed, so the course does not bring another build.
        torch = re.findall(r'"(torch(?:vision)?[<>=][^"]*)"', read("pyproject.toml"))
        commands.insert(0, [*pip, "--index-url", torch_index, *torch])
    if kind != "course" and read("package.json"):
        commands.append([NPM, "ci"] if kind == "test" else [NPM, "ci", "--omit=dev"])
    return commands


def run(command):
    """Run pip or npm, whose progress is shown and whose complaints become one sentence."""
    tool = "npm" if command[0] == NPM else "pip"
    log = os.path.join(VENV, f"{tool}-errors.txt")
    with open(log, "w") as errors:
        code = subprocess.call(command, cwd=ROOT, stderr=errors)
    if code == 0:
        return
    with open(log, errors="replace") as errors:
        said = errors.read()
    if any(words in said for words in ("No space left on device", "ENOSPC")):
        raise SetupError(
            f"The disk became full while {tool} unpacked the course; make room there and in the folder for temporary "
            "files (TMPDIR), then run the same command again."
        )
    if any(word in said for word in NETWORK_WORDS):
        raise SetupError(
            f"{tool} could not reach the package index; check the network connection or the proxy, then run the same "
            "command again: what has been downloaded is kept."
        )
    reasons = re.findall(r"^(?:ERROR:|npm error) *(.*)", said, re.MULTILINE) or ["no word of explanation"]
    reason = reasons[-1 if tool == "pip" else 0].strip()
    raise SetupError(f"{tool} could not install the course ({reason}); all that it said is in {log}")


def install(kind):
    """Make .venv hold the course, or more than that (EXTRAS); at once when it does already."""
    python, torch_index = os.environ.get("PYTHON", ""), choose_torch_index()
    other = what_is_other(python, torch_index)
    if other:
        choose_python(python)
        print(f"Removing .venv, which holds {other}", flush=True)
        shutil.rmtree(VENV)
    if is_installed(kind):
        return
    check_disk(torch_index)
    make_venv(python)
    write_state(torch_index=torch_index)
    print("Installing the course into .venv; torch is large, so the first time takes some minutes", flush=True)
    for command in installation(kind, torch_index):
        run(command)
    # This also writes matplotlib's list of fonts, which would else show up as a message in the first notebook.
    trouble = run_quietly("-c", "import matplotlib.font_manager, torch, torchvision, vit_tutorial")
    if trouble:
        raise SetupError(f"The course is installed but cannot be imported ({trouble}); remove .venv and try again.")
    write_state(torch_index=torch_index, kind=kind, fingerprint=fingerprint())


# ------------------------------------------------------------------------------------------------------ JupyterLab


def is_free(port):
    """Say whether a server can listen on this port of this machine."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as server:
                if os.name != "nt":
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((address, port))
        except OSError as error:
            # Other errors mean that the machine has no address of this family.
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
    return True


def check_port(text):
    """Return the port as a number; raise SetupError when it is none, or taken."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SetupError(f"PORT={text} is not a port; choose a number from 1024 to 65535, for example PORT=8889")
    port = int(text)
    if not is_free(port):
        other = next((p for p in range(port + 1, 65536) if is_free(p)), 8889)
        raise SetupError(
            f"Port {port} is taken, perhaps by a JupyterLab that still runs; stop that one, or use another port: "
            f"make lab PORT={other}"
        )
    return port


def lab(port, options):
    """Open JupyterLab at the first notebook, with the whole course in its file list; return when it is shut down."""
    folder = os.path.join(VENV, "etc", "jupyter", "labconfig")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "default_setting_overrides.json"), "w") as file:
        json.dump(LAB_SETTINGS, file, indent=2)
    command = [
        VENV_PYTHON,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={ROOT}",
        f"--LabApp.default_url=/lab/tree/{START_PAGE}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.answer_yes=True",
        "--LabApp.news_url=None",
        "--Application.log_level=WARN",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    print(f"JupyterLab opens at http://localhost:{port}; Ctrl-C here stops it", flush=True)
    os.chdir(ROOT)
    if os.name == "nt":
        return subprocess.call(command + options)
    return os.execv(VENV_PYTHON, command + options)


def main(arguments):
    parser = argparse.ArgumentParser(description="Set the course up.", allow_abbrev=False)
    parser.add_argument("what", choices=(*EXTRAS, "lab"))
    parser.add_argument("--port", default="8888", help="the port of JupyterLab (lab only)")
    given, options = parser.parse_known_args(arguments)
    try:
        if given.what != "lab":
            if options:
                parser.error("unknown option: " + " ".join(options))
            install(given.what)
            return 0
        port = check_port(given.port)
        install("course")
        return lab(port, options)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped before the end; the next run goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
