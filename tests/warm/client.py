"""The stand-in for a Python that server.py starts: `python -I -S client.py SOCKET` and what stands behind `python`."""

import contextlib
import marshal
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main(address: str, words: list[str]) -> int:
    """Ask for a Python with this command line; return its status, or end by the signal that has ended it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    while (one := os.open(os.devnull, os.O_RDWR)) < 3:  # in the place of one that is closed
        pass
    os.close(one)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    said = marshal.dumps((os.getcwd(), dict(os.environ), words))
    socket.send_fds(connection, [len(said).to_bytes(8, "little")], [0, 1, 2])
    connection.sendall(said)
    with connection.makefile() as answers:
        number = int(answers.readline())
        for one in PASSED_ON:
            signal.signal(one, lambda one, _: pass_on(number, one))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        status = answers.readline()
    if not status:  # the server has ended
        return 70
    if int(status) < 0:
        with contextlib.suppress(OSError):  # of SIGKILL, nobody can hear
            signal.signal(-int(status), signal.SIG_DFL)
        os.kill(os.getpid(), -int(status))
    return int(status)


def pass_on(number: int, one: int) -> None:
    """Send it the signal, unless it has ended just now."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, one)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
