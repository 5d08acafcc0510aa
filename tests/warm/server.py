"""Pythons that begin with torch loaded: `python tests/warm/server.py COMMAND ...` runs a command that may start them.

To load torch and what goes with it takes several seconds of a processor, and the tests start a hundred processes that
do. This one does it once. Each Python that is asked for is a copy of it (a fork), with the arguments, folder,
environment, input and outputs of the one who asks. That one stays as its stand-in (client.py): it passes signals on,
ends it when it is ended itself, and ends with its status. The command finds the program to start in the variable
VIT_TUTORIAL_WARM_PYTHON, and Jupyter a kernel "python3" that begins so. Whatever is about loading, or about variables
that are read while something is loaded, is for `sys.executable`, which is the usual Python here too.

Anywhere but on Linux the command is run without all this.
"""

import contextlib
import ctypes
import gc
import importlib
import io
import json
import marshal
import os
import random
import runpy
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import NamedTuple

# None of them starts a thread, which a copy would lack, or loads a plugin of pytest's, which pytest wants to do itself.
# The course is not among them: its own loading is tested.
LOADED = ("torch", "torchvision", "scipy.stats", "matplotlib", "nbformat", "IPython", "jupyter_client")
CLIENT = Path(__file__).with_name("client.py")
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>: the signal to send when the parent has ended


class Wanted(NamedTuple):
    """What somebody asks to be started: folder, environment, and what stands behind `python` on the command line."""

    folder: str
    environment: dict[str, str]
    words: list[str]


class Copy(NamedTuple):
    """One that runs, and the connection to its client; `watch` can be read when it has ended."""

    number: int
    watch: int
    connection: socket.socket


def main(command: list[str]) -> int:
    """Run the command, start what it asks for, and return its status; a copy does what it was asked to be."""
    if sys.platform != "linux":
        os.execvp(command[0], command)
    folder = Path(tempfile.mkdtemp(prefix="vit-warm-"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    signal.signal(signal.SIGINT, lambda *_: None)  # the command hears Ctrl+C too, and ends in its own way
    process = subprocess.Popen(command, env=os.environ | prepare(folder))
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a copy that looked for garbage here would have to copy all that it looks at
    wanted = serve(listener, process)
    if wanted is not None:
        be(wanted)
        return 0
    shutil.rmtree(folder)
    return process.wait()


def prepare(folder: Path) -> dict[str, str]:
    """Write the program and the kernel's description into the folder; return the variables that lead there."""
    program, kernel = folder / "python", folder / "kernels" / "python3"
    client = shlex.join([sys.executable, "-I", "-S", str(CLIENT), str(folder / "socket")])
    program.write_text(f'#!/bin/sh\nexec {client} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    kernel.mkdir(parents=True)
    start = [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    description = {"argv": start, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(description), encoding="utf-8")
    path = [str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    return {"VIT_TUTORIAL_WARM_PYTHON": str(program), "JUPYTER_PATH": os.pathsep.join(path)}


def serve(listener: socket.socket, process: subprocess.Popen) -> Wanted | None:
    """Start what is asked for until the process has ended; return None then, and in a copy what it is to be."""
    over = os.pidfd_open(process.pid)
    copies: dict[int, Copy] = {}
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(over, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd == over:
                for copy in copies.values():
                    end(copy)
                return None
            if key.fileobj is listener:
                connection, _ = listener.accept()
                with contextlib.suppress(EOFError, ConnectionError):  # it has ended before it had asked
                    wanted, files = receive(connection)
                    if (number := os.fork()) == 0:
                        forget([listener, connection, selector], [over], copies)
                        take(files)
                        return wanted
                    for file in files:
                        os.close(file)
                    copies[number] = copy = Copy(number, os.pidfd_open(number), connection)
                    selector.register(copy.watch, selectors.EVENT_READ, copy)
                    selector.register(connection, selectors.EVENT_READ, copy)
                    connection.sendall(b"%d\n" % number)
            elif key.fileobj is key.data.connection:  # the client has ended, and says nothing else
                selector.unregister(key.fileobj)
                end(key.data)
            else:
                copy = copies.pop(key.data.number)
                status = os.waitstatus_to_exitcode(os.waitpid(copy.number, 0)[1])
                with contextlib.suppress(ConnectionError):
                    copy.connection.sendall(b"%d\n" % status)
                with contextlib.suppress(KeyError):
                    selector.unregister(copy.connection)
                selector.unregister(copy.watch)
                forget([], [], {copy.number: copy})


def receive(connection: socket.socket) -> tuple[Wanted, list[int]]:
    """Read what a client asks for, and take its three files; raise EOFError if it ends before it has asked."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    length, said = int.from_bytes(head, "little"), b""
    while len(said) < length and (more := connection.recv(length - len(said))):
        said += more
    if len(head) < 8 or len(said) < length:
        for file in files:
            os.close(file)
        connection.close()
        raise EOFError
    return Wanted(*marshal.loads(said)), files


def end(copy: Copy) -> None:
    """End a copy, and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(copy.number, signal.SIGKILL)


def forget(closable: list, files: list[int], copies: dict[int, Copy]) -> None:
    """Close all these."""
    for one in (*closable, *(copy.connection for copy in copies.values())):
        one.close()
    for file in (*files, *(copy.watch for copy in copies.values())):
        os.close(file)


def take(files: list[int]) -> None:
    """Lead a session of its own, with these files as input and outputs, and with the signals of a fresh Python.

    If the server is killed, the kernel of the system ends this process too.
    """
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def be(wanted: Wanted) -> None:
    """Do what a fresh Python does with this command line in this place."""
    os.chdir(wanted.folder)
    os.environ.clear()
    os.environ.update(wanted.environment)
    asked = wanted.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [path for path in asked if path and path not in sys.path]
    unbuffered = wanted.words[0] == "-u"
    open_streams(unbuffered)
    random.seed()
    sys.modules["numpy"].random.seed()
    kind, *rest = wanted.words[unbuffered:]
    if kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        main_module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main_module.__dict__)
    elif kind == "-m":
        sys.argv = rest
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind.startswith("-"):
        sys.exit(f"{kind} is not among the options that a copy can take: -c, -m, -u; use the usual Python for it")
    else:
        sys.argv = [kind, *rest]
        sys.path.insert(0, str(Path(kind).resolve().parent))
        runpy.run_path(kind, run_name="__main__")


def open_streams(unbuffered: bool) -> None:
    """Open input and outputs anew, as they are buffered for what they lead to now."""
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        at_once = number == 2 or os.isatty(number)
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        stream = io.TextIOWrapper(raw, errors=errors, line_buffering=at_once, write_through=unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
