"""Pythons that begin with torch loaded: `python tests/warm/server.py COMMAND ...` runs a command that may start them.

To load torch and what goes with it takes several seconds of a processor, and the tests start eighty processes that do.
This one does it once. Each Python that is asked for is a copy of it (a fork), with the arguments, folder, environment,
input and outputs of the one who asks, and nothing else: limits, other files and the order of sets are the server's.
The one who asks stays as its stand-in (client.py): it passes signals on, ends it when it is ended itself, and ends with
its status. The command finds the program to start in the variable VIT_TUTORIAL_WARM_PYTHON, and Jupyter a kernel
"python3" that begins so. Whatever is about loading, or about variables that are read while something is loaded, is for
`sys.executable`, which is the usual Python here too.

Anywhere but on Linux, and where the folder for temporary files is not fit for it, the command is run without all this.
"""

import builtins
import contextlib
import ctypes
import gc
import importlib
import io
import json
import marshal
import multiprocessing.process
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
LOADED = ("torch", "torchvision", "scipy.stats", "nbformat", "IPython", "jupyter_client")
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
    variables = prepare(folder)
    if not is_fit(folder):
        shutil.rmtree(folder)
        os.execvp(command[0], command)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    signal.signal(signal.SIGINT, lambda *_: None)  # the command hears Ctrl+C too, and ends in its own way
    process = subprocess.Popen(command, env=os.environ | variables)
    try:
        for name in LOADED:
            importlib.import_module(name)
    except BaseException:
        process.terminate()
        shutil.rmtree(folder)
        raise
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


def is_fit(folder: Path) -> bool:
    """Say whether a socket may have such a path, pytest-xdist reads it as one word, and a program may lie there."""
    path = str(folder)
    return len(os.fsencode(path)) < 90 and path == shlex.quote(path) and os.access(folder / "python", os.X_OK)


def serve(listener: socket.socket, process: subprocess.Popen) -> Wanted | None:
    """Start what is asked for until the process has ended; return None then, and in a copy what it is to be."""
    over = os.pidfd_open(process.pid)
    copies: dict[int, Copy] = {}
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(over, selectors.EVENT_READ)
    while True:
        key, _ = selector.select()[0]  # one at a time: what is done for it may settle another
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
    for kill in (os.killpg, os.kill):  # it may lead no group yet
        with contextlib.suppress(ProcessLookupError):
            kill(copy.number, signal.SIGKILL)


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
    multiprocessing.process.ORIGINAL_DIR, tempfile.tempdir = wanted.folder, None
    asked = wanted.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [os.path.abspath(path) for path in asked if path]
    asks_unbuffered = wanted.words[0] == "-u"
    open_streams(asks_unbuffered or bool(wanted.environment.get("PYTHONUNBUFFERED")))
    random.seed()
    sys.modules["numpy"].random.seed()
    kind, *rest = wanted.words[asks_unbuffered:]
    main_module = sys.modules["__main__"] = types.ModuleType("__main__")
    main_module.__builtins__ = builtins
    if kind == "-m":
        sys.argv = rest
        sys.path.insert(0, os.getcwd())
        runpy._run_module_as_main(rest[0])
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), vars(main_module))
    elif kind.startswith("-"):
        sys.exit(f"{kind} is not among the options that a copy can take: -c, -m, -u; use the usual Python for it")
    else:
        sys.argv = [kind, *rest]
        sys.path.insert(0, str(Path(kind).resolve().parent))
        main_module.__file__ = os.path.abspath(kind)
        exec(compile(Path(kind).read_bytes(), main_module.__file__, "exec"), vars(main_module))


def open_streams(unbuffered: bool) -> None:
    """Open input and outputs anew, as they are buffered for what they lead to now."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        file = io.FileIO(number, "w" if number else "r", closefd=False)
        if number == 0:
            file = io.BufferedReader(file)
        elif not unbuffered:
            file = io.BufferedWriter(file)
        at_once = number == 2 or os.isatty(number)
        errors = getattr(sys, name).errors
        stream = io.TextIOWrapper(file, errors=errors, line_buffering=at_once, write_through=unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
